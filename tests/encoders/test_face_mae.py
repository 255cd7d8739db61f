"""The encoders of pre-trained folders: what the library computes, whole folders only, no frame depends on another."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from safetensors.numpy import load_file, save_file
from transformers import (
    VideoMAEConfig,
    VideoMAEForPreTraining,
    VideoMAEImageProcessorPil,
    VideoMAEModel,
    ViTImageProcessorPil,
    ViTMAEConfig,
    ViTMAEForPreTraining,
    ViTMAEModel,
)

from emotion_llama.encoders.face_mae import FaceMae
from emotion_llama.encoders.face_videomae import FaceVideoMae, segment_frames
from emotion_llama.errors import ModelError

SIZES = {
    "image_size": 32, "patch_size": 8, "hidden_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2,
    "intermediate_size": 32, "decoder_hidden_size": 16, "decoder_num_hidden_layers": 1,
    "decoder_num_attention_heads": 2, "decoder_intermediate_size": 16,
}  # fmt: skip
Crops = NDArray[np.uint8]


@pytest.fixture()
def crops() -> Crops:
    return np.random.default_rng(0).integers(0, 255, (7, 40, 40, 3), dtype=np.uint8)


@pytest.fixture()
def mae(tmp_path: Path) -> Path:
    """A pre-training checkpoint: encoder and decoder; pixels with mean and deviation, as in hub folders."""
    torch.manual_seed(0)
    ViTMAEForPreTraining(ViTMAEConfig(**SIZES)).save_pretrained(tmp_path)
    ViTImageProcessorPil(size={"height": 32, "width": 32}).save_pretrained(tmp_path)
    return tmp_path


@pytest.fixture()
def videomae(tmp_path: Path) -> Path:
    torch.manual_seed(0)
    config = VideoMAEConfig(**SIZES, num_frames=4, tubelet_size=2, use_mean_pooling=False)
    VideoMAEForPreTraining(config).save_pretrained(tmp_path)
    processor = VideoMAEImageProcessorPil(
        size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32}, do_normalize=False
    )
    processor.save_pretrained(tmp_path)
    return tmp_path


def _pixels(crops: Crops) -> torch.Tensor:
    """Pixels of the `mae` folder, worked out apart: bilinear to 32 px, then mean and deviation of 0.5."""
    from PIL import Image

    small = [np.asarray(Image.fromarray(c).resize((32, 32), Image.Resampling.BILINEAR)) for c in crops]
    return torch.from_numpy(np.stack(small).transpose(0, 3, 1, 2).astype(np.float32) / 127.5 - 1)


def test_the_local_row_is_the_mean_of_the_patch_tokens(mae: Path, crops: Crops) -> None:
    encoder = FaceMae(mae)
    row = encoder(crops)
    assert row.shape == (encoder.tokens, encoder.width) == (1, 24) and row.dtype == np.float32
    net = ViTMAEModel.from_pretrained(mae, mask_ratio=0.0).eval()
    with torch.no_grad():
        tokens = net(_pixels(crops)).last_hidden_state  # in random order, which a mean does not see
    expected = tokens[:, 1:].mean(dim=(0, 1))
    assert np.abs(row[0] - expected.numpy()).max() < 1e-5
    assert np.abs(encoder.frames(crops).mean(axis=0) - row[0]).max() < 1e-6


def test_frames_do_not_depend_on_each_other(mae: Path, crops: Crops) -> None:
    together = FaceMae(mae).frames(crops)
    assert (together == FaceMae(mae).frames(crops)).all()
    for encoder in (FaceMae(mae, batch_size=1), FaceMae(mae, batch_size=3)):
        assert np.abs(encoder.frames(crops) - together).max() < 1e-5
    assert np.abs(FaceMae(mae).frames(crops[4:5])[0] - together[4]).max() < 1e-5
    assert np.abs(together[0] - together[1]).max() > 1e-3


def test_the_temporal_row_is_the_mean_of_all_tokens(videomae: Path, crops: Crops) -> None:
    encoder = FaceVideoMae(videomae)
    row = encoder(crops)
    assert row.shape == (encoder.tokens, encoder.width) == (1, 24)
    chosen = crops[[1, 2, 4, 5]]  # two segments of three starts: the middle one of each, and its neighbour
    pixels = (_pixels(chosen)[None] + 1) / 2
    with torch.no_grad():
        tokens = VideoMAEModel.from_pretrained(videomae).eval()(pixels).last_hidden_state
    assert tokens.shape == (1, 2 * 16, 24)
    assert np.abs(row[0] - tokens.mean(dim=(0, 1)).numpy()).max() < 1e-5
    assert (row == encoder(crops)).all()
    assert np.abs(encoder(crops[::-1].copy()) - row).max() > 1e-4  # the order in time matters


def test_positions_of_a_loaded_temporal_encoder_are_the_table(videomae: Path, crops: Crops) -> None:
    encoder = FaceVideoMae(videomae)
    encoder(crops)
    fresh = VideoMAEModel(VideoMAEConfig.from_pretrained(videomae)).embeddings.position_embeddings
    assert torch.equal(encoder._net.embeddings.position_embeddings, fresh)


@pytest.mark.parametrize(
    ("available", "expected"),
    [
        (16, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]),
        (160, [9, 10, 29, 30, 49, 50, 69, 70, 89, 90, 109, 110, 129, 130, 149, 150]),
        (2, [0, 1] * 8),
        (1, [0] * 16),
    ],
)
def test_segments_are_eight_pairs(available: int, expected: list[int]) -> None:
    assert segment_frames(available, 16, 2).tolist() == expected


@pytest.mark.parametrize("available", range(1, 60))
def test_segments_stay_inside_and_in_order(available: int) -> None:
    frames = segment_frames(available, 16, 2)
    assert frames.min() >= 0 and frames.max() < available and (np.diff(frames[::2]) >= 0).all()


def test_a_folder_of_the_encoder_alone_opens(mae: Path, crops: Crops, tmp_path_factory: pytest.TempPathFactory) -> None:
    alone = tmp_path_factory.mktemp("alone")
    ViTMAEModel.from_pretrained(mae).save_pretrained(alone)
    ViTImageProcessorPil.from_pretrained(mae).save_pretrained(alone)
    assert (FaceMae(alone)(crops) == FaceMae(mae)(crops)).all()


def test_what_is_left_out_is_told(mae: Path, crops: Crops, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "emotion_llama.encoders.folder"):
        FaceMae(mae)(crops)
    (told,) = [record.getMessage() for record in caplog.records if record.name.endswith("encoders.folder")]
    assert "tensors of the decoder: decoder." in told and "vit." not in told


@pytest.mark.parametrize(("made", "encoder"), [("mae", FaceMae), ("videomae", FaceVideoMae)])
def test_missing_and_unknown_tensors_are_refused(
    made: str, encoder: type[FaceMae] | type[FaceVideoMae], crops: Crops, request: pytest.FixtureRequest
) -> None:
    folder = request.getfixturevalue(made)
    tensors = load_file(folder / "model.safetensors")
    gone = next(name for name in tensors if name.endswith("layernorm_after.weight") and "decoder" not in name)
    lacking = {name: value for name, value in tensors.items() if name != gone}
    save_file(lacking, folder / "model.safetensors", metadata={"format": "pt"})
    with pytest.raises(ModelError, match=r"missing: .*layernorm_after.weight"):
        encoder(folder)(crops)
    save_file(tensors | {"classifier.weight": np.zeros((2, 24), np.float32)}, folder / "model.safetensors",
              metadata={"format": "pt"})  # fmt: skip
    with pytest.raises(ModelError, match=r"unknown: classifier\.weight"):
        encoder(folder)(crops)
    (folder / "model.safetensors").write_bytes(b"torn")
    with pytest.raises(ModelError, match="weights cannot be read"):
        encoder(folder)(crops)


def test_tensors_of_another_size_are_refused(mae: Path, crops: Crops) -> None:
    config = json.loads((mae / "config.json").read_text())
    (mae / "config.json").write_text(json.dumps(config | {"intermediate_size": 40}))
    with pytest.raises(ModelError, match="size"):
        FaceMae(mae)(crops)


def test_a_folder_of_another_kind_is_refused(mae: Path) -> None:
    with pytest.raises(ModelError, match="expected a net of type 'videomae', found 'vit_mae'"):
        FaceVideoMae(mae)
    (mae / "config.json").write_text("{")
    with pytest.raises(ModelError, match="not readable as JSON"):
        FaceMae(mae)


@pytest.mark.parametrize("name", ["config.json", "preprocessor_config.json"])
def test_a_folder_that_does_not_say_how_pixels_are_scaled_is_refused(mae: Path, name: str) -> None:
    (mae / name).unlink()
    with pytest.raises(ModelError, match=f"{name} is missing"):
        FaceMae(mae)


def test_no_face_and_floats_are_refused(mae: Path, crops: Crops) -> None:
    for wrong in (crops[:0], crops[0], crops.astype(np.float32)):
        with pytest.raises(ModelError, match="at least one face crop"):
            FaceMae(mae)(wrong)

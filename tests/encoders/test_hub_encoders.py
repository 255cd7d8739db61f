"""Encoders of the hub by configuration: small nets of each family, against the library's own use of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPVisionModel,
    Data2VecAudioConfig,
    Data2VecAudioModel,
    Dinov2Config,
    Dinov2Model,
    SiglipConfig,
    SiglipModel,
    ViTConfig,
    ViTModel,
    WavLMConfig,
    WavLMModel,
    WhisperConfig,
    WhisperFeatureExtractor,
    WhisperModel,
)

from emotion_llama.encoders.own import encoder_folder, encoder_sha256, open_global, open_local
from emotion_llama.encoders.picture import PictureEncoder
from emotion_llama.encoders.speech import SpeechEncoder
from emotion_llama.errors import ModelError
from emotion_llama.media import Waveform

SIZES = {"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 32}
SEES = {**SIZES, "image_size": 32, "patch_size": 4}
READS = {
    **SIZES,
    "vocab_size": 40,
    "max_position_embeddings": 8,
    "bos_token_id": 0,
    "eos_token_id": 1,
    "pad_token_id": 1,
}
PIXELS = {
    "do_resize": True,
    "size": {"height": 32, "width": 32},
    "resample": 3,
    "do_rescale": True,
    "rescale_factor": 1 / 255,
    "do_normalize": True,
    "image_mean": [0.5, 0.4, 0.3],
    "image_std": [0.5, 0.6, 0.7],
}


def _saved(net: Any, folder: Path, about: dict[str, Any]) -> Path:
    net.save_pretrained(folder)
    (folder / "preprocessor_config.json").write_text(json.dumps(about), encoding="utf-8")
    return folder


def _seeing(kind: str, folder: Path) -> Path:
    torch.manual_seed(0)
    if kind == "clip":
        shortest = {"size": {"shortest_edge": 32}, "do_center_crop": True, "crop_size": {"height": 32, "width": 32}}
        net = CLIPModel(CLIPConfig(text_config=READS, vision_config=SEES, projection_dim=8))
        return _saved(net, folder, {**PIXELS, **shortest, "image_processor_type": "CLIPImageProcessor"})
    if kind == "siglip":
        net = SiglipModel(SiglipConfig(text_config=READS, vision_config=SEES))
        return _saved(net, folder, {**PIXELS, "image_processor_type": "SiglipImageProcessor"})
    if kind == "dinov2":
        about = {**PIXELS, "size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}}
        return _saved(Dinov2Model(Dinov2Config(**SEES)), folder, {**about, "image_processor_type": "BitImageProcessor"})
    return _saved(ViTModel(ViTConfig(**SEES)), folder, {**PIXELS, "image_processor_type": "ViTImageProcessor"})


@pytest.mark.parametrize("kind", ["clip", "siglip", "dinov2", "vit"])
def test_any_vision_transformer_is_a_global_and_a_local_encoder(kind: str, tmp_path: Path) -> None:
    folder = _seeing(kind, tmp_path / kind)
    picture = np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8)
    encoder = open_global(folder, "cpu")
    assert isinstance(encoder, PictureEncoder)
    rows = encoder.features(picture)
    assert (rows["global"].shape, rows["global_cls"].shape) == ((encoder.tokens, encoder.width), (1, 16))
    np.testing.assert_allclose(rows["global"].mean(axis=0), rows["global_cls"][0], atol=1e-5)  # 64 patches by fours
    crops = np.stack([picture, picture[::-1]])
    each = open_local(folder, "cpu").frames(crops)
    np.testing.assert_allclose(each[0], rows["global_cls"][0], atol=1e-5)
    assert not np.allclose(each[0], each[1])


def test_clips_rows_are_the_states_of_its_patches(tmp_path: Path) -> None:
    """The library's own tower on pixels scaled by hand."""
    folder = _seeing("clip", tmp_path / "clip")
    picture = np.random.default_rng(1).integers(0, 256, (32, 32, 3), dtype=np.uint8)
    pixels = (picture / 255.0 - PIXELS["image_mean"]) / PIXELS["image_std"]
    net = CLIPVisionModel.from_pretrained(folder).eval()
    with torch.inference_mode():
        states = net(torch.tensor(pixels.transpose(2, 0, 1)[None], dtype=torch.float32)).last_hidden_state[0, 1:]
    square = states.reshape(8, 8, 16)  # rows and columns of patches
    rows = PictureEncoder(folder)(picture)
    np.testing.assert_allclose(rows[0], square[:2, :2].mean(dim=(0, 1)).numpy(), atol=1e-5)
    np.testing.assert_allclose(rows[7], square[2:4, 6:].mean(dim=(0, 1)).numpy(), atol=1e-5)


def test_a_folder_that_sees_nothing_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"config\.json is missing"):
        PictureEncoder(tmp_path)
    for name in ("config.json", "preprocessor_config.json"):
        (tmp_path / name).write_text('{"model_type": "bert"}', encoding="utf-8")
    with pytest.raises(ModelError, match="vision transformer with a patch_size, found a net of type 'bert'"):
        PictureEncoder(tmp_path)
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    with pytest.raises(ModelError, match="patch_size"):
        open_local(tmp_path, "cpu")


HEARS = {**SIZES, "conv_dim": (16, 16), "conv_stride": (10, 32), "conv_kernel": (20, 32), "num_conv_pos_embeddings": 8}
SOUND = Waveform(np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32))


@pytest.mark.parametrize(
    ("net", "config"),
    [
        (WavLMModel, WavLMConfig(**HEARS, num_conv_pos_embedding_groups=4)),
        (Data2VecAudioModel, Data2VecAudioConfig(**HEARS, num_conv_pos_embedding_groups=4)),
    ],
    ids=["wavlm", "data2vec"],
)
def test_speech_encoders_of_the_kind_are_opened_without_code_of_their_own(
    net: Any, config: Any, tmp_path: Path
) -> None:
    torch.manual_seed(0)
    about = {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000, "do_normalize": True}
    made = net(config).eval()
    row = SpeechEncoder(_saved(made, tmp_path / "net", about))(SOUND)
    normal = (SOUND.samples - SOUND.samples.mean()) / np.sqrt(SOUND.samples.var() + 1e-7)
    with torch.inference_mode():
        expected = made(torch.from_numpy(normal)[None].float()).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(row[0], expected.numpy(), atol=2e-5)


def test_whisper_hears_with_its_encoder_and_only_what_sounds_counts(tmp_path: Path) -> None:
    torch.manual_seed(0)
    sizes = {"d_model": 16, "encoder_layers": 2, "decoder_layers": 1, "encoder_attention_heads": 2}
    config = WhisperConfig(
        **sizes, decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, num_mel_bins=80, vocab_size=60,
        pad_token_id=0, bos_token_id=1, eos_token_id=2, decoder_start_token_id=3,
    )  # fmt: skip
    net = WhisperModel(config).eval()
    folder = tmp_path / "whisper"
    net.save_pretrained(folder)
    extractor = WhisperFeatureExtractor(feature_size=80)
    extractor.save_pretrained(folder)
    encoder = SpeechEncoder(folder)
    mel = extractor(SOUND.samples, sampling_rate=16_000, return_tensors="pt").input_features
    with torch.inference_mode():
        states = net.encoder(mel).last_hidden_state[0]  # (1500, 16): 30 s
    assert encoder.width == 16
    np.testing.assert_allclose(encoder(SOUND)[0], states[:75].mean(0).numpy(), atol=2e-5)  # 1.5 s


def test_an_encoder_is_found_beside_the_checkpoint_from_here_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "checkpoint/encoders/audio").mkdir(parents=True)
    (tmp_path / "runs/face-mae").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    assert encoder_folder("encoders/audio", tmp_path / "checkpoint") == tmp_path / "checkpoint/encoders/audio"
    assert encoder_folder("runs/face-mae", tmp_path / "checkpoint").resolve() == tmp_path / "runs/face-mae"
    assert encoder_folder(str(tmp_path / "runs/face-mae")) == tmp_path / "runs/face-mae"
    with pytest.raises(ModelError, match=r"encoder not/a/name: expected a folder or OWNER/NAME"):
        encoder_folder("not/a/name")


def test_two_encoders_differ_by_their_weights(tmp_path: Path) -> None:
    for name, content in (("a", b"1"), ("b", b"2"), ("c", b"1")):
        (tmp_path / name).mkdir()
        (tmp_path / name / "model.safetensors").write_bytes(content)
    a, b, c = (encoder_sha256(tmp_path / name) for name in "abc")
    assert a == c != b

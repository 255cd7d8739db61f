"""A small release, from its files to answers about a recording, as a user goes."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import HubertConfig, HubertModel, VideoMAEConfig, VideoMAEModel, ViTMAEConfig, ViTMAEModel
from typer.testing import CliRunner

import emotion_llama as el
from emotion_llama.cli import app
from emotion_llama.encoders.speech import SpeechEncoder
from emotion_llama.errors import UsageError
from emotion_llama.media import Waveform
from emotion_llama.official.convert import ReleasedFiles, convert_official
from emotion_llama.official.feature_folders import FOLDERS, WIDTH, write_features

from .conftest import SMALL

PIXELS = {"do_resize": True, "do_rescale": True, "do_normalize": False, "resample": 2}


def small_encoders(folder: Path) -> dict[str, Path]:
    """Encoders of the released widths with one layer, as folders of the hub."""
    torch.manual_seed(0)
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": 1, "num_attention_heads": 4, "intermediate_size": 32}
    wave = {"conv_dim": (16, 16), "conv_stride": (10, 32), "conv_kernel": (20, 32)}
    nets = {
        "audio": HubertModel(HubertConfig(**sizes, **wave, num_conv_pos_embeddings=8, num_conv_pos_embedding_groups=4)),
        "local": ViTMAEModel(ViTMAEConfig(**sizes, image_size=32)),
        "temporal": VideoMAEModel(VideoMAEConfig(**sizes, image_size=32)),
    }
    described = {
        "audio": {"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 16000, "do_normalize": True},
        "local": {**PIXELS, "size": {"height": 32, "width": 32}},
        "temporal": {**PIXELS, "size": {"shortest_edge": 32}, "crop_size": {"height": 32, "width": 32}},
    }
    for name, net in nets.items():
        net.save_pretrained(folder / name)
        (folder / name / "preprocessor_config.json").write_text(json.dumps(described[name]), encoding="utf-8")
    return {name: folder / name for name in nets}


@pytest.fixture(scope="module")
def whole(released: ReleasedFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The converted small release, with all four encoders."""
    folder = tmp_path_factory.mktemp("whole")
    encoders = small_encoders(folder / "hub")
    out = folder / "model"
    convert_official(replace(released, hubert=encoders["audio"]), out, eva=SMALL)
    config = json.loads((out / "config.json").read_text(encoding="utf-8"))
    config["encoders"] |= {name: str(path) for name, path in encoders.items() if name != "audio"}
    (out / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return out


@pytest.fixture(scope="module")
def clip(model_name: str) -> Path:
    """A recording of a person; `model_name` skips where the assets of perception are not here."""
    from emotion_llama import assets

    return next(assets.path("sample-speech").glob("*.mp4"))


@pytest.mark.weights
def test_all_four_encoders_run_and_every_layout_answers(whole: Path, clip: Path) -> None:
    model = el.load(whole, device="cpu")
    found = {
        layout: model.analyze(clip, labels="mer9", tasks=("emotion", "reason"), max_new_tokens=4, layout=layout)
        for layout in (None, "official-demo", "aligned")
    }
    first = found[None]
    assert first.provenance.layout == "official-eval" and found["aligned"].provenance.layout == "aligned"
    assert sum(first.probabilities.values()) == pytest.approx(1)
    assert first.prompts["emotion"].startswith(
        "<s><s>[INST] <video>⟨global×16⟩⟨local×1⟩⟨temporal×1⟩⟨audio×1⟩⟨global_cls×1⟩"
    )
    assert "</video> <feature>⟨local×1⟩" in found["aligned"].prompts["emotion"]
    assert found["official-demo"].probabilities != first.probabilities != found["aligned"].probabilities
    assert not any("zeros" in warning for warning in first.warnings)


@pytest.mark.weights
def test_what_is_missing_is_zeros_only_in_the_released_layouts_and_is_told(whole: Path, clip: Path) -> None:
    model = el.load(whole, device="cpu")
    deaf = model.analyze(clip, tasks=("emotion",), without=("audio",))
    assert any("zeros stand for audio" in warning for warning in deaf.warnings)
    assert "⟨audio×1⟩" in deaf.prompts["emotion"]
    left_out = model.analyze(clip, tasks=("emotion",), without=("audio",), layout="aligned")
    assert "audio" not in left_out.prompts["emotion"] and not any("zeros" in w for w in left_out.warnings)


@pytest.mark.weights
def test_labels_are_read_as_the_released_evaluation_reads_them(whole: Path, clip: Path) -> None:
    model = el.load(whole, device="cpu")
    strict = model.analyze(clip, tasks=("emotion",), label_method="generate-last-word", max_new_tokens=4)
    assert strict.emotion is None and any("counts as none" in warning for warning in strict.warnings)
    lenient = model.analyze(clip, tasks=("emotion",), label_method="generate-last-word-or-neutral", max_new_tokens=4)
    assert lenient.emotion == "neutral" and lenient.raw["emotion"] == strict.raw["emotion"]


@pytest.mark.weights
def test_feature_files_stand_in_for_the_encoders(whole: Path, clip: Path, tmp_path: Path) -> None:
    model = el.load(whole, device="cpu")
    rows = {name: np.full((1, WIDTH), 0.1, np.float32) for name in ("local", "temporal", "audio")}
    write_features(tmp_path, clip.stem, rows)
    own = model.analyze(clip, tasks=("emotion",))
    given = model.analyze(clip, tasks=("emotion",), features=tmp_path)
    assert own.probabilities != given.probabilities


@pytest.mark.weights
def test_the_released_layout_is_written_read_and_found_sound(whole: Path, clip: Path, tmp_path: Path) -> None:
    words = ["extract", str(clip), "--model", str(whole), "--format", "official", "--out", str(tmp_path)]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    for folder in FOLDERS.values():
        assert np.load(tmp_path / folder / f"{clip.stem}.npy").shape == (WIDTH,)
    model = el.load(whole, device="cpu")
    settings = {"tasks": ("emotion",), "transcribe": False}
    own, given = (model.analyze(clip, features=features, **settings) for features in (None, tmp_path))
    assert given.probabilities == pytest.approx(own.probabilities, abs=1e-6)


def test_a_layout_is_for_released_weights_only(model_name: str) -> None:
    with pytest.raises(UsageError, match="only converted official weights"):
        el.load(model_name, device="cpu").analyze(transcript="hello", layout="official-eval")


def test_speech_encoder_is_the_mean_of_the_last_layer(tmp_path: Path) -> None:
    encoders = small_encoders(tmp_path)
    sound = Waveform(np.random.default_rng(0).normal(0, 0.1, 24_000).astype(np.float32))
    row = SpeechEncoder(encoders["audio"])(sound)
    net = HubertModel.from_pretrained(encoders["audio"]).eval()
    normal = (sound.samples - sound.samples.mean()) / np.sqrt(sound.samples.var() + 1e-7)
    with torch.inference_mode():
        expected = net(torch.from_numpy(normal)[None].float()).last_hidden_state[0].mean(0)
    np.testing.assert_allclose(row[0], expected.numpy(), atol=2e-5)

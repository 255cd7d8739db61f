"""`extract` on recordings: files that analysis reads with the same result, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from emotion_llama import assets
from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.feature_files import read_clip
from emotion_llama.cli import app


def _extract(*words: object) -> Result:
    return CliRunner().invoke(app, ["extract", *map(str, words)])


def _said(found: Result) -> str:
    return f"{found.exception} {' '.join(found.output.split())}"


@pytest.fixture
def folder(tmp_path: Path, nano: EmotionLlama) -> Path:
    """The sample recording, beside a file that is none."""
    shutil.copyfile(next(assets.path("sample-speech").glob("*.mp4")), tmp_path / "speech.mp4")
    (tmp_path / "broken.mp4").write_bytes(b"no film")
    return tmp_path


@pytest.mark.weights
def test_extracted_features_give_the_same_answer(folder: Path, nano: EmotionLlama) -> None:
    out = folder / "features"
    found = _extract(folder, "--out", out)
    assert found.exit_code == 1 and "failed: " in found.output and "broken.mp4" in found.output  # and the other is done
    rows = read_clip(out, "speech")
    assert {"global", "local", "temporal", "audio", "audio_mix", "audio_statistics"} <= set(rows)
    settings = {"tasks": ("emotion",), "transcribe": False}
    plain = nano.analyze(folder / "speech.mp4", **settings)
    given = nano.analyze(folder / "speech.mp4", features=out, **settings)
    assert given.probabilities == pytest.approx(plain.probabilities, abs=1e-6)
    checked = _extract("--check", out)
    assert checked.exit_code == 0, checked.output
    missed = _extract(folder, "--check", out)  # broken.mp4 should be there
    assert missed.exit_code == 1 and "broken: no file" in missed.output


@pytest.mark.weights
def test_only_what_is_asked_for_runs_and_is_not_done_again(folder: Path) -> None:
    out, clip = folder / "heard", folder / "speech.mp4"
    assert _extract(clip, "--features", "audio", "--out", out).exit_code == 0
    assert set(read_clip(out, "speech")) == {"audio", "audio_mix", "audio_statistics"}
    written = (out / "speech.safetensors").stat().st_mtime_ns
    again = _extract(clip, "--features", "audio", "--out", out)
    assert again.exit_code == 0 and "1 of 1 clips were extracted before" in again.output
    assert (out / "speech.safetensors").stat().st_mtime_ns == written
    assert json.loads((out / "features.json").read_text(encoding="utf-8"))["model"] == "nano"


@pytest.mark.weights
def test_nanos_features_do_not_fit_the_released_layout(folder: Path) -> None:
    found = _extract(folder / "speech.mp4", "--format", "official", "--out", folder / "released")
    assert found.exit_code == 1 and "extract with the encoders of a converted release" in found.output.replace(
        "\n", " "
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "give recordings"),
        (("a.mp4",), "say --out"),
        (("a.mp4", "--out", "x", "--features", "smell"), "--features: smell is not one of global, local"),
        (("a.mp4", "--out", "x", "--features", "global", "--format", "official"), "global is not one of local"),
        (("a.mp4", "--out", "x", "--format", "npz"), "--format: npz is not one of own, official"),
        (("a.mp4", "--out", "x", "--engine", "slurm"), "engine 'slurm'"),
        (("a.mp4", "b/a.wav", "--out", "x"), "would both be written as a"),
    ],
)
def test_wrong_words_are_refused(words: tuple[str, ...], said: str, tmp_path: Path, monkeypatch) -> None:  # type: ignore[no-untyped-def]
    monkeypatch.chdir(tmp_path)
    found = _extract(*words)
    assert found.exit_code != 0
    assert said in _said(found)


def test_a_folder_of_another_model_is_refused(tmp_path: Path) -> None:
    (tmp_path / "features.json").write_text(json.dumps({"model": "other"}), encoding="utf-8")
    found = _extract(tmp_path / "a.mp4", "--out", tmp_path)
    assert found.exit_code != 0
    assert "features of another kind (model, encoders, format" in _said(found)

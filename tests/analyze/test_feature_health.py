"""The feature doctor knows the widths and scales that a checkpoint learned on."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.analyze.feature_files import write_clip
from emotion_llama.analyze.feature_health import check, expected_of
from emotion_llama.analyze.preset import load_preset
from emotion_llama.errors import ManifestError

NANO = load_preset("nano", device="cpu", dtype="auto", threads=1).folder


def _clip(seed: int, scale: float = 1.0) -> dict[str, np.ndarray]:
    """Rows as nano's encoders give them: drawn from the numbers that its projectors and heads learned."""
    draw = np.random.default_rng(seed)
    found = {}
    for name, one in expected_of(NANO).items():
        assert one.mean is not None and one.spread is not None
        rows = one.mean + scale * one.spread * draw.standard_normal((2, one.width))
        found[name] = rows.astype(np.float32)
    return found


def test_the_shipped_checkpoint_says_what_it_expects() -> None:
    expected = expected_of(NANO)
    assert {"global", "local", "temporal", "audio_mix", "audio_statistics", "face_view"} <= set(expected)
    assert expected["global"].width == 1280 and expected["audio_statistics"].width == 6144


def test_sound_features_are_sound(tmp_path: Path) -> None:
    for number in range(3):
        write_clip(tmp_path, f"clip{number}", _clip(number), "own")
    found = check(tmp_path, "nano")
    assert all(one.sound and one.clips == 3 for one in found) and len(found) == len(expected_of(NANO))
    rows = np.concatenate([_clip(number)["global"] for number in range(3)]).astype(np.float64)
    seen = next(one for one in found if one.feature == "global")
    assert (seen.mean, seen.std) == (pytest.approx(rows.mean()), pytest.approx(rows.std()))
    assert (seen.least, seen.most) == (rows.min(), rows.max())


def test_what_is_amiss_is_told_by_clip_and_array(tmp_path: Path) -> None:
    good = _clip(0)
    write_clip(tmp_path, "good", good, "own")
    write_clip(tmp_path, "narrow", {**good, "global": good["global"][:, :-1]}, "own")
    write_clip(tmp_path, "blank", {**good, "local": np.zeros((2, 135), np.float32)}, "own")
    (tmp_path / "cut.safetensors").write_bytes(b"cut")
    found = {one.feature: one for one in check(tmp_path, "nano", ["good", "narrow", "blank", "cut", "absent"])}
    assert found["global"].wrong["narrow"] == "expected rows of 1280 numbers, found 1279"
    assert found["local"].zeros == ("blank",)
    for one in found.values():
        assert one.wrong["absent"] == "no file" and "not a readable" in one.wrong["cut"] and not one.sound


def test_features_of_another_scale_are_told(tmp_path: Path) -> None:
    for number in range(2):
        write_clip(tmp_path, f"clip{number}", {**_clip(number), "local": _clip(number, 4.5)["local"]}, "own")
    found = {one.feature: one for one in check(tmp_path, "nano")}
    assert "it will not understand it" in str(found["local"].off_scale) and found["temporal"].sound


def test_the_checkpoint_is_that_of_the_folder_unless_told(tmp_path: Path) -> None:
    write_clip(tmp_path, "a", _clip(0), "own")
    with pytest.raises(ManifestError, match=r"features\.json: does not name the model"):
        check(tmp_path, None)
    (tmp_path / "features.json").write_text(json.dumps({"model": "nano"}), encoding="utf-8")
    assert all(one.sound for one in check(tmp_path, None))


def test_a_folder_without_features_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match="expected feature files"):
        check(tmp_path, "nano")


def test_released_features_do_not_fit_another_checkpoint(tmp_path: Path) -> None:
    row = np.random.default_rng(0).normal(0, 0.1, (1, 1024)).astype(np.float32)
    write_clip(tmp_path, "a", {"local": row}, "official")
    (one,) = check(tmp_path, "nano")
    assert "1024 numbers a clip, where nano reads 135" in str(one.off_scale)

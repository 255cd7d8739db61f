"""Feature files of the released layout: written, read, and what is wrong with them named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotion_llama.errors import ManifestError, OutputError
from emotion_llama.official.feature_folders import FOLDERS, RELEASED, examine, read_features, write_features


def rows(seed: int) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(seed)
    return {name: draw.normal(mean, std, (1, 1024)).astype(np.float32) for name, (mean, std) in RELEASED.items()}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    assert write_features(tmp_path, "sample_1", rows(0)) == []
    assert (tmp_path / "HL-UTT/sample_1.npy").is_file() and np.load(tmp_path / "HL-UTT/sample_1.npy").shape == (1024,)
    found = read_features(tmp_path, "sample_1")
    for name, row in rows(0).items():
        np.testing.assert_array_equal(found[name], row)
    np.save(tmp_path / "HL-UTT/sample_1.npy", rows(0)["audio"])  # with a leading dimension, as some released ones
    np.testing.assert_array_equal(read_features(tmp_path, "sample_1")["audio"], rows(0)["audio"])


def test_what_a_clip_lacks_is_told_and_not_written(tmp_path: Path) -> None:
    assert write_features(tmp_path, "a", {"audio": rows(0)["audio"]}) == ["local", "temporal"]
    assert list(read_features(tmp_path, "a")) == ["audio"]
    with pytest.raises(ManifestError, match=r"clip b: expected b\.npy"):
        read_features(tmp_path, "b")
    with pytest.raises(OutputError, match=r"local as \(1, 1024\), found \(2, 135\)"):
        write_features(tmp_path, "a", {"local": np.zeros((2, 135), np.float32)})


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.zeros(1024, np.float32), "all zeros"),
        (np.ones(768, np.float32), "expected 1024 numbers"),
        (np.full(1024, np.nan, np.float32), "finite"),
        (np.ones((3, 1024), np.float32), "expected 1024 numbers"),
    ],
)
def test_bad_features_are_named(array: np.ndarray, said: str, tmp_path: Path) -> None:
    write_features(tmp_path, "good", rows(0))
    np.save(tmp_path / "HL-UTT/bad.npy", array)
    with pytest.raises(ManifestError, match=said):
        read_features(tmp_path, "bad")
    health = {one.feature: one for one in examine(tmp_path, ["good", "bad"])}["audio"]
    assert not health.sound and ("bad" in health.wrong or health.zeros == ("bad",))


def test_the_doctor_knows_the_scale(tmp_path: Path) -> None:
    for number in range(4):
        write_features(tmp_path, f"clip{number}", rows(number))
    assert all(one.sound and one.clips == 4 for one in examine(tmp_path))
    loud = {**rows(9), "audio": rows(9)["audio"] * 10}
    for number in range(4):
        write_features(tmp_path, f"clip{number}", loud)
    health = {one.feature: one for one in examine(tmp_path)}
    assert "0.10" in str(health["audio"].off_scale) and health["local"].sound
    assert not {one.feature: one for one in examine(tmp_path, ["clip0", "absent"])}["local"].sound
    with pytest.raises(ManifestError, match=" or |, ".join(FOLDERS.values()).split(" or ")[0]):
        examine(tmp_path / "nothing")

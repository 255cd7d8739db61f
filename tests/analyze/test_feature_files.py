"""Feature files of both forms are written, read, and what is wrong with them is named."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from emotion_llama.analyze.feature_files import file_name, file_names, is_written, lacking, read_clip, write_clip
from emotion_llama.errors import ManifestError, OutputError, UsageError

ROWS = {"audio": np.arange(6, dtype=np.float32).reshape(2, 3), "global": np.ones((1, 4), np.float32)}


def test_what_is_written_is_read_and_not_before_it_is_used(tmp_path: Path) -> None:
    write_clip(tmp_path / "new", "a", ROWS, "own")
    found = read_clip(tmp_path / "new", "a")
    assert sorted(found) == ["audio", "global"]
    np.testing.assert_array_equal(found["audio"], ROWS["audio"])
    assert [path.name for path in (tmp_path / "new").iterdir()] == ["a.safetensors"]
    (tmp_path / "new/a.safetensors").unlink()
    with pytest.raises(OutputError, match=r"a\.safetensors"):
        found["audio"]


def test_upstreams_folders_are_read_where_ours_are_not_there(tmp_path: Path) -> None:
    row = np.full((1, 1024), 0.5, np.float32)
    write_clip(tmp_path, "a", {"audio": row}, "official")
    assert (tmp_path / "HL-UTT/a.npy").is_file()
    np.testing.assert_array_equal(read_clip(tmp_path, "a")["audio"], row)
    assert is_written(tmp_path, "a", ("audio",), "official") and not is_written(tmp_path, "a", ("local",), "official")
    assert not is_written(tmp_path, "a", ("audio",), "own")


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        (np.zeros((1, 3), np.float32), "all zeros"),
        (np.full((1, 3), np.inf, np.float32), "finite"),
        (np.ones(3, np.float32), r"rows \(N, E\)"),
        (np.ones((1, 3), np.float64), "float64"),
    ],
)
def test_damaged_features_are_named_by_file_and_array(rows: np.ndarray, said: str, tmp_path: Path) -> None:
    save_file({"good": ROWS["audio"], "bad": rows}, tmp_path / "a.safetensors")
    with pytest.raises(ManifestError, match=rf"a\.safetensors, bad: .*{said}"):
        read_clip(tmp_path, "a")


def test_a_missing_or_cut_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"clip a: expected .*a\.safetensors"):
        read_clip(tmp_path, "a")
    write_clip(tmp_path, "a", ROWS, "own")
    (tmp_path / "a.safetensors").write_bytes((tmp_path / "a.safetensors").read_bytes()[:50])
    with pytest.raises(ManifestError, match="not a readable feature file"):
        read_clip(tmp_path, "a")


def test_names_are_those_of_the_recordings_and_never_meet() -> None:
    assert file_name("folder/clip.mp4") == "clip" and file_name("sample_01") == "sample_01"
    assert file_names(["a/x.mp4", "a/y.mp4"]) == ["x", "y"]
    with pytest.raises(UsageError, match=r"a/x\.mp4 and b/x\.wav would both be written as x"):
        file_names(["a/x.mp4", "b/x.wav"])


def test_an_encoder_is_there_if_any_of_its_arrays_is() -> None:
    assert lacking({"audio_mix": 1, "global": 1}, ("audio", "local", "global")) == ("local",)

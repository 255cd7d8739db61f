"""Arrays of one file, read only when they are asked for."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from emotion_llama.encoders.features import StoredArrays
from emotion_llama.errors import OutputError


@pytest.fixture
def stored(tmp_path: Path) -> StoredArrays:
    arrays = {"audio": np.arange(6, dtype=np.float32).reshape(2, 3), "local": np.ones((1, 4), np.float32)}
    save_file({**arrays, "notes": np.zeros(3, np.uint8)}, tmp_path / "entry.safetensors")
    return StoredArrays(tmp_path / "entry.safetensors", ("audio", "local"))


def test_stored_arrays_are_a_mapping_of_what_was_written(stored: StoredArrays) -> None:
    assert list(stored) == ["audio", "local"] and len(stored) == 2
    assert "audio" in stored and "global" not in stored and stored.get("global") is None
    np.testing.assert_array_equal(stored["audio"], [[0, 1, 2], [3, 4, 5]])
    for name in ("global", "notes"):  # notes are no feature
        with pytest.raises(KeyError):
            stored[name]


def test_nothing_is_held(stored: StoredArrays) -> None:
    stored["audio"][:] = 9
    assert stored["audio"].max() == 5
    assert len(pickle.dumps(stored)) < 1000  # worker processes get the path, not the numbers
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(stored))["audio"], stored["audio"])


@pytest.mark.parametrize("damage", ["gone", "cut"])
def test_a_cache_file_that_went_away_is_named(stored: StoredArrays, damage: str) -> None:
    if damage == "gone":
        stored.path.unlink()
    else:
        stored.path.write_bytes(stored.path.read_bytes()[:40])
    with pytest.raises(OutputError, match=r"entry\.safetensors: cannot be read any more .*emotion-llama extract"):
        stored["audio"]

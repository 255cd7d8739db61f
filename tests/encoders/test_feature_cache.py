from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from emotion_llama.encoders.features import FeatureCache, Features, feature_key
from emotion_llama.errors import OutputError


class Step:
    """Counts how often it is run."""

    def __init__(self, size: int = 8) -> None:
        self.runs = 0
        self.size = size

    def __call__(self) -> Features:
        self.runs += 1
        return {"audio": np.arange(self.size, dtype=np.float32).reshape(2, -1)}


def key(**changes: object) -> str:
    parts: dict = {
        "media_sha256": "a" * 64,
        "span_s": (0.0, None),
        "step": "audio",
        "version": "1",
        "settings": {"x": 1, "y": 2},
    }
    return feature_key(**{**parts, **changes})


def test_second_use_reads_the_same_bytes(tmp_path: Path) -> None:
    step = Step()
    fresh = FeatureCache(tmp_path).get_or_compute(key(), step)
    cached = FeatureCache(tmp_path).get_or_compute(key(), step)
    assert step.runs == 1
    np.testing.assert_array_equal(fresh["audio"], cached["audio"])
    assert cached["audio"].dtype == np.float32
    assert (tmp_path / key()[:2] / f"{key()}.safetensors").is_file()


def test_transposed_arrays_come_back_right(tmp_path: Path) -> None:
    array = np.arange(6, dtype=np.float32).reshape(2, 3).T
    FeatureCache(tmp_path).get_or_compute(key(), lambda: {"a": array})
    np.testing.assert_array_equal(FeatureCache(tmp_path).get_or_compute(key(), Step())["a"], array)


def test_key_depends_on_everything_but_the_order_of_settings() -> None:
    assert key(settings={"y": 2, "x": 1}) == key()
    changed = [
        key(media_sha256="b" * 64),
        key(span_s=(0.0, 1.0)),
        key(step="global"),
        key(version="2"),
        key(settings={"x": 1, "y": 3}),
    ]
    assert len({key(), *changed}) == 6


@pytest.mark.parametrize("damage", [b"", b"\x00" * 40, None])
def test_damaged_entry_is_computed_again_and_replaced(tmp_path: Path, damage: bytes | None) -> None:
    cache, step = FeatureCache(tmp_path), Step()
    cache.get_or_compute(key(), step)
    (entry,) = tmp_path.glob("??/*")
    entry.write_bytes(entry.read_bytes()[:-4] if damage is None else damage)
    np.testing.assert_array_equal(cache.get_or_compute(key(), step)["audio"], step()["audio"])
    cache.get_or_compute(key(), step)
    assert step.runs == 3  # first, after the damage, and the one called here


def test_failed_step_leaves_nothing(tmp_path: Path) -> None:
    def fail() -> Features:
        raise OSError("camera on fire")

    with pytest.raises(OSError, match="camera"):
        FeatureCache(tmp_path).get_or_compute(key(), fail)
    assert not list(tmp_path.glob("**/*"))


def test_oldest_entries_go_when_the_bound_is_passed(tmp_path: Path) -> None:
    cache, step = FeatureCache(tmp_path, max_bytes=3000), Step(size=250)
    keys = [key(version=str(number)) for number in range(4)]  # about 1.1 kB each
    for one in keys:
        cache.get_or_compute(one, step)
    left = {path.stem for path in tmp_path.glob("??/*")}
    assert left == set(keys[2:])


def test_unwritable_folder_is_named(tmp_path: Path) -> None:
    blocked = tmp_path / "features"
    blocked.write_text("a file where the folder should be")
    with pytest.raises(OutputError, match="features"):
        FeatureCache(blocked).get_or_compute(key(), Step())

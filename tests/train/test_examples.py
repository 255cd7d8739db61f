"""Examples written to disk and read back."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.clip import Observation
from emotion_llama.train.examples import Example, load_examples, save_examples


def example(number: int) -> Example:
    rng = np.random.default_rng(number)
    seen = Observation(
        channel="voice", text="the voice is loud – “laut”", source="voice-1", name="loudness_db", value=-12.25,
        unit="dB", direction=1, start_s=0.5, end_s=1.75, confidence=0.5, supports=("angry", "happy"),
    )  # fmt: skip
    return Example(
        id=f"wav/{number:02d}ä.wav",
        corpus="emodb",
        emotion="angry",
        person=f"E{number:02d}",
        side="train" if number else "validation",
        transcript=(None, "", "Heute abend könnte ich es ihm sagen.")[number % 3],
        observations=(seen,) * (number % 3),
        arrays={
            "audio": rng.standard_normal((4, 8), dtype=np.float32),
            "audio_layers": rng.standard_normal(24, dtype=np.float32),
        },
    )


def test_saving_and_loading_is_the_identity(tmp_path: Path) -> None:
    written = [example(n) for n in range(5)]
    path = tmp_path / "new" / "folder" / "voices.npz"
    save_examples(written, path)
    read = load_examples(path)
    assert [replace(e, arrays={}) for e in read] == [replace(e, arrays={}) for e in written]
    for one, other in zip(read, written, strict=True):
        assert one.arrays.keys() == other.arrays.keys()
        for name, rows in other.arrays.items():
            assert one.arrays[name].dtype == np.float32
            np.testing.assert_array_equal(one.arrays[name], rows)


def test_nothing_but_the_file_is_left_behind(tmp_path: Path) -> None:
    path = tmp_path / "voices.npz"
    save_examples([example(1)], path)
    save_examples([example(2)], path)
    assert [p.name for p in tmp_path.iterdir()] == ["voices.npz"]
    assert load_examples(path)[0].id == example(2).id


def test_a_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "voices.npz"
    save_examples([example(1)], path)
    uneven = replace(example(2), arrays={name: rows[:2] for name, rows in example(2).arrays.items()})
    with pytest.raises(ValueError, match="same shape"):
        save_examples([example(1), uneven], path)
    assert [e.id for e in load_examples(path)] == [example(1).id]

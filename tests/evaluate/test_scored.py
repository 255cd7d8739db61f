"""What a run keeps of every clip: written and read back without loss."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, OutputError
from emotion_llama.evaluate.records import Item, Prediction
from emotion_llama.evaluate.scored import (
    as_item,
    as_prediction,
    read_scored,
    write_predictions,
    write_scored,
)
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Part

NAMES = ("Müller, 1.mp4", "line\u2028separator", "tab\tand\x85next", '"quoted"')


def made() -> tuple[Part, list[Prediction | None]]:
    items = tuple(
        Item(clip=Clip(clip=name, emotion="sad", speaker="Ä", valence=-0.5, labels=("sad", "tired"))) for name in NAMES
    )
    predictions = [
        Prediction(clip=NAMES[0], emotion="sad", probabilities={"sad": 0.75, "happy": 0.25}, valence=0.0),
        Prediction(clip=NAMES[1], emotion=None, said="no\u2029idea", labels=()),
        None,
        Prediction(clip=NAMES[3], labels=("tired",)),
    ]
    return Part("all", items, ("happy", "sad"), score_labels), predictions


def test_truth_and_answers_come_back_as_they_were(tmp_path: Path) -> None:
    part, predictions = made()
    write_scored([(part, predictions)], tmp_path / "scored.jsonl")
    rows = read_scored(tmp_path / "scored.jsonl")
    assert [row.clip for row in rows] == list(NAMES)
    assert [as_item(row) for row in rows] == list(part.items)
    back = [as_prediction(row) for row in rows]
    assert back == predictions


def test_answers_are_written_once_a_clip_and_plainly(tmp_path: Path) -> None:
    _, predictions = made()
    write_predictions([predictions], tmp_path / "p.jsonl")
    lines = (tmp_path / "p.jsonl").read_text(encoding="utf-8").split("\n")
    assert len(lines) == 4 and lines[-1] == ""
    assert json.loads(lines[0]) == {
        "clip": NAMES[0],
        "emotion": "sad",
        "probabilities": {"sad": 0.75, "happy": 0.25},
        "valence": 0.0,
    }


@pytest.mark.parametrize(
    ("text", "what"), [(b"", "scored.jsonl:1"), (b'{"part": "all"}\n', ":1: not a scored clip"), (b"\xff\n", "UTF-8")]
)
def test_a_damaged_file_is_named(text: bytes, what: str, tmp_path: Path) -> None:
    path = tmp_path / "scored.jsonl"
    path.write_bytes(text)
    with pytest.raises(ManifestError, match=what):
        read_scored(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"none\.jsonl: expected the scored clips"):
        read_scored(tmp_path / "none.jsonl")
    part, predictions = made()
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="file"):
        write_scored([(part, predictions)], tmp_path / "file" / "scored.jsonl")

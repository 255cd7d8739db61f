from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from emotion_llama.clip import Clip
from emotion_llama.datasets.splits import Split, read_split, split_clips, write_split
from emotion_llama.errors import ManifestError

SPLIT = Split(name="tiny", train=("A", "B"), validation=("C",), test=("D",))


def test_round_trip(tmp_path: Path) -> None:
    write_split(SPLIT, tmp_path / "splits" / "tiny.json")
    assert read_split(tmp_path / "splits" / "tiny.json") == SPLIT


def test_no_speaker_on_two_sides() -> None:
    with pytest.raises(ValidationError, match="speaker B is in train and in test"):
        Split(name="bad", train=("A", "B"), test=("B",))
    with pytest.raises(ValidationError, match="train names a speaker twice"):
        Split(name="bad", train=("A", "A"))


def test_clips_go_to_their_speakers_side() -> None:
    clips = [Clip(clip=f"{n}.wav", speaker=speaker) for n, speaker in enumerate("ABCDA")]
    sides = split_clips(clips, SPLIT)
    assert {side: [c.clip for c in found] for side, found in sides.items()} == {
        "train": ["0.wav", "1.wav", "4.wav"],
        "validation": ["2.wav"],
        "test": ["3.wav"],
    }


@pytest.mark.parametrize("speaker", ["E", None])
def test_a_clip_on_no_side_is_not_lost(speaker: str | None) -> None:
    with pytest.raises(ManifestError, match=r"'x.wav'.*on no side of split 'tiny'"):
        split_clips([Clip(clip="x.wav", speaker=speaker)], SPLIT)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"name": "x", "train": ["A"], "tset": ["B"]}', "did you mean 'test'"),
        ('{"name": "x", "unit": "file", "train": ["A"]}', "speaker"),
        ('{"name": "x", "train": ["A"], "test": ["A"]}', "is in train and in test"),
        ("{", "not a split file"),
    ],
)
def test_damaged_split_files(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.json").write_text(text)
    with pytest.raises(ManifestError, match=message):
        read_split(tmp_path / "s.json")
    with pytest.raises(ManifestError, match="cannot read"):
        read_split(tmp_path / "none.json")

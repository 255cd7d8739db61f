"""EmoDB: acted German sentences of people held out."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.datasets.emodb import SPLIT, read_emodb
from emotion_llama.datasets.splits import clips_of_side, read_split
from emotion_llama.evaluate.records import Item
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.labels import LABEL_SETS


def _read(folder: Path, choice: Choice) -> list[Part]:
    clips = clips_of_side(read_emodb(folder), read_split(SPLIT), choice.side)
    return [Part("voice", tuple(Item(clip=clip) for clip in clips), LABEL_SETS["emodb7"], score_labels)]


SUITE = Suite(
    name="emodb",
    title="EmoDB: German voices of held-out people",
    needs="wav/ with the published names (03a01Fa.wav), or a manifest.csv that names the files",
    access="free download from the Technical University of Berlin",
    licence="no licence text with the set; offered for research",
    chance="1 of 7 classes = .143",
    labels=LABEL_SETS["emodb7"],
    read=_read,
    sides=("test", "validation"),
    caution="Speakers 10 and 14 test, 09 validates; two test people say little about others. Where a manifest says "
    "that recordings were cut (group cut), the scores do not compare with those of whole recordings.",
)

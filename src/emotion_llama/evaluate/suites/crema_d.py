"""CREMA-D: acted English sentences of people held out; recordings, tables alone, or a set of features."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.datasets.crema_d import SPLIT, Channel, has_recordings, read_crema_d
from emotion_llama.datasets.features import is_feature_folder, read_feature_clips
from emotion_llama.datasets.splits import clips_of_side, read_split
from emotion_llama.evaluate.records import Item, Published
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.labels import LABEL_SETS

_CROWD = "confirmed in the abstract of Cao et al. 2014: single answers of the crowd, all 7,442 clips"


def _read(folder: Path, choice: Choice) -> list[Part]:
    clips = clips_of_side(_clips(folder, choice.variant), read_split(SPLIT), choice.side)
    return [Part("acted", tuple(Item(clip=clip) for clip in clips), LABEL_SETS["crema6"], score_labels)]


def _clips(folder: Path, variant: str) -> list[Clip]:
    """Whatever form is there: the names of the clips are the same in all, so answers fit each."""
    if variant == "voice":
        return read_crema_d(folder, "voice")
    if variant == "face":
        return read_crema_d(folder, "face")
    if is_feature_folder(folder):
        return read_feature_clips(folder, "CREMA-D")
    channels: tuple[Channel, ...] = ("face", "voice")
    return read_crema_d(folder, next((channel for channel in channels if has_recordings(folder, channel)), None))


SUITE = Suite(
    name="crema-d",
    title="CREMA-D: the acted emotion of held-out people",
    needs="AudioWAV/ or VideoFlash/ as published, best with VideoDemographics.csv; to score a predictions file also "
    "processedResults/summaryTable.csv alone, or the manifest.csv of a feature set",
    access="free download from the repository CheyneyComputerScience/CREMA-D",
    licence="ODbL 1.0, contents DbCL 1.0",
    chance="1 of 6 classes = .167; always the commonest: .171",
    labels=LABEL_SETS["crema6"],
    read=_read,
    variants=("", "voice", "face"),
    sides=("test", "validation"),
    published=(
        Published(system="people", metric="war", value=0.409, setting="voice alone", source=_CROWD),
        Published(system="people", metric="war", value=0.582, setting="face alone", source=_CROWD),
        Published(system="people", metric="war", value=0.636, setting="voice and face", source=_CROWD),
    ),
    caution="Every fourth actor tests (1004, 1008, …). The label is what the actor was asked to play; people hear and "
    "see it far less than always.",
)

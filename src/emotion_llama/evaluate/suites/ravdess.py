"""RAVDESS: acted English speech, voices and talking faces of people held out."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.datasets.ravdess import SPLIT, has_modality, read_ravdess
from emotion_llama.datasets.splits import clips_of_side, read_split
from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import Item, Published
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.labels import LABEL_SETS

_R1_OMNI = "confirmed in the repository's README; all actors, unseen in training, not this split"


def _read(folder: Path, choice: Choice) -> list[Part]:
    """One part for the voices and one for each view of the talking faces, as far as the folder has them."""
    parts: list[Part] = []
    if choice.variant == "voice" or (choice.variant == "" and has_modality(folder, "audio-only")):
        parts.append(_part("voice", clips_of_side(read_ravdess(folder, "audio-only"), read_split(SPLIT), choice.side)))
    if choice.variant == "face" or (choice.variant == "" and has_modality(folder, "audio-video")):
        clips = clips_of_side(read_ravdess(folder, "audio-video"), read_split(SPLIT), choice.side)
        views = sorted({str(clip.groups.get("view", "")) for clip in clips})
        for view in views:  # one take may be there in several views: asked apart, so that no take counts twice
            seen = [clip for clip in clips if str(clip.groups.get("view", "")) == view]
            parts.append(_part(f"face-{view}" if view else "face", seen))
    if not parts:
        raise ManifestError(
            f"{folder}: expected RAVDESS speech of the kind 03-01-… (voice) or 01-01-… (video), found none"
        )
    return parts


def _part(name: str, clips: list[Clip]) -> Part:
    return Part(name, tuple(Item(clip=clip) for clip in clips), LABEL_SETS["ravdess8"], score_labels)


SUITE = Suite(
    name="ravdess",
    title="RAVDESS speech: voices and talking faces of held-out people",
    needs="Actor_XX/ folders with .wav (03-01-…) or .mp4 (01-01-…), or a manifest.csv that names such files",
    access="free download, doi 10.5281/zenodo.1188976: Audio_Speech_Actors_01-24 and Video_Speech_Actor_XX",
    licence="CC BY-NC-SA 4.0",
    chance="1 of 8 classes = .125; always the commonest of 4 neutral and 8 of each other a person: .133",
    labels=LABEL_SETS["ravdess8"],
    read=_read,
    variants=("", "voice", "face"),
    sides=("test", "validation"),
    published=(
        Published(system="R1-Omni 0.5B", metric="war", value=0.4300, setting="zero-shot", source=_R1_OMNI),
        Published(system="R1-Omni 0.5B", metric="uar", value=0.4469, setting="zero-shot", source=_R1_OMNI),
    ),
    caution="Actors 05, 10, 15 and 20 test, 04, 11 and 18 validate: four test people say little about others. The two "
    "sentences carry no emotion, and the label is what the actor was asked to play.",
)

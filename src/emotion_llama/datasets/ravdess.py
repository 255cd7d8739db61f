"""RAVDESS: acted English speech and song, labelled in its file names.

A name is seven two-digit fields, `modality-channel-emotion-intensity-statement-repetition-actor`, for instance
`03-01-06-01-02-01-12.wav` (sound only, speech, fearful, normal, "Dogs are …", first time, Actor_12). The labels are
what the actor was asked to play. Source: Livingstone & Russo (2018), PLoS ONE 13(5): e0196391,
doi 10.1371/journal.pone.0196391.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from emotion_llama.clip import Clip
from emotion_llama.datasets.listing import ListedFile, find_files
from emotion_llama.errors import ManifestError

Modality = Literal["audio-video", "video-only", "audio-only"]
SUFFIXES = (".wav", ".flac", ".mp4")
SPLIT = Path(__file__).with_name("ravdess_split.json")
"""Who trains, validates and tests: the file that `read_split` reads."""
MODALITIES = {"01": "audio-video", "02": "video-only", "03": "audio-only"}
CHANNELS = {"01": "speech", "02": "song"}
EMOTIONS = {
    "01": "neutral",
    "02": "calm",
    "03": "happy",
    "04": "sad",
    "05": "angry",
    "06": "fearful",
    "07": "disgust",
    "08": "surprised",
}
INTENSITIES = {"01": "normal", "02": "strong"}
STATEMENTS = {"01": "Kids are talking by the door.", "02": "Dogs are sitting by the door."}

_NAME = re.compile(r"(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)-(\d\d)")


@dataclass(frozen=True)
class RavdessName:
    """What a file name says. `take` is the name without its first field: equal for all modalities of one take."""

    modality: str
    channel: str
    emotion: str
    intensity: str
    statement: str
    repetition: int
    actor: str
    take: str


def parse_name(stem: str) -> RavdessName:
    """Read a file name without its suffix. Raises `ManifestError` naming the field that is not RAVDESS's."""
    match = _NAME.fullmatch(stem)
    if match is None:
        raise ManifestError(f"{stem!r}: expected a RAVDESS name of seven two-digit fields, as 03-01-06-01-02-01-12")
    codes = match.groups()
    tables = (MODALITIES, CHANNELS, EMOTIONS, INTENSITIES, STATEMENTS)
    for position, (code, table) in enumerate(zip(codes, tables, strict=False), start=1):
        if code not in table:
            raise ManifestError(f"{stem!r}: field {position} must be one of {', '.join(table)}, found {code}")
    modality, channel, emotion, intensity, statement = (table[code] for code, table in zip(codes, tables, strict=False))
    actor = f"Actor_{codes[6]}"
    return RavdessName(modality, channel, emotion, intensity, statement, int(codes[5]), actor, stem[3:])


def read_ravdess(
    folder: Path,
    modality: Modality | None = None,
    song: bool = False,
) -> list[Clip]:
    """Read a RAVDESS folder (`Actor_XX/` folders, or a `manifest.csv` that names the files).

    Gives clips with emotion (in the words of `ravdess8`), speaker (`Actor_12`) and the statement as transcript; speech
    only unless `song`. `modality` keeps one of the three. Groups: sex, language, intensity, sentence; duration_s and
    view ("full", "crop") where a manifest has them. Raises `ManifestError` if nothing is found, a name is not
    RAVDESS's, or a manifest's emotion or actor contradicts the name.
    """
    clips = []
    for file in find_files(folder, SUFFIXES):
        name = parse_name(file.path.stem)
        file.check(emotion=name.emotion, actor=name.actor)
        if (name.channel == "song" and not song) or modality not in (None, name.modality):
            continue
        clips.append(
            Clip(
                clip=file.clip,
                path=file.path,
                transcript=name.statement,
                speaker=name.actor,
                emotion=name.emotion,
                groups=_groups(name, file),
            )
        )
    if not clips:
        raise ManifestError(f"{folder}: no RAVDESS file matches modality={modality}, song={song}; ask for less")
    return clips


def has_modality(folder: Path, modality: Modality) -> bool:
    """Whether the folder holds speech of this kind. Raises `ManifestError` as `read_ravdess` does."""
    names = (parse_name(file.path.stem) for file in find_files(folder, SUFFIXES))
    return any(name.channel == "speech" and name.modality == modality for name in names)


def _groups(name: RavdessName, file: ListedFile) -> dict[str, str | float]:
    groups: dict[str, str | float] = {
        "sex": "male" if int(name.actor[-2:]) % 2 else "female",  # the set's own numbering: odd actors are men
        "language": "en",
        "intensity": name.intensity,
        "sentence": name.statement,
    }
    if file.columns.get("view"):
        groups["view"] = file.columns["view"]
    return groups | file.duration()

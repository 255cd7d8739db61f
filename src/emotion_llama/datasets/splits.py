"""Who trains, who validates, who tests: split files by speaker, never by recording.

A split file is `{"name": …, "unit": "speaker", "train": […], "validation": […], "test": […]}`; those of RAVDESS, EmoDB
and CREMA-D lie beside their readers and are part of the package.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import combinations
from pathlib import Path
from typing import Literal, Self

from pydantic import ValidationError, model_validator

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, OutputError
from emotion_llama.settings import Settings

SIDES = ("train", "validation", "test")


class Split(Settings):
    """Speakers of each side; no speaker is on two sides or named twice."""

    name: str
    unit: Literal["speaker"] = "speaker"
    train: tuple[str, ...]
    validation: tuple[str, ...] = ()
    test: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _apart(self) -> Self:
        for side in SIDES:
            speakers = getattr(self, side)
            if len(set(speakers)) != len(speakers):
                raise ValueError(f"{side} names a speaker twice")
        for one, other in combinations(SIDES, 2):
            both = sorted(set(getattr(self, one)) & set(getattr(self, other)))
            if both:
                raise ValueError(f"speaker {', '.join(both)} is in {one} and in {other}; keep each on one side")
        return self

    def side_of(self, speaker: str) -> str | None:
        """Give the side a speaker is on, `None` for a speaker the split does not name."""
        return next((side for side in SIDES if speaker in getattr(self, side)), None)


def read_split(path: Path) -> Split:
    """Read a split file. Raises `ManifestError` naming the file and what is wrong with it."""
    try:
        return Split.model_validate_json(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot read the split file ({error})") from error
    except ValidationError as error:
        raise ManifestError(f"{path}: not a split file: {error}") from error


def write_split(split: Split, path: Path) -> None:
    """Write a split file that `read_split` reads back. Raises `OutputError` if it cannot be written."""
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(f"{split.model_dump_json(indent=2)}\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write the split file ({error}); choose a folder you may write to") from error


def split_clips(clips: Iterable[Clip], split: Split) -> dict[str, list[Clip]]:
    """Sort clips to the sides of a split, as {"train": …, "validation": …, "test": …}.

    Raises `ManifestError` for a clip without a speaker, or with one the split does not name: no clip is lost unsaid.
    """
    sides: dict[str, list[Clip]] = {side: [] for side in SIDES}
    for clip in clips:
        side = split.side_of(clip.speaker) if clip.speaker is not None else None
        if side is None:
            raise ManifestError(f"clip {clip.clip!r}: speaker {clip.speaker!r} is on no side of split {split.name!r}")
        sides[side].append(clip)
    return sides


def clips_of_side(clips: Iterable[Clip], split: Split, side: str) -> list[Clip]:
    """Give the clips of one side; speakers whom the split does not name count as `train`.

    So a copy of the data set with more people is scored on the same people. Raises `ManifestError` if none is left.
    """
    found = []
    people = set()
    for clip in clips:
        people.add(str(clip.speaker))
        known = split.side_of(clip.speaker) if clip.speaker is not None else None
        if (known or "train") == side:
            found.append(clip)
    if not found:
        raise ManifestError(
            f"no clip of the {side} side of split {split.name!r}: expected speaker {', '.join(getattr(split, side))}; "
            f"found {', '.join(sorted(people)) or 'no clips'}"
        )
    return found

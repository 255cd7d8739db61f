"""Any data of one's own: a manifest with one label a clip, scored in its own labels or in `--labels`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import MappingProxyType

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Side
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.manifest import SUFFIXES, read_manifest

_SIDES: MappingProxyType[str, Side] = MappingProxyType(
    {
        "train": "train",
        "training": "train",
        "validation": "validation",
        "valid": "validation",
        "val": "validation",
        "dev": "validation",
        "test": "test",
    }
)


def read(path: Path, choice: Choice) -> Sequence[Part]:
    """Read a manifest (or the only one in a folder). Labels that are not given are those that occur, sorted.

    A column `split` (or `side`) with train, validation or test keeps the chosen side. Raises `ManifestError` naming
    the clip that has no emotion, occurs twice, or is of no side.
    """
    clips = _of_side(read_manifest(_manifest(path)), choice.side, path)
    _check([clip.clip for clip in clips], path)
    for clip in clips:
        if clip.emotion is None:
            raise ManifestError(f"{path}: clip {clip.clip!r} has no emotion; every clip to score needs one")
    labels = choice.labels or tuple(sorted({clip.emotion or "" for clip in clips}))
    if len(labels) < 2:
        raise UsageError(
            f"{path}: only the label {', '.join(labels)} occurs ({len(clips)} clips); give --labels a,b,… or a set"
        )
    return [Part("all", tuple(Item(clip=clip) for clip in clips), labels, score_labels)]


def _manifest(path: Path) -> Path:
    if not path.is_dir():
        return path
    found = [file for file in sorted(path.iterdir()) if file.suffix.lower() in SUFFIXES]
    if len(found) != 1:
        names = ", ".join(file.name for file in found) or "none"
        raise ManifestError(
            f"{path}: expected one manifest (.jsonl or .csv) in the folder, found {names}; name the file"
        )
    return found[0]


def _of_side(clips: list[Clip], side: Side, path: Path) -> list[Clip]:
    """Keep one side, where a column names sides: then every clip must be of one, or it would be left out in silence."""
    column = next((name for name in ("split", "side") if any(name in clip.groups for clip in clips)), None)
    if column is None:
        return clips
    sides = [_SIDES.get(str(clip.groups.get(column, "")).strip().lower()) for clip in clips]
    for clip, found in zip(clips, sides, strict=True):
        if found is None:
            raise ManifestError(
                f"{path}: clip {clip.clip!r} has {clip.groups.get(column, '')!r} in its column {column}; expected "
                "train, validation or test (rename the column if it means something else)"
            )
    kept = [clip for clip, found in zip(clips, sides, strict=True) if found == side]
    if not kept:
        there = ", ".join(sorted({found for found in sides if found}))
        raise ManifestError(f"{path}: no clip has {side!r} in its column {column}, only {there}; choose another --side")
    return kept


def _check(names: list[str], path: Path) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ManifestError(f"{path}: clip {name!r} occurs twice; give every clip its own name")
        seen.add(name)


SUITE = Suite(
    name="custom",
    title="Your own clips",
    needs="a manifest (.csv or .jsonl) with the columns clip and emotion; if known speaker, transcript, split, sex, …",
    access="your own data",
    licence="yours",
    chance="1 / number of labels",
    labels=(),
    read=read,
    sides=("test", "validation", "train"),
)

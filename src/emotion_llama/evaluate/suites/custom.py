"""Any data of one's own: a manifest with one label a clip, scored in its own labels or in `--labels`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item
from emotion_llama.evaluate.score_labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, Suite
from emotion_llama.manifest import SUFFIXES, read_manifest


def read(path: Path, choice: Choice) -> Sequence[Part]:
    """Read a manifest (or the only one in a folder). Labels that are not given are those that occur, sorted.

    A column `split` (or `side`) with train, validation or test keeps the chosen side. Raises `ManifestError` naming
    the clip that has no emotion or occurs twice.
    """
    clips = read_manifest(_manifest(path))
    named = [name for name in ("split", "side") if any(name in clip.groups for clip in clips)]
    if named:
        clips = [clip for clip in clips if _side(str(clip.groups.get(named[0], ""))) == choice.side]
        if not clips:
            raise ManifestError(f"{path}: no clip has {choice.side!r} in its column {named[0]}; choose another --side")
    _check(clips_named := [clip.clip for clip in clips], path)
    for clip in clips:
        if clip.emotion is None:
            raise ManifestError(f"{path}: clip {clip.clip!r} has no emotion; every clip to score needs one")
    labels = choice.labels or tuple(sorted({clip.emotion or "" for clip in clips}))
    if len(labels) < 2:
        raise UsageError(
            f"{path}: only the label {', '.join(labels)} occurs in {len(clips_named)} clips; give --labels"
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


def _side(word: str) -> str:
    return {"val": "validation", "valid": "validation", "dev": "validation"}.get(word.lower(), word.lower())


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

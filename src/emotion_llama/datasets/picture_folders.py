"""Folders of face pictures: one folder a label, or a `manifest.csv` with file, label, split, group, colour.

Without a manifest the layout is `label/picture.jpg` or `split/label/picture.jpg`, split being train, val,
validation or test.
"""

from __future__ import annotations

from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.datasets.listing import ListedFile, find_files
from emotion_llama.errors import ManifestError

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp", ".bmp")
SPLITS = ("train", "val", "validation", "test")


def read_picture_folder(folder: Path, split: str | None = None) -> list[Clip]:
    """Read labelled pictures; `speaker` is the manifest's `group` (who is in the picture), `None` where not known.

    `split` keeps one side. Raises `ManifestError` for a picture without a label or a split that does not occur.
    """
    pictures = [(_label(file), _split(file), file) for file in find_files(folder, SUFFIXES)]
    kept = [
        Clip(clip=file.clip, path=file.path, emotion=label, speaker=file.columns.get("group") or None)
        for label, side, file in pictures
        if split in (None, side)
    ]
    if not kept:
        sides = sorted({side for _, side, _ in pictures if side is not None})
        raise ManifestError(f"{folder}: no picture in split {split!r}; found {', '.join(sides) or 'no splits'}")
    return kept


def _label(file: ListedFile) -> str:
    if file.columns:
        label = file.columns.get("label", "")
    else:
        folders = Path(file.clip).parts[:-1]
        label = folders[-1] if folders and folders[-1] not in SPLITS else ""
    if not label:
        raise ManifestError(f"{file.where}: expected a label (a column label, or a folder named after it), found none")
    return label


def _split(file: ListedFile) -> str | None:
    if file.columns:
        return file.columns.get("split") or None
    return next((part for part in Path(file.clip).parts[:-1] if part in SPLITS), None)

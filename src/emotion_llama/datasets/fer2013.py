"""FER2013: 48×48 gray faces, as the challenge's `fer2013.csv` or as an `.npz` of arrays.

Source: Goodfellow et al. (2013), Challenges in representation learning, ICONIP 2013.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import ManifestError
from emotion_llama.manifest import read_csv_rows

SIDE_PX = 48
# the challenge's numbers 0–6; the words are those of `fer7`, the order is not
EMOTIONS = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")
USAGES = {"Training": "train", "PublicTest": "val", "PrivateTest": "test"}
_ARRAYS = ("images", "label", "split")


@dataclass(frozen=True)
class FacePictures:
    """Gray faces with labels in the words of `fer7` and the split ("train", "val", "test") of each."""

    images: NDArray[np.uint8]  # (N, 48, 48)
    labels: tuple[str, ...]  # N
    splits: tuple[str, ...]  # N

    def __iter__(self) -> Iterator[tuple[NDArray[np.uint8], str]]:
        """Give (picture (48, 48), label), one after the other."""
        return iter(zip(self.images, self.labels, strict=True))

    def __len__(self) -> int:
        """Number of pictures."""
        return len(self.labels)

    def of(self, split: str) -> FacePictures:
        """Give the pictures of one split. Raises `ManifestError` if it has none."""
        rows = [row for row, name in enumerate(self.splits) if name == split]
        if not rows:
            raise ManifestError(f"no picture in split {split!r}; the splits are {', '.join(sorted(set(self.splits)))}")
        return FacePictures(self.images[rows], tuple(self.labels[r] for r in rows), tuple(split for _ in rows))


def read_fer2013(path: Path) -> FacePictures:
    """Read `fer2013.csv` (emotion, pixels, Usage) or an `.npz` (images, label, split), or a folder that holds one.

    Raises `ManifestError` with the line or the array that is not FER2013's.
    """
    if path.is_dir():
        found = [path / name for name in ("fer2013.npz", "fer2013.csv") if (path / name).is_file()]
        if not found:
            raise ManifestError(f"{path}: expected fer2013.npz or fer2013.csv in it, found neither")
        path = found[0]
    return _read_npz(path) if path.suffix.lower() == ".npz" else _read_csv(path)


def _read_csv(path: Path) -> FacePictures:
    images, labels, splits = [], [], []
    for line, row in read_csv_rows(path):
        number, pixels, usage = (row.get(column, "") for column in ("emotion", "pixels", "Usage"))
        if not number.isdecimal() or int(number) >= len(EMOTIONS) or usage not in USAGES:
            raise ManifestError(
                f"{path}:{line}: expected emotion 0–{len(EMOTIONS) - 1} and Usage {', '.join(USAGES)}; "
                f"found {number!r} and {usage!r}"
            )
        images.append(_picture(pixels, f"{path}:{line}"))
        labels.append(EMOTIONS[int(number)])
        splits.append(USAGES[usage])
    if not images:
        raise ManifestError(f"{path}: expected one picture a line below the heading, found none")
    return FacePictures(np.stack(images), tuple(labels), tuple(splits))


def _picture(pixels: str, where: str) -> NDArray[np.uint8]:
    try:
        values = np.array(pixels.split(), dtype=np.int64)
    except ValueError as error:
        raise ManifestError(f"{where}: pixels must be whole numbers with spaces between ({error})") from error
    if values.size != SIDE_PX**2 or values.min() < 0 or values.max() > 255:
        raise ManifestError(f"{where}: expected {SIDE_PX**2} pixels of 0–255, found {values.size} or one out of range")
    return values.astype(np.uint8).reshape(SIDE_PX, SIDE_PX)


def _read_npz(path: Path) -> FacePictures:
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in _ARRAYS if name not in file]
            if missing:
                raise ManifestError(f"{path}: expected arrays {', '.join(_ARRAYS)}; missing {', '.join(missing)}")
            images, label, split = (file[name] for name in _ARRAYS)
    except (OSError, ValueError, zipfile.BadZipFile) as error:
        raise ManifestError(f"{path}: cannot be read as an .npz of plain arrays ({error})") from error
    count = len(label)
    if images.shape != (count, SIDE_PX, SIDE_PX) or images.dtype != np.uint8 or split.shape != (count,):
        raise ManifestError(
            f"{path}: expected images ({count}, {SIDE_PX}, {SIDE_PX}) uint8 and split ({count},); "
            f"found {images.shape} {images.dtype} and {split.shape}"
        )
    unknown = sorted(set(label.tolist()) - set(EMOTIONS))
    if unknown:
        raise ManifestError(
            f"{path}: labels must be among {', '.join(EMOTIONS)}, found {', '.join(map(repr, unknown))}"
        )
    return FacePictures(images, tuple(label.tolist()), tuple(split.tolist()))

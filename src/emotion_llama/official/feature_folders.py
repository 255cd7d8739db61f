"""The released feature files: one `.npy` of 1024 numbers a clip, in a folder an encoder; read, written and examined."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_llama.encoders.features import Features
from emotion_llama.errors import ManifestError, OutputError

FOLDERS = {"local": "mae_340_UTT", "temporal": "maeV_399_UTT", "audio": "HL-UTT"}
"""Feature → upstream's folder. The numbers are epochs of pre-training."""

WIDTH = 1024
RELEASED = {"local": (-0.02, 0.55), "temporal": (0.0, 1.0), "audio": (0.0, 0.10)}
"""Mean and standard deviation of the numbers in the released features of one sample clip: the scale that the released
projections expect."""

FACTOR = 2.0
"""A standard deviation this many times larger or smaller is off scale."""


@dataclass(frozen=True)
class FolderHealth:
    """What was found in one folder of features. `off_scale` in words, `None` where the scale is as released."""

    feature: str
    folder: Path
    clips: int
    mean: float
    std: float
    least: float
    most: float
    wrong: dict[str, str]
    zeros: tuple[str, ...]
    off_scale: str | None

    @property
    def sound(self) -> bool:
        """Whether a checkpoint can read it without surprises."""
        return not self.wrong and not self.zeros and self.off_scale is None and self.clips > 0


def write_features(root: Path, name: str, features: Features) -> list[str]:
    """Write the features of one clip as upstream has them; gives those that the clip lacks, which are not written.

    Raises `OutputError` for a feature of another width or a file that cannot be written.
    """
    lacking = []
    for feature, folder in FOLDERS.items():
        if feature not in features:
            lacking.append(feature)
            continue
        row = features[feature]
        if row.shape != (1, WIDTH):
            raise OutputError(
                f"{name}: the released layout holds {feature} as (1, {WIDTH}), found {row.shape}; extract with the "
                "encoders of a converted release"
            )
        target = root / folder / f"{name}.npy"
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_suffix(".partial.npy")
            np.save(partial, row[0].astype(np.float32))
            partial.replace(target)
        except OSError as error:
            raise OutputError(f"{target}: cannot be written ({error}); free space or choose another folder") from error
    return lacking


def read_features(root: Path, name: str) -> dict[str, NDArray[np.float32]]:
    """Read the features of one clip: feature → (1, 1024), those that are there.

    Raises `ManifestError`, naming the file, for another shape, numbers that are not finite, or a row of zeros, which
    stands for a clip on which extraction failed.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for feature, folder in FOLDERS.items():
        file = root / folder / f"{name}.npy"
        if file.is_file():
            row = _row(file)
            if not row.any():
                raise ManifestError(
                    f"{file}: all zeros, as failed extraction leaves them; extract it anew or remove it"
                )
            found[feature] = row[None]
    if not found:
        raise ManifestError(
            f"clip {name}: expected {name}.npy in {', '.join(FOLDERS.values())} of {root}, found none; extract it first"
        )
    return found


def _row(file: Path) -> NDArray[np.float32]:
    try:
        array = np.load(file, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise ManifestError(f"{file}: not a readable array ({error}); extract it anew") from error
    row = np.asarray(array, dtype=np.float32).reshape(-1) if array.ndim in (1, 2) else array
    if row.shape != (WIDTH,):
        raise ManifestError(f"{file}: expected {WIDTH} numbers, found shape {array.shape}; is it of another encoder?")
    if not np.isfinite(row).all():
        raise ManifestError(f"{file}: expected finite numbers, found NaN or infinity; extract it anew")
    return row


def examine(root: Path, names: Iterable[str] | None = None) -> list[FolderHealth]:
    """Compare folders of features with what the released checkpoints expect; `names`: clips that should be there.

    Raises `ManifestError` if `root` has none of the folders.
    """
    there = {feature: root / folder for feature, folder in FOLDERS.items() if (root / folder).is_dir()}
    if not there:
        raise ManifestError(f"{root}: expected one of the folders {', '.join(FOLDERS.values())}, found none")
    wanted = None if names is None else list(names)
    return [_examine(feature, folder, wanted) for feature, folder in there.items()]


def _examine(feature: str, folder: Path, names: list[str] | None) -> FolderHealth:
    files = {file.stem: file for file in sorted(folder.glob("*.npy"))}
    rows: list[NDArray[np.float32]] = []
    wrong = {name: "no file" for name in names or () if name not in files}
    zeros = []
    for name, file in files.items():
        try:
            row = _row(file)
        except ManifestError as error:
            wrong[name] = str(error).removeprefix(f"{file}: ")
            continue
        if row.any():
            rows.append(row)
        else:
            zeros.append(name)
    numbers = np.concatenate(rows) if rows else np.full(1, np.nan, np.float32)
    mean, std = float(numbers.mean()), float(numbers.std())
    off = _off_scale(feature, std) if rows else None
    least, most = float(numbers.min()), float(numbers.max())
    return FolderHealth(feature, folder, len(files), mean, std, least, most, wrong, tuple(zeros), off)


def _off_scale(feature: str, std: float) -> str | None:
    released = RELEASED[feature][1]
    if released / FACTOR <= std <= released * FACTOR:
        return None
    return (
        f"standard deviation {std:.2f}, where the released features have {released:.2f}: another encoder, layer or "
        "scaling of pixels or sound; the released projections will not understand it"
    )

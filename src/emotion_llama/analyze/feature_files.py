"""Features of a clip as files: one `.safetensors` a clip, or the folders that upstream publishes; both are read."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from emotion_llama.encoders.features import Features, StoredArrays
from emotion_llama.errors import ManifestError, OutputError, UsageError
from emotion_llama.official.feature_folders import FOLDERS, read_features, write_features

FileFormat = Literal["own", "official"]
FORMATS: tuple[str, ...] = get_args(FileFormat)

ENCODERS = {
    "global": ("global", "global_cls"),
    "local": ("local", "face_expressions", "face_view"),
    "temporal": ("temporal",),
    "audio": ("audio", "audio_mix", "audio_statistics"),
}
"""What each encoder gives, by array; what a clip gets depends on the model."""

ENDING = ".safetensors"


def file_name(clip: str) -> str:
    """Name of a clip's feature files: that of its recording, without folder and ending."""
    return Path(clip).stem or "clip"


def file_names(clips: list[str]) -> list[str]:
    """Names of the files of several clips. Raises `UsageError` for two clips that would write the same file."""
    seen: dict[str, str] = {}
    for clip in clips:
        name = file_name(clip)
        if name in seen:
            raise UsageError(
                f"{seen[name]} and {clip} would both be written as {name}: give the rows of a manifest names of their "
                "own in column clip"
            )
        seen[name] = clip
    return list(seen)


def wanted_arrays(encoders: tuple[str, ...]) -> tuple[str, ...]:
    """The arrays that these encoders may give."""
    return tuple(array for name in encoders for array in ENCODERS[name])


def lacking(features: Mapping[str, object], encoders: tuple[str, ...]) -> tuple[str, ...]:
    """The encoders of which there is nothing."""
    return tuple(name for name in encoders if not any(array in features for array in ENCODERS[name]))


def write_clip(root: Path, name: str, features: Features, form: FileFormat) -> None:
    """Write the features of one clip, each file whole or not at all. Raises `OutputError` if that fails."""
    if form == "official":
        write_features(root, name, features)
        return
    target = root / f"{name}{ENDING}"
    partial = target.with_name(target.name + ".part")
    try:
        root.mkdir(parents=True, exist_ok=True)
        partial.write_bytes(save({key: np.ascontiguousarray(rows) for key, rows in features.items()}))
        partial.replace(target)
    except OSError as error:
        raise OutputError(f"{target}: cannot be written ({error}); free space or choose another folder") from error


def is_written(root: Path, name: str, encoders: tuple[str, ...], form: FileFormat) -> bool:
    """Whether a clip's files are there already: the one of ours, or all of upstream's that are asked for."""
    if form == "own":
        return (root / f"{name}{ENDING}").is_file()
    return all((root / FOLDERS[encoder] / f"{name}.npy").is_file() for encoder in encoders)


def read_clip(root: Path, name: str) -> Mapping[str, NDArray[np.float32]]:
    """Read the features of one clip, array → (N, E), in whichever form they lie in `root`; ours when they are used.

    Raises `ManifestError`, naming the file and the array, for a file that cannot be read, numbers that are not finite,
    an array of zeros (which stands for a clip on which extraction failed), and a clip that has no file.
    """
    file = root / f"{name}{ENDING}"
    if not file.is_file():
        if not any((root / folder).is_dir() for folder in FOLDERS.values()):
            raise ManifestError(f"clip {name}: expected {file}, found none; extract it first (emotion-llama extract)")
        return read_features(root, name)
    try:
        with safe_open(file, framework="numpy") as opened:
            names = tuple(opened.keys())
            wrong = {key: problem for key in names if (problem := wrong_with(opened.get_tensor(key)))}
    except (OSError, SafetensorError) as error:
        raise ManifestError(f"{file}: not a readable feature file ({error}); extract it anew") from error
    for key, problem in wrong.items():
        raise ManifestError(f"{file}, {key}: {problem}; extract it anew, or remove it")
    return StoredArrays(file, names)


def wrong_with(rows: NDArray[np.generic]) -> str | None:
    """Say what is wrong with an array of features, `None` if nothing is."""
    if rows.ndim != 2 or rows.dtype != np.float32:
        return f"expected rows (N, E) of float32, found {rows.dtype} of shape {rows.shape}"
    if not np.isfinite(rows).all():
        return "expected finite numbers, found NaN or infinity"
    return None if rows.any() else "all zeros, as failed extraction leaves them"

"""A set of feature vectors without pictures or sound: `features.npz` and the `manifest.csv` that names its rows.

Arrays: `audio` (N, A), `video` (N, T, V) with zero rows after `video_len`, `video_len` (N,). Manifest columns: row, id,
set ("RAVDESS" or "CREMA-D"), actor, gender, emotion, and any of age, intensity, sentence.
"""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Clip
from emotion_llama.datasets import crema_d
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.labels import LABEL_SETS, translate
from emotion_llama.manifest import read_csv_rows

ARRAYS_NAME = "features.npz"
MANIFEST_NAME = "manifest.csv"
SETS = {"RAVDESS": "ravdess8", "CREMA-D": "crema6"}
"""The sets that may occur, with the label set of each."""

_COLUMNS = ("row", "id", "set", "actor", "emotion")


@dataclass(frozen=True)
class FeatureSet:
    """Clips (without recordings) and their vectors, in the same order."""

    clips: tuple[Clip, ...]
    audio: NDArray[np.float32]  # (N, A)
    video: NDArray[np.float32]  # (N, T, V), zero rows after video_len
    video_len: NDArray[np.int64]  # (N,)

    def mean_video(self) -> NDArray[np.float32]:
        """Mean of the real stretches of each clip, (N, V)."""
        real = np.arange(self.video.shape[1])[None, :] < self.video_len[:, None]  # (N, T)
        total = (self.video * real[..., None]).sum(axis=1)  # (N, V)
        mean: NDArray[np.float32] = (total / self.video_len[:, None]).astype(np.float32)
        return mean

    def moments(self) -> NDArray[np.float32]:
        """Start, middle and end of each clip, (N, 3, V), linear between its stretches; one stretch is all three."""
        at = (self.video_len[:, None] - 1) * np.array([0.0, 0.5, 1.0])  # (N, 3), in stretches
        low = at.astype(np.int64)
        high = np.minimum(low + 1, self.video_len[:, None] - 1)
        rows, share = np.arange(len(at))[:, None], (at - low)[..., None]
        found: NDArray[np.float32] = ((1 - share) * self.video[rows, low] + share * self.video[rows, high]).astype(
            np.float32
        )
        return found


def is_feature_folder(folder: Path) -> bool:
    """Whether the folder has the manifest of a feature set (its vectors are not needed to know the clips)."""
    path = folder / MANIFEST_NAME
    return path.is_file() and any(set(_COLUMNS) <= set(row) for _, row in read_csv_rows(path)[:1])


def read_feature_clips(folder: Path, name: str) -> list[Clip]:
    """Read the clips of one set ("RAVDESS", "CREMA-D") from the manifest alone.

    The identity is the manifest's id, the speaker as the set's own reader writes it (`Actor_05`, `C1001`), the emotion
    in the words of the set's labels. Raises `ManifestError` with the line of what cannot be read.
    """
    return [clip for _, clip in _listed(folder, name)]


def read_features(folder: Path, name: str) -> FeatureSet:
    """Read one set with its vectors. Raises `ManifestError` for arrays that are not there, or do not fit the rows."""
    listed = _listed(folder, name)
    rows = np.array([row for row, _ in listed])
    audio, video, video_len = _arrays(folder / ARRAYS_NAME)
    if rows.max() >= len(audio):
        raise ManifestError(
            f"{folder / MANIFEST_NAME}: names row {rows.max()}, but {ARRAYS_NAME} has {len(audio)} rows; "
            "take both files from one release"
        )
    return FeatureSet(
        clips=tuple(clip for _, clip in listed),
        audio=audio[rows].astype(np.float32),
        video=video[rows].astype(np.float32),
        video_len=video_len[rows].astype(np.int64),
    )


def _listed(folder: Path, name: str) -> list[tuple[int, Clip]]:
    if name not in SETS:
        raise UsageError(f"unknown set {name!r}: expected {' or '.join(SETS)}")
    path = folder / MANIFEST_NAME
    listed = [_row(row, f"{path}:{line}") for line, row in read_csv_rows(path) if row.get("set") == name]
    if not listed:
        raise ManifestError(f"{path}: expected rows of set {name}, found none")
    return listed


def _row(row: dict[str, str], where: str) -> tuple[int, Clip]:
    missing = [column for column in _COLUMNS if not row.get(column)]
    if missing or not row["row"].isdecimal():
        raise ManifestError(
            f"{where}: expected {', '.join(_COLUMNS)} with row a whole number; "
            f"missing {', '.join(missing) or 'none'}, row {row.get('row')!r}"
        )
    try:
        emotion = translate(row["emotion"], LABEL_SETS[SETS[row["set"]]])
    except UsageError as error:
        raise ManifestError(f"{where}: {error}") from error
    if row["set"] == "CREMA-D" and (named := crema_d.parse_name(row["id"])).emotion != emotion:
        raise ManifestError(f"{where}: emotion says {row['emotion']!r}, the id {named.emotion!r}; correct one")
    return int(row["row"]), Clip(
        clip=row["id"],
        transcript=row.get("sentence") or None,
        speaker=f"Actor_{row['actor'][1:]}" if row["set"] == "RAVDESS" else row["actor"],
        emotion=emotion,
        groups=_groups(row, where),
    )


def _groups(row: dict[str, str], where: str) -> dict[str, str | float]:
    groups: dict[str, str | float] = {"language": "en"}
    for column, group in (("gender", "sex"), ("intensity", "intensity"), ("sentence", "sentence")):
        if row.get(column):
            groups[group] = row[column]
    if row.get("age"):
        try:
            groups["age"] = float(row["age"])
        except ValueError as error:
            raise ManifestError(f"{where}: age must be a number, found {row['age']!r}") from error
    return groups


def _arrays(path: Path) -> tuple[NDArray[np.generic], NDArray[np.generic], NDArray[np.generic]]:
    try:
        with np.load(path, allow_pickle=False) as file:
            audio, video, video_len = file["audio"], file["video"], file["video_len"]
    except (OSError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise ManifestError(
            f"{path}: expected an .npz with plain arrays audio, video and video_len ({error}); get the file again"
        ) from error
    count = len(audio)
    shapes_fit = audio.ndim == 2 and video.ndim == 3 and len(video) == count and video_len.shape == (count,)
    if not shapes_fit or count == 0 or video_len.min() < 1 or video_len.max() > video.shape[1]:
        raise ManifestError(
            f"{path}: expected audio (N, A), video (N, T, V) and video_len (N,) from 1 to T; "
            f"found {audio.shape}, {video.shape} and {video_len.shape}"
        )
    return audio, video, video_len

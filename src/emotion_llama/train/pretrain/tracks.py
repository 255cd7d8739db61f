"""Recordings → face tracks on disk: each recording is looked at once, its crops are kept by content.

    CACHE/ab/abcd…/tracks.json              what was found: one entry a track, none if no face was seen
    CACHE/ab/abcd…/track-000.safetensors    crops (n, S, S, 3) uint8, time_s (n,), size_px (n,) float32

A folder appears under its name only when it is whole, so that a stopped search goes on where it was.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Protocol

import cv2
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from emotion_llama import assets
from emotion_llama.assets.cache import CACHE_VARIABLE
from emotion_llama.clip import Clip
from emotion_llama.encoders.features import feature_key
from emotion_llama.errors import ManifestError, OutputError
from emotion_llama.measurements import FaceMeasures, FaceSample
from emotion_llama.media import iter_frames
from emotion_llama.media.container import check_file
from emotion_llama.media.probe import sha256_of
from emotion_llama.media.types import Frame
from emotion_llama.perception.see import MOST_CROPS, FaceReader
from emotion_llama.perception.tracking import MESHED
from emotion_llama.train.pretrain.settings import FaceSettings

VERSION = "1"
"""Changes when the crops change, so that old ones are not taken for new ones."""

STRETCH = MOST_CROPS // MESHED
"""Frames read at a time: so few that no two samples of a track share a crop."""

EVERY_FRAME = 10**9


class Reader(Protocol):
    """What finds the faces: `perception.see.FaceReader`."""

    def read(self, frames: Iterable[Frame], /) -> FaceMeasures:
        """All faces of some frames."""


@dataclass(frozen=True)
class Track:
    """One face over some time: `faces` crops in `path`. `group` is the speaker, or else the recording's hash."""

    name: str
    path: Path
    faces: int
    size_px: float  # median height of the face in the recording
    group: str
    clip: str

    def crops(self, start: int, stop: int) -> NDArray[np.uint8]:
        """Crops `start` to `stop` as (n, S, S, 3). Raises `OutputError` for a file that is gone or damaged."""
        try:
            with safe_open(self.path, "numpy") as file:
                rows: NDArray[np.uint8] = file.get_slice("crops")[start:stop]
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"{self.path}: the kept crops of {self.name} cannot be read ({error}); delete the folder "
                f"{self.path.parent} and start again: they are made anew"
            ) from error
        return rows


@dataclass(frozen=True)
class Found:
    """The faces of one recording. `sha256` is that of the recording."""

    clip: str
    sha256: str
    tracks: tuple[Track, ...]


def make_face_reader() -> FaceReader:
    """Detector and mesh of the `nano` preset. Raises `AssetMissingError` if they were not fetched."""
    return FaceReader(assets.path("blazeface-short-range"), assets.path("face-mesh"))


def find_tracks(clip: Clip, settings: FaceSettings, root: Path, reader: Callable[[], Reader]) -> Found:
    """Give all face tracks of one recording, from `root` or, the first time, found there now.

    `reader` is called only if faces must be looked for. Raises `MediaError` for a recording that cannot be read,
    `NoStreamError` for one without pictures, `ManifestError` for a clip without one, `OutputError` if crops cannot be
    kept.
    """
    if clip.path is None:
        raise ManifestError(f"{clip.clip}: expected a recording to find faces in, found text alone; take the row out")
    check_file(clip.path)
    sha256 = sha256_of(clip.path)
    kept = {"frames_s": settings.frames_s, "crop_px": settings.crop_px}
    key = feature_key(sha256, (clip.start_s, clip.end_s), "face-tracks", VERSION, kept)
    folder = root / key[:2] / key
    if not (folder / "tracks.json").is_file():
        frames = iter_frames(
            clip.path, start_s=clip.start_s, end_s=clip.end_s, max_frames_s=settings.frames_s, max_frames=EVERY_FRAME
        )
        _keep(frames, reader(), settings.crop_px, folder)
    entries = json.loads((folder / "tracks.json").read_text(encoding="utf-8"))["tracks"]
    tracks = tuple(
        Track(f"{clip.clip} face {n}", folder / e["file"], e["faces"], e["size_px"], clip.speaker or sha256, clip.clip)
        for n, e in enumerate(entries)
    )
    return Found(clip.clip, sha256, tracks)


def _keep(frames: Iterator[Frame], reader: Reader, crop_px: int, folder: Path) -> None:
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".part-", dir=folder.parent) as part:
            whole = Path(part) / "whole"
            whole.mkdir()
            entries = [
                _write(samples, whole / f"track-{number:03d}.safetensors", crop_px)
                for number, samples in enumerate(_face_samples(frames, reader))
            ]
            (whole / "tracks.json").write_text(json.dumps({"tracks": entries}, indent=1) + "\n", encoding="utf-8")
            if not folder.exists():  # another process may have been faster
                whole.rename(folder)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"face crops cannot be kept in {folder.parent}: {error}; free space, or set another cache folder with "
            f"{CACHE_VARIABLE}"
        ) from error


def _face_samples(frames: Iterator[Frame], reader: Reader) -> Iterator[list[FaceSample]]:
    """Samples of each track, stretch by stretch, so that a long recording never lies in memory."""
    while True:
        faces = reader.read(islice(frames, STRETCH))
        if faces.frames_seen == 0:
            return
        for track in faces.tracks:
            samples = track.samples
            yield [s for n, s in enumerate(samples) if n == 0 or s.crop is not samples[n - 1].crop]


def _write(samples: list[FaceSample], path: Path, crop_px: int) -> dict[str, str | int | float]:
    crops = np.stack([_resized(sample.crop, crop_px) for sample in samples])
    time_s = np.array([sample.time_s for sample in samples], dtype=np.float32)
    corners_px = np.stack([sample.box.corners_px for sample in samples])
    size_px = (corners_px[:, 3] - corners_px[:, 1]).astype(np.float32)
    save_file({"crops": crops, "time_s": time_s, "size_px": size_px}, path)
    return {
        "file": path.name,
        "faces": len(samples),
        "size_px": round(float(np.median(size_px)), 1),
        "first_s": round(float(time_s[0]), 3),
        "last_s": round(float(time_s[-1]), 3),
    }


def _resized(crop: NDArray[np.uint8], side_px: int) -> NDArray[np.uint8]:
    if crop.shape[0] == side_px:
        return crop
    how = cv2.INTER_AREA if side_px < crop.shape[0] else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(crop, (side_px, side_px), interpolation=how), dtype=np.uint8)

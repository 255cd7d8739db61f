"""Everything that can be seen of faces in one clip, from a stream of frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceMeasures, FaceSample, FaceTrack
from emotion_llama.media.types import Frame
from emotion_llama.perception.action_units import measure_action_units
from emotion_llama.perception.faces import FaceDetector
from emotion_llama.perception.mesh import MeshReader
from emotion_llama.perception.peak_frame import choose_peak
from emotion_llama.perception.tracking import Detector, FaceTracker, Mesher

MOST_CROPS = 1000
"""Crops kept at a time (77 kB each). A longer clip lets neighbouring samples share a crop."""

EXPRESSION_BATCH = 64


class ExpressionModel(Protocol):
    """A net that reads expressions from face crops."""

    def __call__(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Crops (n, 160, 160, 3) to probabilities (n, 7), columns `EXPRESSIONS`, and features (n, 128)."""


class FaceReader:
    """Measures the faces of a clip: tracks, meshes, action units, expressions, peak frame.

    `detector_dir` and `mesh_dir` hold the two graphs; `expression` may be `None` (then it is not measured).
    Raises `AssetMissingError` when a graph is not there.
    """

    def __init__(self, detector_dir: Path, mesh_dir: Path, expression: ExpressionModel | None = None) -> None:
        self._detector: Detector = FaceDetector(detector_dir)
        self._mesher: Mesher = MeshReader(mesh_dir)
        self._expression = expression

    def read(self, frames: Iterable[Frame], speech_s: Sequence[tuple[float, float]] = ()) -> FaceMeasures:
        """Look at all frames, in time order. `speech_s`: spans of voice in seconds, used to choose the peak frame.

        Frames are not kept: only meshes and crops of faces are. A single picture gives one sample.
        """
        return read_faces(frames, FaceTracker(self._detector, self._mesher), self._expression, speech_s)


def read_faces(
    frames: Iterable[Frame],
    tracker: FaceTracker,
    expression: ExpressionModel | None,
    speech_s: Sequence[tuple[float, float]] = (),
) -> FaceMeasures:
    """`FaceReader.read` with a tracker of one's own."""
    seen, measured, stride = 0, 0, 1
    for frame in frames:
        seen += 1
        measured += tracker.update(frame)
        if measured > MOST_CROPS * stride:
            stride *= 2
            tracker.share_crops(stride)
    tracks = tracker.tracks()
    main = main_track(tracks)
    if main is None:
        return FaceMeasures(seen, (), None, None, None, None, None)
    samples = tracks[main].samples
    series = measure_action_units(samples)
    scores = np.array([sample.mesh_score for sample in samples], dtype=np.float32)
    probabilities, features = _expressions(samples, expression)
    return FaceMeasures(seen, tracks, main, series, probabilities, features, choose_peak(series, scores, speech_s))


def main_track(tracks: tuple[FaceTrack, ...]) -> int | None:
    """Index of the face that is seen longest and largest (summed height of its boxes); `None` without a face."""
    if not tracks:
        return None
    sizes = [sum(float(s.box.corners_px[3] - s.box.corners_px[1]) for s in track.samples) for track in tracks]
    return int(np.argmax(sizes))


def _expressions(
    samples: tuple[FaceSample, ...], expression: ExpressionModel | None
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Expressions of each sample; a crop shared by several samples is read once."""
    if expression is None:
        return None, None
    places: dict[int, int] = {}
    crops: list[NDArray[np.uint8]] = []
    rows = []
    for sample in samples:
        if id(sample.crop) not in places:
            places[id(sample.crop)] = len(crops)
            crops.append(sample.crop)
        rows.append(places[id(sample.crop)])
    parts = [expression(np.stack(crops[at : at + EXPRESSION_BATCH])) for at in range(0, len(crops), EXPRESSION_BATCH)]
    probabilities = np.concatenate([part[0] for part in parts])
    features = np.concatenate([part[1] for part in parts])
    return probabilities[rows].astype(np.float32), features[rows].astype(np.float32)

"""Everything that can be seen of faces in one clip, from a stream of frames."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import ActionUnitSeries, FaceMeasures, FaceSample, FaceTrack
from emotion_llama.media.types import Frame
from emotion_llama.perception.action_units import measure_action_units
from emotion_llama.perception.au_tables import at_times
from emotion_llama.perception.faces import FaceDetector
from emotion_llama.perception.identity import Grid, persons
from emotion_llama.perception.mesh import MeshReader
from emotion_llama.perception.peak_frame import choose_peak
from emotion_llama.perception.people import People
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

    `detector_dir` and `mesh_dir` hold the two graphs; `expression` may be `None` (then it is not measured). `grid` lets
    people be told apart: without it a face after a cut is a new one. Raises `AssetMissingError` when a graph is not
    there.
    """

    def __init__(
        self,
        detector_dir: Path,
        mesh_dir: Path,
        expression: ExpressionModel | None = None,
        grid: Grid | None = None,
    ) -> None:
        self._detector: Detector = FaceDetector(detector_dir)
        self._mesher: Mesher = MeshReader(mesh_dir)
        self._expression = expression
        self._grid = grid

    def tracker(self) -> FaceTracker:
        """A tracker that has seen nothing yet, with the same graphs."""
        return FaceTracker(self._detector, self._mesher)

    def people(self) -> People:
        """What numbers the people of a recording that goes by; nobody is known to it yet."""
        return People(self._grid)

    def read(self, frames: Iterable[Frame], speech_s: Sequence[tuple[float, float]] = ()) -> FaceMeasures:
        """Look at all frames, in time order. `speech_s`: spans of voice in seconds, used to choose the peak frame.

        Frames are not kept: only meshes and crops of faces are. A single picture gives one sample.
        """
        return read_faces(frames, self.tracker(), self._expression, speech_s, self._grid)

    def look_at(
        self, measures: FaceMeasures, main: int | None, speech_s: Sequence[tuple[float, float]] = ()
    ) -> FaceMeasures:
        """The same faces with another one as the main: `main` indexes the tracks."""
        return look_at(measures, main, self._expression, speech_s)


def read_faces(
    frames: Iterable[Frame],
    tracker: FaceTracker,
    expression: ExpressionModel | None,
    speech_s: Sequence[tuple[float, float]] = (),
    grid: Grid | None = None,
) -> FaceMeasures:
    """`FaceReader.read` with a tracker of one's own."""
    seen, measured, stride = 0, 0, 1
    for frame in frames:
        seen += 1
        measured += tracker.update(frame)
        if measured > MOST_CROPS * stride:
            stride *= 2
            tracker.share_crops(stride)
    tracks = tracker.tracks() if grid is None else persons(tracker.tracks(), grid)
    found = FaceMeasures(seen, tracks, None, None, None, None, None, cuts_s=tracker.cuts_s)
    return look_at(found, main_track(tracks), expression, speech_s)


def look_at(
    measures: FaceMeasures,
    main: int | None,
    expression: ExpressionModel | None,
    speech_s: Sequence[tuple[float, float]] = (),
) -> FaceMeasures:
    """The same faces with what is measured of the main one only: action units, expressions, peak frame."""
    if main is None:
        return FaceMeasures(measures.frames_seen, measures.tracks, None, None, None, None, None, cuts_s=measures.cuts_s)
    samples = measures.tracks[main].samples
    series = measure_action_units(samples)
    scores = np.array([sample.mesh_score for sample in samples], dtype=np.float32)
    probabilities, features = read_expressions(samples, expression)
    return FaceMeasures(
        measures.frames_seen,
        measures.tracks,
        main,
        series,
        probabilities,
        features,
        choose_peak(series, scores, speech_s),
        cuts_s=measures.cuts_s,
    )


def within(
    measures: FaceMeasures, spans: Sequence[tuple[float, float]], speech_s: Sequence[tuple[float, float]] = ()
) -> FaceMeasures | None:
    """The main face in these spans of time only, with what was measured of it; `None` where it is not seen in them.

    Action units keep the neutral that all of its frames gave.
    """
    series = measures.action_units
    assert measures.main is not None and series is not None
    track = measures.tracks[measures.main]
    kept = [i for i, sample in enumerate(track.samples) if any(a <= sample.time_s <= b for a, b in spans)]
    if not kept:
        return None
    part = replace(
        series,
        time_s=series.time_s[kept],
        intensity=series.intensity[kept],
        confidence=series.confidence[kept],
        pose_deg=series.pose_deg[kept],
    )
    samples = tuple(track.samples[i] for i in kept)
    scores = np.array([sample.mesh_score for sample in samples], dtype=np.float32)
    return replace(
        measures,
        tracks=(replace(track, samples=samples),),
        main=0,
        action_units=part,
        expressions=None if measures.expressions is None else measures.expressions[kept],
        face_features=None if measures.face_features is None else measures.face_features[kept],
        peak=choose_peak(part, scores, speech_s),
        mesh_action_units=None,
    )


def with_action_units(
    measures: FaceMeasures, series: ActionUnitSeries, speech_s: Sequence[tuple[float, float]] = ()
) -> FaceMeasures:
    """The same face with action units that another tool measured, and the peak frame that follows from them.

    The main face's samples take the rows nearest in time (`at_times`). Without a face nothing changes.
    """
    if measures.main is None:
        return measures
    samples = measures.tracks[measures.main].samples
    taken = at_times(series, np.array([sample.time_s for sample in samples], dtype=np.float32))
    scores = np.array([sample.mesh_score for sample in samples], dtype=np.float32)
    peak = choose_peak(taken, scores, speech_s)
    return replace(measures, action_units=taken, peak=peak, mesh_action_units=measures.action_units)


def main_track(tracks: tuple[FaceTrack, ...]) -> int | None:
    """Index of the face that is seen longest and largest (summed height of its boxes); `None` without a face."""
    if not tracks:
        return None
    sizes = [sum(float(s.box.corners_px[3] - s.box.corners_px[1]) for s in track.samples) for track in tracks]
    return int(np.argmax(sizes))


def read_expressions(
    samples: tuple[FaceSample, ...], expression: ExpressionModel | None
) -> tuple[NDArray[np.float32] | None, NDArray[np.float32] | None]:
    """Expressions (n, 7) and features (n, 128) of samples; a crop shared by several is read once; `None`: no net."""
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

"""Following faces through the frames: the mesh of one frame says where to look in the next.

The detector runs again when a mesh fails, when nobody is in view, and every `DETECT_EVERY` frames to find newcomers.
All faces are found and counted on detector frames; between them only the `MESHED` largest are followed, so that a crowd
costs no more than a small group. A face that comes back within `LONGEST_GAP_S` near the place it was lost keeps its
number. A cut ends all tracks: who stands at the same place after it may be somebody else (`identity` joins them again).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceBox, FaceSample, FaceTrack
from emotion_llama.media.types import Frame
from emotion_llama.perception.crop import Region, face_crop, region_of_box, region_of_mesh
from emotion_llama.perception.faces import overlap
from emotion_llama.perception.mesh import box_of_mesh
from emotion_llama.perception.shots import ShotFinder
from emotion_llama.perception.surround import surround_colours

MESHED = 4
DETECT_EVERY = 8
LONGEST_GAP_S = 1.0
MIN_MESH_SCORE = 0.5
SAME_PLACE_IOU = 0.3
LOST_PLACE_IOU = 0.1  # a face may move while it is not seen
SMALLEST_FACE_PX = 12.0
MOST_LOOKS = 32
"""Frames in which the colours around a face are looked at."""


class Detector(Protocol):
    """What the tracker needs of a face detector."""

    def detect(self, rgb: NDArray[np.uint8], thorough: bool = True) -> list[FaceBox]:
        """Faces of one picture."""


class Mesher(Protocol):
    """What the tracker needs of a mesh reader."""

    def read(self, rgb: NDArray[np.uint8], region: Region) -> tuple[NDArray[np.float32], float]:
        """Mesh (468, 3) in px and its score 0–1."""


class Shots(Protocol):
    """What the tracker needs to know of cuts."""

    def update(self, frame: Frame) -> bool:
        """Whether this frame begins a new shot."""

    @property
    def cuts_s(self) -> tuple[float, ...]:
        """Times in seconds of the cuts so far."""


@dataclass
class _Track:
    number: int
    shot: int
    samples: list[FaceSample] = field(default_factory=list)
    live: bool = True
    colours: list[NDArray[np.float32]] = field(default_factory=list)

    @property
    def last(self) -> FaceSample:
        return self.samples[-1]

    def look(self, rgb: NDArray[np.uint8]) -> None:
        """Remember the colours around the face, at most `MOST_LOOKS` times."""
        if len(self.colours) < MOST_LOOKS:
            found = surround_colours(rgb, self.last.box)
            self.colours += [] if found is None else [found]

    def done(self) -> FaceTrack:
        colours = np.stack(self.colours).mean(axis=0).astype(np.float32) if self.colours else None
        return FaceTrack(self.number, tuple(self.samples), colours)


class FaceTracker:
    """Collects the tracks of one clip; feed it the frames in time order with `update`, then read `tracks`.

    `shots`: what finds the cuts, a `ShotFinder` unless given.
    """

    def __init__(self, detector: Detector, mesher: Mesher, shots: Shots | None = None) -> None:
        self._detector = detector
        self._mesher = mesher
        self._tracks: list[_Track] = []
        self._shots: Shots = ShotFinder() if shots is None else shots
        self._frames = 0
        self._numbers = 0

    def update(self, frame: Frame) -> int:
        """Look at one frame; gives the number of faces measured in it."""
        if self._shots.update(frame):
            self._end_all()
        live = [track for track in self._tracks if track.live]
        live.sort(key=lambda track: -_area(track.last))
        seen = sum(self._follow(track, frame) for track in live[:MESHED])
        due = self._frames % DETECT_EVERY == 0
        if due or seen < min(len(live), MESHED) or not live:
            seen += self._find(frame, thorough=due or self._frames < DETECT_EVERY)
        if due:
            for track in self._tracks:
                if track.last.frame_index == frame.index:
                    track.look(frame.rgb)
        self._frames += 1
        return seen

    def tracks(self) -> tuple[FaceTrack, ...]:
        """All faces so far, in the order in which they were first seen."""
        return tuple(track.done() for track in self._tracks)

    @property
    def cuts_s(self) -> tuple[float, ...]:
        """Times in seconds at which the picture changed to another shot."""
        return self._shots.cuts_s

    def _end_all(self) -> None:
        for track in self._tracks:
            track.live = False

    def share_crops(self, stride: int) -> None:
        """Let runs of `stride` samples share their first crop: bounds the memory of a long clip."""
        for track in self._tracks:
            for at, sample in enumerate(track.samples):
                kept = track.samples[at - at % stride].crop
                if sample.crop is not kept:
                    track.samples[at] = _with_crop(sample, kept)

    def forget(self, before_s: float) -> None:
        """Drop what was seen before `before_s`, and faces that cannot come back: bounds the memory of a stream."""
        for track in self._tracks:
            track.samples = [s for s in track.samples if s.time_s >= before_s] or track.samples[-1:]
        newest_s = max((track.last.time_s for track in self._tracks), default=0.0)
        self._tracks = [t for t in self._tracks if t.last.time_s >= min(before_s, newest_s - LONGEST_GAP_S)]

    def _follow(self, track: _Track, frame: Frame) -> bool:
        sample = self._measure(frame, region_of_mesh(track.last.mesh_px), track.last.box.score)
        if sample is None or _iou(sample, track.last) < LOST_PLACE_IOU or self._taken(sample, track):
            track.live = False
            return False
        track.samples.append(sample)
        return True

    def _taken(self, sample: FaceSample, track: _Track) -> bool:
        """Whether another track already measured this face in this frame: two followers may slide onto one face."""
        others = (
            other for other in self._tracks if other is not track and other.last.frame_index == sample.frame_index
        )
        return any(_iou(sample, other.last) > SAME_PLACE_IOU for other in others)

    def _find(self, frame: Frame, thorough: bool) -> int:
        """Measure the faces of this frame that no follower has; gives their number."""
        new = 0
        for box in self._detector.detect(frame.rgb, thorough=thorough):
            if min(box.corners_px[2:] - box.corners_px[:2]) < SMALLEST_FACE_PX or self._followed(box, frame):
                continue
            sample = self._measure(frame, region_of_box(box.corners_px, box.keypoints_px), box.score)
            if sample is None or self._followed(sample.box, frame):
                continue
            track = self._lost_track(sample)
            track.samples.append(sample)
            track.live = True
            new += 1
        return new

    def _followed(self, box: FaceBox, frame: Frame) -> bool:
        current = [track.last.box.corners_px for track in self._tracks if track.last.frame_index == frame.index]
        return bool(current) and bool((overlap(box.corners_px, np.stack(current)) > SAME_PLACE_IOU).any())

    def _lost_track(self, sample: FaceSample) -> _Track:
        """The track this face belongs to: the best overlapping one seen shortly before, or a new one."""
        lost = [
            (iou, track)
            for track in self._tracks
            if track.last.frame_index != sample.frame_index
            and track.shot == len(self.cuts_s)
            and sample.time_s - track.last.time_s <= LONGEST_GAP_S
            and (iou := _iou(sample, track.last)) > LOST_PLACE_IOU
        ]
        if lost:
            return max(lost, key=lambda pair: pair[0])[1]
        self._tracks.append(_Track(self._numbers, len(self.cuts_s)))
        self._numbers += 1
        return self._tracks[-1]

    def _measure(self, frame: Frame, region: Region, detection_score: float) -> FaceSample | None:
        mesh, score = self._mesher.read(frame.rgb, region)
        if score < MIN_MESH_SCORE:
            return None
        box = box_of_mesh(mesh, detection_score)
        return FaceSample(frame.index, frame.time_s, box, mesh, score, face_crop(frame.rgb, mesh))


def _with_crop(sample: FaceSample, crop: NDArray[np.uint8]) -> FaceSample:
    return FaceSample(sample.frame_index, sample.time_s, sample.box, sample.mesh_px, sample.mesh_score, crop)


def _area(sample: FaceSample) -> float:
    x0, y0, x1, y1 = sample.box.corners_px
    return float((x1 - x0) * (y1 - y0))


def _iou(one: FaceSample, other: FaceSample) -> float:
    return float(overlap(one.box.corners_px, other.box.corners_px[None])[0])

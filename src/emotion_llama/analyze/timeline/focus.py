"""The one window that is looked at closely: which it is, and its people by the numbers of the whole recording."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from emotion_llama.analyze.baseline import Beside
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.measurements import FaceBoxes, FaceTrack
from emotion_llama.perception.faces import overlap
from emotion_llama.timeline import Stretch, Window

SAME_TIME_S = 0.15
SAME_FACE_IOU = 0.3


@dataclass(frozen=True)
class Focus:
    """How one window of a recording is looked at: what it is compared with, and whom it is about.

    `face`: where that person is; `None`: the main face there.
    """

    beside: Beside
    face: FaceBoxes | None = None

    def person_in(self, tracks: Sequence[FaceTrack]) -> int | None:
        """The number that the person has among the tracks of the window alone; `None` where nobody is there."""
        if self.face is None:
            return None
        found = numbers_of(tracks, [self.face])
        return next((track for track, number in found.items() if number == self.face.track), None)


def focus_window(windows: Sequence[Window], stretches: Sequence[Stretch], emotion: str | None) -> Window:
    """The window to look at closely; without any stretch the surest window, or the middle one."""
    fitting = [one for one in stretches if one.emotion == emotion] or list(stretches)
    if fitting:
        strongest = max(fitting, key=lambda one: one.confidence)
        return min(_of(strongest, windows), key=lambda window: abs(_middle_s(window) - strongest.peak_s))
    sure = [window for window in windows if window.confidence is not None]
    if sure:
        return max(sure, key=lambda window: window.confidence or 0.0)
    return windows[len(windows) // 2]


def _of(stretch: Stretch, windows: Sequence[Window]) -> Iterator[Window]:
    return (w for w in windows if w.person == stretch.person and w.emotion is not None)


def _middle_s(window: Window) -> float:
    return (window.start_s + window.end_s) / 2


def numbers_of(tracks: Sequence[FaceTrack], boxes: Sequence[FaceBoxes]) -> dict[int, int]:
    """Numbers in the whole recording of tracks of a part of it, by where their boxes lie; none has two.

    A track that was not followed in the whole recording gets a number that nobody there has.
    """
    near = [(_overlap(track, one), track.track, one.track) for track in tracks for one in boxes]
    found: dict[int, int] = {}
    for share, own, number in sorted(near, reverse=True):
        if share >= SAME_FACE_IOU and own not in found and number not in found.values():
            found[own] = number
    free = max((one.track + 1 for one in boxes), default=0)
    for track in tracks:
        if track.track not in found:
            found[track.track], free = free, free + 1
    return found


def _overlap(track: FaceTrack, boxes: FaceBoxes) -> float:
    """Mean overlap (IoU) of two courses of boxes over the samples of the first; 0 where only one is seen."""
    shares = []
    for sample in track.samples:
        nearest = int(np.abs(boxes.time_s - sample.time_s).argmin())
        near = abs(float(boxes.time_s[nearest]) - sample.time_s) <= SAME_TIME_S
        shares.append(float(overlap(sample.box.corners_px, boxes.corners_px[nearest][None])[0]) if near else 0.0)
    return float(np.mean(shares))


def renumbered(material: ReportMaterial, numbers: Mapping[int, int]) -> ReportMaterial:
    """The material of one window, its faces with the numbers of the whole recording."""
    faces = material.faces
    if faces is not None:
        tracks = tuple(replace(track, track=numbers[track.track]) for track in faces.tracks)
        faces = replace(faces, tracks=tracks)
    return replace(material, faces=faces)

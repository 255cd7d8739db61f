"""Where the measured faces are at any time: between two samples in a straight line, a moment before and after them."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceBoxes, FaceMeasures, FaceSample

_Row = tuple[NDArray[np.float32], NDArray[np.float32] | None]  # box (4,) and mesh (468, 2)

LONGEST_GAP_S = 0.5
"""Samples this far apart are still one movement; further apart only where the samples themselves lie that thin."""


@dataclass(frozen=True)
class FaceAt:
    """One face at one time, in px of the upright frame: corners of its box (4,) and its mesh (468, 2).

    `mesh_px` is `None` where only boxes were kept.
    """

    track: int
    main: bool
    box_px: NDArray[np.float32]
    mesh_px: NDArray[np.float32] | None


class _Course:
    """One face over time: the same number of values in each row of `rows` as there are times."""

    def __init__(self, track: int, main: bool, times_s: Sequence[float], rows: Sequence[_Row]) -> None:
        self.track, self.main, self.rows = track, main, rows
        self._times_s = list(times_s)
        steps = np.diff(self._times_s)
        self._gap_s = max(LONGEST_GAP_S, 1.5 * float(np.median(steps))) if len(steps) else LONGEST_GAP_S

    def at(self, time_s: float, hold_s: float) -> _Row | None:
        """The face at a time; `None` where it was not seen, nor within `hold_s` of that time."""
        place = bisect_right(self._times_s, time_s)
        around = range(max(0, place - 1), min(len(self._times_s), place + 1))
        if len(around) == 2:
            before_s, after_s = (self._times_s[at] for at in around)
            if after_s - before_s <= self._gap_s:
                share = np.float32((time_s - before_s) / (after_s - before_s))
                return _between(self.rows[around[0]], self.rows[around[1]], share)
        near = [at for at in around if abs(self._times_s[at] - time_s) <= hold_s]
        return self.rows[min(near, key=lambda at: abs(self._times_s[at] - time_s))] if near else None


def _between(before: _Row, after: _Row, share: np.float32) -> _Row:
    box = before[0] + share * (after[0] - before[0])
    if before[1] is None or after[1] is None:
        return box, None
    return box, before[1] + share * (after[1] - before[1])


class FaceCourse:
    """All measured faces of one clip over time: whole, or of a long recording their boxes alone."""

    def __init__(self, faces: FaceMeasures | None, boxes: Sequence[FaceBoxes] = ()) -> None:
        whole = [] if faces is None or boxes else list(enumerate(faces.tracks))
        main = None if faces is None else faces.main
        self._courses = [
            *(
                _Course(t.track, place == main, [s.time_s for s in t.samples], [_row(s) for s in t.samples])
                for place, t in whole
            ),
            *(
                _Course(one.track, one.main, one.time_s.tolist(), [(box, None) for box in one.corners_px])
                for one in boxes
            ),
        ]

    @property
    def several(self) -> bool:
        """Whether there is more than one face."""
        return len(self._courses) > 1

    def boxes_px(self) -> NDArray[np.float32]:
        """Corners (N, 4) of every face in every sample."""
        return np.array([row[0] for course in self._courses for row in course.rows], np.float32).reshape(-1, 4)

    def at(self, time_s: float, hold_s: float) -> list[FaceAt]:
        """The faces at a time, seconds of the recording; each is held `hold_s` before and after it was seen."""
        found = []
        for course in self._courses:
            seen = course.at(time_s, hold_s)
            if seen is not None:
                found.append(FaceAt(course.track, course.main, *seen))
        return found


def _row(sample: FaceSample) -> _Row:
    return sample.box.corners_px, sample.mesh_px[:, :2]

"""Whether there is anything in the pictures: black, of one colour, standing still. One pass over small frames."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.build.doctor.records import Finding, Kind, found
from emotion_llama.media.types import Frame

DARK = 30  # grey levels: 98 of 100 points of a black picture lie below, noise included
FLAT = 6  # grey levels between the darkest and the lightest tenth of a hundred
STILL = 2.5  # grey levels: change to the first picture of a stretch; a head at rest moves by 4 and more
NEARLY_ALL = 0.9
PART_S = 0.5
PART_SHARE = 0.2
STILL_S = 1.0
STILL_SHARE = 0.25


class PictureWatch:
    """Looks at the frames that pass by, and says afterwards what was wrong with them."""

    def __init__(self) -> None:
        self.frames = 0
        self._times_s: list[float] = []
        self._dark: list[bool] = []
        self._flat: list[bool] = []
        self._anchor: NDArray[np.int16] | None = None
        self._anchor_s = 0.0
        self._still = (0.0, 0.0)  # longest stretch: where, how long

    def watch(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Give the frames on, having looked at each."""
        for frame in frames:
            self._look(frame)
            yield frame

    def _look(self, frame: Frame) -> None:
        grey = cv2.cvtColor(frame.rgb, cv2.COLOR_RGB2GRAY)
        low, high = np.percentile(grey, (2, 98))
        self.frames += 1
        self._times_s.append(frame.time_s)
        self._dark.append(bool(high < DARK))
        self._flat.append(bool(high - low < FLAT))
        now = grey.astype(np.int16)
        if self._anchor is None or np.percentile(np.abs(now - self._anchor), 99.5) > STILL:
            self._anchor, self._anchor_s = now, frame.time_s
        elif frame.time_s - self._anchor_s > self._still[1]:
            self._still = (self._anchor_s, frame.time_s - self._anchor_s)

    def findings(self, clip: str) -> Iterator[Finding]:
        """Say what was wrong; nothing for no frame at all."""
        if not self.frames:
            return
        dark, flat = np.array(self._dark), np.array(self._flat)
        empty = [*self._empty(clip, "black", dark), *self._empty(clip, "plain", flat & ~dark)]
        yield from empty
        if any(finding.severity == "error" for finding in empty):
            return
        where_s, still_s = self._still
        if still_s >= max(STILL_S, STILL_SHARE * self._length_s):
            words = f"nothing moves for {still_s:.1f} of {self._length_s:.1f} s, from {where_s:.1f} s on"
            yield found(clip, "frozen", "warning", words)

    def _empty(self, clip: str, kind: Kind, bad: NDArray[np.bool_]) -> Iterator[Finding]:
        name = "black" if kind == "black" else "of one colour"
        share, length_s = float(bad.mean()), self._length_s
        if share >= NEARLY_ALL:
            yield found(clip, kind, "error", f"{share:.0%} of the pictures are {name}")
        elif share >= PART_SHARE and share * length_s >= PART_S:
            yield found(clip, kind, "warning", f"{share * length_s:.1f} of {length_s:.1f} s are {name}")

    @property
    def _length_s(self) -> float:
        if self.frames < 2:
            return 0.0
        first_s, last_s = self._times_s[0], self._times_s[-1]
        return (last_s - first_s) * self.frames / (self.frames - 1)

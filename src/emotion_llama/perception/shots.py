"""Where a film cuts to another shot, frame by frame, with a memory of a few small pictures.

A frame is compared with the last few: how much each place of a small picture changed, and how much the colours as a
whole did. Movement changes places and keeps the colours, a flash or a lamp changes the light and keeps the places; only
a cut changes both at once. What counts as much depends on how restless the shot is (the rule of PySceneDetect's
AdaptiveDetector, looking back only). A slow fade is no cut; a flash and a black or white picture are waited out.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.media.types import Frame

GRID_PX = (32, 24)
LEAST_CHANGE = 0.2
TIMES_RESTLESS = 3.0
REMEMBERED = 3
"""Frames to compare with: a single odd one between two alike is no cut."""

RESTLESS_FRAMES = 12
BLANK_SPREAD = 4.0
"""Standard deviation of luma (of 255) below which a picture is black, white or plain, and shows no shot."""

LONGEST_FLASH_S = 0.4
LONGEST_NEIGHBOUR_S = 0.5
SAME_VIEW_CORRELATION = 0.9
"""From here on the middle of a frame is found again elsewhere in the next one: the camera swept, nothing was cut."""

_BINS = (4, 4, 4)
_FLASH_RISE = 12.0
_DARKENED = 0.03


@dataclass(frozen=True)
class _Sketch:
    """A frame in small: colours in Lab (24, 32, 3) of 255, the histograms of both halves (128,) that sum to 1."""

    lab: NDArray[np.float32]
    colours: NDArray[np.float32]
    time_s: float

    @property
    def blank(self) -> bool:
        return float(self.lab[..., 0].std()) < BLANK_SPREAD


class ShotFinder:
    """Finds cuts in a stream of frames; feed them in time order to `update`."""

    def __init__(self) -> None:
        self._cuts_s: list[float] = []
        self._last: deque[_Sketch] = deque(maxlen=REMEMBERED)
        self._changes: deque[float] = deque(maxlen=RESTLESS_FRAMES)
        self._flash_s: float | None = None
        self._was_blank = False

    @property
    def cuts_s(self) -> tuple[float, ...]:
        """Times in seconds at which a new shot began, so far; the first frame of all is none."""
        return tuple(self._cuts_s)

    def update(self, frame: Frame) -> bool:
        """Look at the next frame; says whether it begins a new shot."""
        now = _sketch(frame)
        if now.blank:  # black, white, a fade: the shot before and the one after it are compared with each other
            self._was_blank = True
            return False
        if not self._last:
            self._last.append(now)
            return False
        change = min(self._change(before, now) for before in self._last)
        cut = self._is_cut(change, now)
        if cut and self._waits(now):
            return False
        self._flash_s, self._was_blank = None, False
        if cut:
            self._cuts_s.append(frame.time_s)
            self._last.clear()
        else:
            self._changes.append(change)
        self._last.append(now)
        return cut

    def _change(self, before: _Sketch, now: _Sketch) -> float:
        # pictures that fade are all of one dark: after black only the places tell
        return _of_places(before.lab, now.lab) if self._was_blank else _change(before, now)

    def _is_cut(self, change: float, now: _Sketch) -> bool:
        near = now.time_s - self._last[-1].time_s <= LONGEST_NEIGHBOUR_S
        restless = float(np.median(self._changes)) if near and self._changes else 0.0
        return change > max(LEAST_CHANGE, TIMES_RESTLESS * restless) and not _swept(self._last[-1], now)

    def _waits(self, now: _Sketch) -> bool:
        """Whether this may be a flash: everything brighter, nothing darker, and not for long."""
        rise = now.lab[..., 0] - self._last[-1].lab[..., 0]
        brighter = float(rise.mean()) > _FLASH_RISE and float((rise < -_FLASH_RISE).mean()) < _DARKENED
        if not brighter:
            return False
        self._flash_s = now.time_s if self._flash_s is None else self._flash_s
        return now.time_s - self._flash_s < LONGEST_FLASH_S


def _sketch(frame: Frame) -> _Sketch:
    # a first rough step by nearest pixels keeps a large frame below a millisecond
    step = max(1, min(frame.rgb.shape[0] // 180, frame.rgb.shape[1] // 240))
    rough = np.ascontiguousarray(frame.rgb[::step, ::step])
    small = cv2.resize(rough, (GRID_PX[0] * 2, GRID_PX[1] * 2), interpolation=cv2.INTER_AREA)
    lab = cv2.cvtColor(small, cv2.COLOR_RGB2LAB)
    grid = cv2.resize(lab, GRID_PX, interpolation=cv2.INTER_AREA).astype(np.float32)
    # the halves apart: a cut that swaps the sides of two people keeps the colours of the whole
    halves = [_histogram(lab[:, : GRID_PX[0]]), _histogram(lab[:, GRID_PX[0] :])]
    return _Sketch(grid, np.concatenate(halves).astype(np.float32) / np.float32(len(halves)), frame.time_s)


def _histogram(lab: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Shares of colours that sum to 1; the two colour axes over the half of their range that pictures use."""
    part = lab.copy()
    part[..., 1:] = part[..., 1:].clip(64, 191)
    counts = cv2.calcHist([part], [0, 1, 2], None, list(_BINS), [0, 256, 64, 192, 64, 192]).ravel()
    return np.asarray(counts / max(1.0, float(counts.sum())), dtype=np.float32)


def _change(before: _Sketch, now: _Sketch) -> float:
    """How much changed, 0 to about 1: the geometric mean of what places and what colours say."""
    return float(np.sqrt(_of_places(before.lab, now.lab) * _of_colours(before.colours, now.colours)))


def _of_places(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    """Mean difference of places once the light is made the same: mean and spread of luma, mean of colour."""
    one, other = _same_light(before), _same_light(now)
    return float(min(1.0, np.abs(one - other).mean() / 64.0))


def _same_light(lab: NDArray[np.float32]) -> NDArray[np.float32]:
    even = lab - lab.mean(axis=(0, 1))
    even[..., 0] *= 48.0 / max(BLANK_SPREAD, float(lab[..., 0].std()))
    return np.asarray(even, dtype=np.float32)


def _swept(before: _Sketch, now: _Sketch) -> bool:
    """Whether the middle of one frame is seen at another place of the next, as when a camera turns fast."""
    rows, columns = before.lab.shape[0] // 4, before.lab.shape[1] // 4
    middle = np.ascontiguousarray(before.lab[rows:-rows, columns:-columns])
    found = cv2.matchTemplate(now.lab, middle, cv2.TM_CCOEFF_NORMED)
    return float(found.max()) > SAME_VIEW_CORRELATION


def _of_colours(before: NDArray[np.float32], now: NDArray[np.float32]) -> float:
    return float(np.abs(before - now).sum() / 2)

"""Numbers → SVG path texts for the report. Every path lies in a box 1000 wide and 100 high, y downwards.

The page stretches the box to the width it has, so a chart reads the same on a phone and on paper.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

WIDTH = 1000.0
HEIGHT = 100.0
MAX_POINTS = 240  # more than a pixel column a point on the widest page
TOUCHING = 0.5  # a smaller gap cannot be seen
_GAP_STEPS = 3.5  # a hole longer than this many usual steps is drawn as a hole, not bridged


@dataclass(frozen=True)
class TimeAxis:
    """The seconds of the recording that a chart spans."""

    start_s: float
    end_s: float

    def x(self, time_s: float) -> float:
        """Position of a time on the 1000 wide box, kept inside it."""
        share = (time_s - self.start_s) / max(self.end_s - self.start_s, 1e-9)
        return WIDTH * min(max(share, 0.0), 1.0)

    def ticks(self) -> list[tuple[float, str]]:
        """Five to nine round times as (percent from the left, text)."""
        step = _round_step((self.end_s - self.start_s) / 5)
        first = int(np.ceil(self.start_s / step - 1e-6))
        last = int(np.floor(self.end_s / step + 1e-6))
        return [(self.x(n * step) / 10, clock(n * step)) for n in range(first, last + 1)]


def clock(time_s: float) -> str:
    """A time for people: "0.5 s", "12 s", "1:05", "1:02:05"."""
    if time_s < 60:
        return f"{time_s:.3g} s"
    minutes, seconds = divmod(round(time_s), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"


def _round_step(wanted: float) -> float:
    for step in (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800):
        if step >= wanted * 0.75:
            return float(step)
    return 3600.0


def envelope(samples: NDArray[np.float32], bins: int = 500) -> NDArray[np.float32]:
    """Lowest and highest sample of each of at most `bins` equal spans: (bins, 2)."""
    if len(samples) == 0:
        return np.zeros((0, 2), dtype=np.float32)
    starts = np.unique(np.linspace(0, len(samples), min(bins, len(samples)), endpoint=False).astype(np.int64))
    low, high = np.minimum.reduceat(samples, starts), np.maximum.reduceat(samples, starts)
    return np.stack([low, high], axis=1).astype(np.float32)


def wave_path(bounds: NDArray[np.float32], axis: TimeAxis, start_s: float, end_s: float) -> str:
    """The filled outline of an envelope (bins, 2), scaled to its own largest value; "" without sound."""
    if len(bounds) == 0:
        return ""
    size = max(float(np.abs(bounds).max()), 1e-6)
    middle, tall = HEIGHT / 2, 0.46 * HEIGHT
    times = np.linspace(start_s, end_s, len(bounds))
    upper = [(axis.x(t), middle - tall * high / size - 0.4) for t, high in zip(times, bounds[:, 1], strict=True)]
    lower = [(axis.x(t), middle - tall * low / size + 0.4) for t, low in zip(times, bounds[:, 0], strict=True)]
    return _polygon(upper + lower[::-1])


def line_path(time_s: NDArray[np.float32], share: NDArray[np.float32], axis: TimeAxis) -> str:
    """An open line through heights `share` (0 at the foot, 1 at the top); NaN and long holes break it."""
    runs = (_points(times, heights, axis) for times, heights in _runs(time_s, share))
    return " ".join("M" + "L".join(_pairs(points)) for points in runs if len(points) > 1)


def area_path(time_s: NDArray[np.float32], share: NDArray[np.float32], axis: TimeAxis) -> str:
    """Like `line_path`, filled down to the foot."""
    areas = []
    for times, heights in _runs(time_s, share):
        points = _points(times, heights, axis)
        areas.append(_polygon([(points[0][0], HEIGHT), *points, (points[-1][0] + 1, HEIGHT)]))
    return " ".join(areas)


def spans(times_s: tuple[tuple[float, float], ...], axis: TimeAxis) -> list[tuple[float, float]]:
    """Spans of time, in order, as (x, width) on the 1000 wide box; those that touch there are one."""
    found: list[tuple[float, float]] = []
    for start_s, end_s in times_s:
        first, last = axis.x(start_s), axis.x(end_s)
        if found and first - found[-1][1] < TOUCHING:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return [(round(first, 1), round(max(last - first, 1.0), 1)) for first, last in found]


def thin(values: NDArray[np.float32], most: int) -> NDArray[np.int64]:
    """At most `most` evenly spread row numbers of `values`, the first and the last among them."""
    return np.unique(np.linspace(0, len(values) - 1, min(most, len(values))).round().astype(np.int64))


def _runs(
    time_s: NDArray[np.float32], share: NDArray[np.float32]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Stretches without NaN and without long holes, each thinned to what the eye can see."""
    kept = np.flatnonzero(np.isfinite(share) & np.isfinite(time_s))
    if len(kept) == 0:
        return
    usual = float(np.median(np.diff(time_s))) if len(time_s) > 1 else 0.0
    breaks = np.flatnonzero(np.diff(time_s[kept]) > _GAP_STEPS * usual) + 1
    for run in np.split(kept, breaks):
        most = max(2, round(MAX_POINTS * len(run) / len(kept)))
        chosen = run[thin(run.astype(np.float32), most)]
        yield time_s[chosen], share[chosen]


def _points(time_s: NDArray[np.float32], share: NDArray[np.float32], axis: TimeAxis) -> list[tuple[float, float]]:
    heights = np.clip(share, 0, 1)
    return [(axis.x(float(t)), HEIGHT * (1 - float(h))) for t, h in zip(time_s, heights, strict=True)]


def _pairs(points: list[tuple[float, float]]) -> list[str]:
    return [f"{x:.1f} {y:.1f}" for x, y in points]


def _polygon(points: list[tuple[float, float]]) -> str:
    return "M" + "L".join(_pairs(points)) + "Z"

"""Action units over time → expressions: onset, apex and offset of each movement of a face.

A movement begins where a unit rises above a threshold of its own person (median and spread of the unit over the
recording, between 1 and 2 of 5) and reaches as far as it stays above half of it. Blinks are none, and neither are
movements of lips and jaw during speech: they are made by the words.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries
from emotion_llama.perception.describe import MIN_CONFIDENCE
from emotion_llama.timeline import Expression

BLINK = 45
SPEECH_UNITS = (17, 20, 23, 25, 26, 28)
"""Units of lips and jaw that speech moves."""

LOWEST, HIGHEST = 1.0, 2.0  # of the threshold: slight, and clearly there (FACS levels B and C on the scale of 0–5)
SPREADS = 3.0
SHORTEST_S = 0.2
LONGEST_GAP_S = 0.5
"""Samples further apart than this belong to different movements: the face was not seen between them."""

SPEECH_SHARE = 0.5


def expressions_of(
    series: ActionUnitSeries, speech_s: Sequence[tuple[float, float]], person: int | None
) -> tuple[Expression, ...]:
    """The expressions of one person, by unit and then by time."""
    times = series.time_s.astype(np.float64)
    if len(times) < 3:
        return ()
    found = []
    for unit in series.measured:
        if unit == BLINK:
            continue
        column = ACTION_UNITS.index(unit)
        sure = series.confidence[:, column] >= MIN_CONFIDENCE
        sizes = np.where(sure, _median3(series.intensity[:, column].astype(np.float64)), 0.0)
        for first, apex, last in movements_in(sizes, times):
            onset_s, offset_s = float(times[first]), float(times[last])
            spoken = unit in SPEECH_UNITS and _share(onset_s, offset_s, speech_s) >= SPEECH_SHARE
            if offset_s - onset_s >= SHORTEST_S and not spoken:
                found.append(
                    Expression(
                        unit=f"AU{unit:02d}", onset_s=onset_s, apex_s=float(times[apex]), offset_s=offset_s,
                        intensity=min(5.0, round(float(sizes[apex]), 3)), person=person,
                    )
                )  # fmt: skip
    return tuple(found)


def threshold(sizes: NDArray[np.float64]) -> float:
    """From which size on a unit of this person counts as moved: above what is usual for them."""
    middle = float(np.median(sizes))
    spread = 1.4826 * float(np.median(np.abs(sizes - middle)))
    return min(max(middle + SPREADS * spread, LOWEST), HIGHEST)


def movements_in(sizes: NDArray[np.float64], times: NDArray[np.float64]) -> list[tuple[int, int, int]]:
    """Index of onset, apex and offset of each movement in the sizes (F,) of one unit."""
    high = threshold(sizes)
    found = []
    for first, last in _runs(sizes >= high / 2, times):
        apex = first + int(np.argmax(sizes[first : last + 1]))
        if sizes[apex] >= high:
            found.append((first, apex, last))
    return found


def _median3(sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    """Median of three neighbours: a single slipped mesh is no movement."""
    padded = np.pad(sizes, 1, mode="edge")
    middle: NDArray[np.float64] = np.median(np.stack([padded[:-2], padded[1:-1], padded[2:]]), axis=0)
    return middle


def _runs(there: NDArray[np.bool_], times: NDArray[np.float64]) -> list[tuple[int, int]]:
    """First and last index of each run of true samples without a gap in time."""
    breaks = np.flatnonzero(~there[1:] | ~there[:-1] | (np.diff(times) > LONGEST_GAP_S)) + 1
    bounds = [0, *breaks.tolist(), len(there)]
    return [(a, b - 1) for a, b in pairwise(bounds) if there[a]]


def _share(start_s: float, end_s: float, speech_s: Sequence[tuple[float, float]]) -> float:
    """Which part of a span is speech."""
    if not len(speech_s):
        return 0.0
    spans = np.asarray(speech_s, np.float64)
    shared = np.minimum(end_s, spans[:, 1]) - np.maximum(start_s, spans[:, 0])
    return float(np.maximum(shared, 0.0).sum()) / max(end_s - start_s, 1e-6)

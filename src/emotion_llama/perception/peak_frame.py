"""The peak frame: the moment at which the face says most.

The paper takes the frame with the largest sum of action-unit intensities (Eq. 1). A plain sum also finds blinks,
open vowels and frames in which the mesh slipped; here those count less and the curve is smoothed over time.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries

SMOOTH_S = 0.3
"""Full width of the triangle that smooths the sum in time (three or more samples are always blended)."""

BLINK_WEIGHT = 0.1
SPEECH_WEIGHT = 0.25
"""Weight of AU 25 and 26 while there is voice: the mouth opens to speak."""

SPEECH_MARGIN_S = 0.1
MIN_MESH_SCORE = 0.5


def plain_peak(series: ActionUnitSeries) -> int:
    """Index of the largest plain sum of intensities: the paper's rule, kept for comparison."""
    return int(np.argmax(series.intensity.sum(axis=1)))


def choose_peak(
    series: ActionUnitSeries, mesh_scores: NDArray[np.float32], speech_s: Sequence[tuple[float, float]] = ()
) -> int:
    """Index (into the series) of the peak frame.

    `mesh_scores` (F,) 0–1; `speech_s` spans of voice in seconds. Raises `ValueError` for an empty series.
    """
    if len(series.time_s) == 0:
        raise ValueError("choose_peak: expected at least one measured frame, found none")
    weights = np.ones(series.intensity.shape)
    weights[:, ACTION_UNITS.index(45)] = BLINK_WEIGHT
    spoken = _spoken(series.time_s, speech_s)
    for unit in (25, 26):
        weights[spoken, ACTION_UNITS.index(unit)] = SPEECH_WEIGHT
    effort = (series.intensity * weights * series.confidence).sum(axis=1)
    effort = _smooth(effort, series.time_s) * np.where(mesh_scores >= MIN_MESH_SCORE, mesh_scores, 0)
    return int(np.argmax(effort))


def _spoken(time_s: NDArray[np.float32], speech_s: Sequence[tuple[float, float]]) -> NDArray[np.bool_]:
    spoken = np.zeros(len(time_s), dtype=bool)
    for start, end in speech_s:
        spoken |= (time_s >= start - SPEECH_MARGIN_S) & (time_s <= end + SPEECH_MARGIN_S)
    return spoken


def _smooth(effort: NDArray[np.float64], time_s: NDArray[np.float32]) -> NDArray[np.float64]:
    """Triangle-weighted mean over neighbours in time; gaps in the track are not bridged."""
    if len(effort) < 3:
        return effort
    step = float(np.median(np.diff(time_s)))
    half = max(SMOOTH_S / 2, 1.5 * step)
    reach = max(int(np.ceil(half / max(step, 1e-3))), 1)
    total, mass = np.zeros(len(effort)), np.zeros(len(effort))
    for shift in range(-reach, reach + 1):
        source = np.arange(len(effort)) + shift
        inside = (source >= 0) & (source < len(effort))
        here, there = np.flatnonzero(inside), source[inside]
        weight = np.clip(1 - np.abs(time_s[there] - time_s[here]) / half, 0, None)
        total[here] += weight * effort[there]
        mass[here] += weight
    return total / mass

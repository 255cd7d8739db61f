from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries
from emotion_llama.perception.peak_frame import choose_peak, plain_peak

FRAMES, RATE_HZ, APEX_REACH = 60, 15.0, 2


def bump(centre: float, width: float, height: float) -> np.ndarray:
    return height * np.exp(-(((np.arange(FRAMES) - centre) / width) ** 2))


def acted(rng: np.random.Generator) -> tuple[ActionUnitSeries, np.ndarray, list[tuple[float, float]], int]:
    """A made sequence with one known apex, plus blinks, speech movement, mesh slips and noise."""
    apex = int(rng.integers(12, FRAMES - 12))
    intensity = np.abs(rng.normal(0, 0.08, (FRAMES, len(ACTION_UNITS))))
    for unit in rng.choice([1, 2, 4, 6, 9, 10, 12, 15], size=3, replace=False):
        intensity[:, ACTION_UNITS.index(int(unit))] += bump(apex, 6, rng.uniform(1.5, 3.0))
    for _ in range(2):
        intensity[:, ACTION_UNITS.index(45)] += bump(rng.uniform(0, FRAMES), 1.0, 5.0)
    for unit in (25, 26):
        wave = np.clip(np.sin(np.arange(FRAMES) * rng.uniform(0.8, 1.4) + rng.uniform(0, 6)), 0, None)
        intensity[:, ACTION_UNITS.index(unit)] += rng.uniform(1.5, 3.5) * wave
    scores = np.ones(FRAMES, dtype=np.float32)
    slip = int(rng.integers(0, FRAMES))
    scores[slip] = 0.2
    intensity[slip] += 2.0
    times = (np.arange(FRAMES) / RATE_HZ).astype(np.float32)
    series = ActionUnitSeries(
        times,
        np.clip(intensity, 0, 5).astype(np.float32),
        np.tile(scores[:, None] * np.float32(0.8), (1, len(ACTION_UNITS))),
        np.zeros((FRAMES, 3), np.float32),
        "own",
    )
    return series, scores, [(0.0, FRAMES / RATE_HZ)], apex


def test_finds_a_known_apex_where_the_plain_sum_is_misled() -> None:
    rng = np.random.default_rng(0)
    robust = plain = 0
    for _ in range(200):
        series, scores, speech, apex = acted(rng)
        robust += abs(choose_peak(series, scores, speech) - apex) <= APEX_REACH
        plain += abs(plain_peak(series) - apex) <= APEX_REACH
    print(f"within {APEX_REACH} frames: robust {robust / 2:.1f} %, plain sum {plain / 2:.1f} %")
    assert robust >= 190
    assert plain < robust - 40


def test_one_frame_is_its_own_peak_and_none_is_an_error() -> None:
    series, scores, _, _ = acted(np.random.default_rng(1))
    one = ActionUnitSeries(
        series.time_s[:1], series.intensity[:1], series.confidence[:1], series.pose_deg[:1], "population"
    )
    assert choose_peak(one, scores[:1]) == 0
    none = ActionUnitSeries(series.time_s[:0], series.intensity[:0], series.confidence[:0], series.pose_deg[:0], "own")
    with pytest.raises(ValueError, match="at least one"):
        choose_peak(none, scores[:0])


def test_open_mouth_without_voice_counts_in_full() -> None:
    series, _, speech, _ = acted(np.random.default_rng(2))
    quiet = np.zeros_like(series.intensity)
    quiet[:, ACTION_UNITS.index(26)] = bump(20, 4, 4.0)
    quiet[:, ACTION_UNITS.index(12)] = bump(45, 4, 2.0)
    still = ActionUnitSeries(series.time_s, quiet, np.ones_like(quiet), series.pose_deg, "own")
    steady = np.ones(FRAMES, dtype=np.float32)
    assert choose_peak(still, steady) == 20
    assert choose_peak(still, steady, speech) == 45

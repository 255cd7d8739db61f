"""Onset, apex and offset of known movements; blinks, speech, noise and doubtful meshes are no expressions."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.analyze.timeline.expressions import expressions_of, threshold
from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries
from emotion_llama.timeline import Expression

RATE_HZ = 15.0


def series(length_s: float, **units: np.ndarray) -> ActionUnitSeries:
    times = np.arange(round(length_s * RATE_HZ), dtype=np.float32) / np.float32(RATE_HZ)
    intensity = np.zeros((len(times), len(ACTION_UNITS)), np.float32)
    for name, sizes in units.items():
        intensity[:, ACTION_UNITS.index(int(name[2:]))] = sizes
    return ActionUnitSeries(times, intensity, np.ones_like(intensity), np.zeros((len(times), 3), np.float32), "own")


def bump(length_s: float, centre_s: float, half_s: float, height: float) -> np.ndarray:
    times = np.arange(round(length_s * RATE_HZ)) / RATE_HZ
    return np.asarray(height * np.clip(1 - np.abs(times - centre_s) / half_s, 0, None))


def found(measured: ActionUnitSeries, *speech_s: tuple[float, float]) -> list[Expression]:
    return list(expressions_of(measured, speech_s, 3))


def test_a_smile_has_onset_apex_and_offset() -> None:
    (smile,) = found(series(20.0, AU12=bump(20.0, 8.0, 2.0, 4.0)))
    assert (smile.unit, smile.person) == ("AU12", 3)
    assert smile.apex_s == pytest.approx(8.0, abs=0.1) and smile.intensity == pytest.approx(4.0, abs=0.2)
    # above half of the threshold of 1: 0.5 of 4 is reached 0.25 s after the start
    assert smile.onset_s == pytest.approx(6.25, abs=0.1) and smile.offset_s == pytest.approx(9.75, abs=0.1)


def test_blinks_and_short_slips_are_none() -> None:
    slip = np.zeros(300)
    slip[100] = 5.0
    assert found(series(20.0, AU45=bump(20.0, 5.0, 0.2, 5.0), AU04=slip)) == []


def test_a_mouth_that_speaks_is_no_expression_and_a_silent_one_is() -> None:
    talk = series(20.0, AU25=bump(20.0, 5.0, 1.0, 3.0) + bump(20.0, 15.0, 1.0, 3.0), AU12=bump(20.0, 5.0, 1.0, 3.0))
    moves = found(talk, (3.0, 7.0))
    assert [(move.unit, round(move.apex_s)) for move in moves] == [("AU12", 5), ("AU25", 15)]


def test_restless_faces_need_more_than_calm_ones() -> None:
    noise = np.abs(np.random.default_rng(0).normal(0, 0.5, 900))
    assert threshold(np.zeros(900)) == 1.0 < threshold(noise) <= 2.0
    assert found(series(60.0, AU04=np.minimum(noise, 0.95))) == []


def test_two_movements_are_two_and_one_without_end_is_one() -> None:
    twice = bump(20.0, 5.0, 1.0, 3.0) + bump(20.0, 9.0, 1.0, 2.0)
    assert [round(move.apex_s) for move in found(series(20.0, AU01=twice))] == [5, 9]
    assert len(found(series(20.0, AU12=np.full(300, 3.0)))) == 1


def test_a_gap_in_the_track_ends_a_movement_and_unsure_samples_do_not_count() -> None:
    smile = series(20.0, AU12=np.full(300, 3.0))
    kept = (smile.time_s < 8) | (smile.time_s > 12)
    cut = ActionUnitSeries(
        smile.time_s[kept], smile.intensity[kept], smile.confidence[kept], smile.pose_deg[kept], "own"
    )
    assert len(found(cut)) == 2
    unsure = ActionUnitSeries(smile.time_s, smile.intensity, smile.confidence * 0, smile.pose_deg, "own")
    assert found(unsure) == []


def test_too_few_samples_are_none() -> None:
    assert found(series(0.1, AU12=np.full(2, 3.0))) == []

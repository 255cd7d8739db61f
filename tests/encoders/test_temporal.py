from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.encoders.temporal import FaceDynamics
from emotion_llama.errors import ModelError
from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries


def series(time_s: list[float], level: list[float]) -> ActionUnitSeries:
    """All action units at one level a sample, the last column at twice it."""
    intensity = np.repeat(np.array(level, np.float32)[:, None], len(ACTION_UNITS), axis=1)
    if len(level):
        intensity[:, -1] *= 2
    shape = (len(level), len(ACTION_UNITS))
    return ActionUnitSeries(
        time_s=np.array(time_s, np.float32),
        intensity=intensity.reshape(shape),
        confidence=np.ones(shape, np.float32),
        pose_deg=np.zeros((len(level), 3), np.float32),
        baseline="own",
    )


def test_mean_and_maximum_of_each_quarter() -> None:
    rows = FaceDynamics()(series([5, 5.5, 6, 7, 8, 9], [1, 2, 0, 1.5, 2, 0.5]))
    assert rows.shape == (4, 36) and rows.dtype == np.float32
    np.testing.assert_allclose(rows[:, 0], np.array([1.5, 0, 1.5, 1.25]) / 5)
    np.testing.assert_allclose(rows[:, 18], np.array([2, 0, 1.5, 2]) / 5)
    np.testing.assert_allclose(rows[:, 17], 2 * rows[:, 0])


def test_empty_quarter_repeats_the_nearest() -> None:
    rows = FaceDynamics()(series([0, 0.1, 3.9, 4], [1, 1, 3, 3]))
    np.testing.assert_allclose(rows[:, 0], np.array([1, 1, 3, 3]) / 5)


def test_single_picture_gives_equal_rows() -> None:
    rows = FaceDynamics()(series([2.0], [2.5]))
    np.testing.assert_allclose(rows[:, :17], 0.5)


def test_result_does_not_depend_on_where_the_clip_starts() -> None:
    level = list(np.random.default_rng(0).uniform(0, 2, 40))
    early, late = series([0.25 * i for i in range(40)], level), series([512 + 0.25 * i for i in range(40)], level)
    np.testing.assert_array_equal(FaceDynamics()(early), FaceDynamics()(late))


def test_no_sample_is_refused() -> None:
    with pytest.raises(ModelError, match="at least one sample"):
        FaceDynamics()(series([], []))

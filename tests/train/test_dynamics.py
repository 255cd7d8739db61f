"""Invented movement of still faces stays within what a real recording could give."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_llama.measurements import ACTION_UNITS
from emotion_llama.train.dynamics import still_dynamics

UNITS = len(ACTION_UNITS)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 5, width=32), min_size=UNITS, max_size=UNITS), st.integers(0, 2**32 - 1))
def test_bounds_and_repeatability(intensity: list[float], seed: int) -> None:
    face = np.array(intensity, np.float32)
    rows = still_dynamics(face, np.random.default_rng(seed))
    assert rows.shape == (4, 2 * UNITS) and rows.dtype == np.float32
    assert rows.min() >= 0 and rows.max() <= 1
    assert (rows[:, UNITS:] >= rows[:, :UNITS] - 1e-6).all()  # the largest is not below the mean
    np.testing.assert_array_equal(rows, still_dynamics(face, np.random.default_rng(seed)))
    assert not np.array_equal(rows, still_dynamics(face, np.random.default_rng(seed + 1)))


def test_the_face_itself_shows_through() -> None:
    cheek, brow = ACTION_UNITS.index(6), ACTION_UNITS.index(4)
    face = np.zeros(UNITS, np.float32)
    face[cheek] = 5
    rows = np.stack([still_dynamics(face, np.random.default_rng(seed)) for seed in range(50)])  # (50, 4, 36)
    assert rows[..., UNITS + cheek].max(axis=1).min() > 0.7  # the apex comes near the measured size
    assert rows[..., brow].mean() < 0.05
    assert rows[..., cheek].std(axis=1).mean() > 0.02  # it moves


def test_lips_move_in_faces_with_closed_lips() -> None:
    lips = ACTION_UNITS.index(25)
    rows = np.stack([still_dynamics(np.zeros(UNITS, np.float32), np.random.default_rng(seed)) for seed in range(50)])
    assert rows[..., UNITS + lips].mean() > 0.1

"""Movement for still pictures: a plausible course of the action units around one measured face.

Only one person's talking-face videos were at hand and they are the test set, so the `temporal` projector learns from
still faces whose action units are given an onset, an apex and an offset at random, with speech-like mouth movement.
The model card says so.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.encoders.temporal import FaceDynamics
from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries

FRAMES = 24
FRAME_S = 0.14
_LIPS = [ACTION_UNITS.index(unit) for unit in (25, 26)]
_BLINK = ACTION_UNITS.index(45)


def still_dynamics(intensity: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Give a `temporal` feature (4, 36) for the action units (18,) of one still face."""
    time_s = np.arange(FRAMES, dtype=np.float32) * FRAME_S
    apex, width = rng.uniform(0, time_s[-1]), rng.uniform(0.4, 3.0)
    course = rng.uniform(0.1, 0.6) + np.exp(-(((time_s - apex) / width) ** 2))  # (F,)
    moved = np.minimum(course, 1.0)[:, None] * intensity[None] + rng.normal(0, 0.1, (FRAMES, len(intensity)))
    mouth = np.abs(np.sin(time_s * rng.uniform(8, 14) + rng.uniform(0, 6)))[:, None] * rng.uniform(0, 2.5, 2)
    moved[:, _LIPS] = np.maximum(moved[:, _LIPS], mouth)
    moved[rng.random(FRAMES) < 0.06, _BLINK] = rng.uniform(2, 5)
    series = ActionUnitSeries(
        time_s=time_s,
        intensity=np.clip(moved, 0, 5).astype(np.float32),
        confidence=np.ones(moved.shape, np.float32),
        pose_deg=np.zeros((FRAMES, 3), np.float32),
        baseline="own",
    )
    return FaceDynamics()(series)

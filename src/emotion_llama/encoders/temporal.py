"""Temporal encoder: how strongly each facial action was shown in each quarter of the clip."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import ModelError
from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries

MOVEMENT = "temporal"
"""The encoder output that is there only where a face moves."""

_CHUNKS = 4
_FULL_INTENSITY = 5.0


class FaceDynamics:
    """Action units over time to `temporal` `(4, 36)`.

    The time span of the samples is cut into four equal chunks. A row holds the mean of the 18 action units in its
    chunk, then their maximum, on a scale of 0 to 1. A chunk without a sample repeats the nearest one in time (the
    earlier of two equally near), so a single picture gives four equal rows.
    """

    name = MOVEMENT
    width = 2 * len(ACTION_UNITS)
    tokens = _CHUNKS

    def __call__(self, series: ActionUnitSeries) -> NDArray[np.float32]:
        """Encode one face's series to `(4, 36)`. Raises `ModelError` if it has no sample or not 18 columns."""
        if not len(series.time_s) or series.intensity.shape != (len(series.time_s), len(ACTION_UNITS)):
            raise ModelError(
                f"the temporal encoder wants at least one sample of {len(ACTION_UNITS)} action units, found times "
                f"{series.time_s.shape} and intensities {series.intensity.shape}; leave the input out for this clip"
            )
        chunk = _chunk_of_sample(series.time_s)
        filled = np.unique(chunk)
        nearest = filled[np.abs(filled - np.arange(_CHUNKS)[:, None]).argmin(axis=1)]
        scaled = series.intensity / _FULL_INTENSITY
        rows = [np.concatenate([scaled[chunk == c].mean(axis=0), scaled[chunk == c].max(axis=0)]) for c in nearest]
        return np.stack(rows).astype(np.float32)


def _chunk_of_sample(time_s: NDArray[np.float32]) -> NDArray[np.intp]:
    """Which of the four equal time chunks each sample falls into, `(F,)`."""
    since = time_s.astype(np.float64) - time_s.min()
    span = since.max()
    if span == 0:
        return np.zeros(len(time_s), dtype=np.intp)
    chunk: NDArray[np.intp] = np.minimum((since / span * _CHUNKS).astype(np.intp), _CHUNKS - 1)
    return chunk

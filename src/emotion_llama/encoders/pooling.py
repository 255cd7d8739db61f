"""Fewer rows of the same meaning: means over consecutive parts."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def pool_rows(rows: NDArray[np.float32], most: int) -> NDArray[np.float32]:
    """Give at most `most` rows: (N, E) as it is, or the means of `most` consecutive parts of equal length (±1 row)."""
    if len(rows) <= most:
        return rows
    parts = np.array_split(rows, most)
    pooled: NDArray[np.float32] = np.stack([part.mean(axis=0) for part in parts]).astype(np.float32)
    return pooled

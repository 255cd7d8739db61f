"""Face measurements → the `local` feature of the language model, and what its face heads read.

The rows are the same for a still picture and for every frame of a clip.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import EXPRESSIONS, FaceMeasures

LOCAL_WIDTH = 128 + len(EXPRESSIONS)
FLOOR = 1e-4
"""Probabilities are floored here before the logarithm: the nets give exact zeros."""


def _log(probabilities: NDArray[np.float32]) -> NDArray[np.float32]:
    logs: NDArray[np.float32] = np.log(np.maximum(probabilities, FLOOR)).astype(np.float32)
    return logs


def expression_rows(expressions: NDArray[np.float32], opinions: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of what both expression nets say, (n, 14): logarithms of their probabilities, (n, 7) each.

    So few numbers carry over to faces unlike those that a head was fitted on (docs/log.md); taking a person's mean off
    is here the same as taking off the person's mean log-probabilities.
    """
    return np.hstack([_log(expressions), _log(opinions)]).astype(np.float32)


def local_tokens(faces: FaceMeasures) -> NDArray[np.float32] | None:
    """Give the `local` feature (2, 135): the main face's mean over the clip, and its peak frame; `None` without one."""
    if faces.face_features is None or faces.expressions is None or faces.peak is None:
        return None
    rows = np.hstack([faces.face_features, _log(faces.expressions)])  # (F, 135)
    return np.stack([rows.mean(axis=0), rows[faces.peak]]).astype(np.float32)  # (2, 135)


def pick_samples(faces: FaceMeasures, count: int) -> NDArray[np.int64]:
    """Choose up to `count` samples of the main track for the second expression net: evenly spread, with the peak."""
    assert faces.main is not None and faces.peak is not None
    total = len(faces.tracks[faces.main].samples)
    spread = np.linspace(0, total - 1, min(count, total)).round().astype(np.int64)
    spread[int(np.abs(spread - faces.peak).argmin())] = faces.peak
    return np.unique(spread)


def view_rows(
    grid: NDArray[np.float32],
    pooled: NDArray[np.float32],
    expressions: NDArray[np.float32],
    opinions: NDArray[np.float32],
    distances: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Rows of everything that is known of a face's look, (n, 1829).

    Takes the expression net's map in quarters (n, 512), the second net's pooled map (n, 1280), both nets' probabilities
    (n, 7) and the mesh distances (n, 23) in spreads of the population.
    """
    return np.hstack([grid, pooled, _log(expressions), _log(opinions), distances]).astype(np.float32)

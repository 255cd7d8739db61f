"""Scores of a sentiment's sign, as MER-UniBench computes them on MOSI, MOSEI, SIMS and SIMS v2.

Two classes: pleasant (above 0) or not; clips whose truth is exactly 0 are left out before. A neutral answer counts as
not pleasant, as in the source; an answer without any sign is wrong for both classes. Source: AffectGPT (2025),
evaluation of the `dimension` sets.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.metrics.label_sets import ratio
from emotion_llama.metrics.statistic import Scores, Statistic

_NEGATIVE, _NEUTRAL, _POSITIVE, _NONE = range(4)


def sign_statistic(truth: Sequence[float], answered: Sequence[float | None]) -> Statistic:
    """Give `sign_weighted_f1, sign_accuracy, neutral_rate, invalid_rate`; only the signs of the numbers count.

    `None` = the answer says nothing about pleasantness. Raises `UsageError` for a true 0 or unequal lengths.
    """
    if len(truth) != len(answered):
        raise UsageError(f"expected one answer or None a truth, found {len(answered)} for {len(truth)}")
    if any(value == 0 or value != value for value in truth):
        raise UsageError("expected true sentiments other than 0 (a clip of 0 has no sign); leave those clips out")
    cells = [4 * (value > 0) + _answer(said) for value, said in zip(truth, answered, strict=True)]
    empty = np.zeros((len(truth), 0), np.float32)
    return Statistic(np.array(cells, np.int64), 8, empty, lambda counts, sums: _scores(counts.reshape(-1, 2, 4)))


def _answer(said: float | None) -> int:
    if said is None or said != said:
        return _NONE
    return _NEUTRAL if said == 0 else _POSITIVE if said > 0 else _NEGATIVE


def _scores(table: NDArray[np.float64]) -> Scores:
    """Scores of tables (D, truth not pleasant or pleasant, answer)."""
    said = np.stack([table[..., _NEGATIVE] + table[..., _NEUTRAL], table[..., _POSITIVE]], axis=2)
    support, n = table.sum(axis=2), table.sum(axis=(1, 2))
    hits = np.stack([said[:, 0, 0], said[:, 1, 1]], axis=1)
    below = support + said.sum(axis=1)
    f1 = np.divide(2 * hits, below, out=np.zeros_like(hits), where=below > 0)
    return {
        "sign_weighted_f1": ratio((f1 * support).sum(axis=1), n),
        "sign_accuracy": ratio(hits.sum(axis=1), n),
        "neutral_rate": ratio(table[..., _NEUTRAL].sum(axis=1), n),
        "invalid_rate": ratio(table[..., _NONE].sum(axis=1), n),
    }

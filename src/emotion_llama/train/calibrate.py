"""Fit temperatures and the weight of the prior on validation people."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.calibration import Calibration, inputs_key
from emotion_llama.train.validate import Answered

TEMPERATURES = np.geomspace(0.3, 6.0, 61)
PRIOR_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
LEAST = 30
"""A combination of inputs with fewer validation clips uses the default temperature; with fewer in all it is 1."""

Pairs = Sequence[tuple[NDArray[np.float64], int]]


def calibrate(answers: Sequence[Answered], about: str) -> Calibration:
    """Fit how much of the prior is taken off, and a temperature for each combination of inputs.

    Every source and combination counts the same in the choice of the prior's weight, however many clips it has. With
    fewer than `LEAST` answers nothing is fitted: a temperature from a handful of clips makes every answer certain.
    """
    if len(answers) < LEAST:
        return Calibration(fitted_on=f"not fitted: {len(answers)} validation clips are fewer than {LEAST}")
    groups: dict[tuple[str, str], list[Answered]] = defaultdict(list)
    for answer in answers:
        groups[answer.source, inputs_key(answer.inputs)].append(answer)
    weight = min(PRIOR_WEIGHTS, key=lambda w: float(np.mean([_fitted_loss(_pairs(g, w)) for g in groups.values()])))
    by_inputs: dict[str, list[Answered]] = defaultdict(list)
    for (_, key), members in groups.items():
        by_inputs[key] += members
    return Calibration(
        prior_weight=weight,
        default_temperature=best_temperature(_pairs(answers, weight)),
        temperature={
            key: best_temperature(_pairs(members, weight))
            for key, members in sorted(by_inputs.items())
            if len(members) >= LEAST
        },
        fitted_on=f"{about}; n = {len(answers)}",
    )


def best_temperature(pairs: Pairs) -> float:
    """Give the temperature with the least mean negative log-likelihood on (scores (L,), right label) pairs."""
    return round(float(min(TEMPERATURES, key=lambda t: _loss(pairs, t))), 3)


def _pairs(answers: Sequence[Answered], weight: float) -> Pairs:
    return [(answer.raw - weight * answer.prior, answer.right) for answer in answers]


def _fitted_loss(pairs: Pairs) -> float:
    return _loss(pairs, best_temperature(pairs))


def _loss(pairs: Pairs, temperature: float) -> float:
    return float(np.mean([_nll(row / temperature, right) for row, right in pairs]))


def _nll(row: NDArray[np.float64], right: int) -> float:
    shifted = row - row.max()
    return float(np.log(np.exp(shifted).sum()) - shifted[right])

"""Fit on validation people: the weight of the prior, what heads count beside the language model, and temperatures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.calibration import Calibration, inputs_key
from emotion_llama.train.validate import Answered

TEMPERATURES = np.geomspace(0.3, 6.0, 61)
PRIOR_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
OPINION_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
ROUNDS = 3
"""The weights are chosen one after the other, so often: each depends a little on the others."""

LEAST = 30
"""A combination of inputs with fewer validation clips uses the default temperature; with fewer in all it is 1."""

Pairs = Sequence[tuple[NDArray[np.float64], int]]


def calibrate(answers: Sequence[Answered], about: str) -> Calibration:
    """Fit the weights of the prior and of the heads' opinions, then a temperature for each combination of inputs.

    Every source and combination counts the same in the choice of the weights, however many clips it has. With fewer
    than `LEAST` answers nothing is fitted: a temperature from a handful of clips makes every answer certain.
    """
    if len(answers) < LEAST:
        return Calibration(fitted_on=f"not fitted: {len(answers)} validation clips are fewer than {LEAST}")
    groups: dict[tuple[str, str], list[Answered]] = defaultdict(list)
    for answer in answers:
        groups[answer.source, inputs_key(answer.inputs)].append(answer)

    def loss(calibration: Calibration) -> float:
        return float(np.mean([_fitted_loss(_pairs(members, calibration)) for members in groups.values()]))

    found = _weights(loss, sorted({head for answer in answers for head in answer.opinions}))
    by_inputs: dict[str, list[Answered]] = defaultdict(list)
    for (_, key), members in groups.items():
        by_inputs[key] += members
    return found.model_copy(
        update={
            "default_temperature": best_temperature(_pairs(answers, found)),
            "temperature": {
                key: best_temperature(_pairs(members, found))
                for key, members in sorted(by_inputs.items())
                if len(members) >= LEAST
            },
            "fitted_on": f"{about}; n = {len(answers)}",
        }
    )


def best_temperature(pairs: Pairs) -> float:
    """Give the temperature with the least mean negative log-likelihood on (scores (L,), right label) pairs."""
    return round(float(TEMPERATURES[int(_losses(pairs).argmin())]), 3)


def _weights(loss: Callable[[Calibration], float], heads: Sequence[str]) -> Calibration:
    """Choose the weight of the prior and of each head in turn; the first of equals is kept."""
    best = Calibration(opinion_weight=dict.fromkeys(heads, 0.0))
    for _ in range(ROUNDS):
        before = best
        best = min((best.model_copy(update={"prior_weight": weight}) for weight in PRIOR_WEIGHTS), key=loss)
        for head in heads:
            tried = [{**best.opinion_weight, head: weight} for weight in OPINION_WEIGHTS]
            best = min((best.model_copy(update={"opinion_weight": weights}) for weights in tried), key=loss)
        if best == before:
            break
    return best


def _pairs(answers: Sequence[Answered], calibration: Calibration) -> Pairs:
    return [(np.array(list(answer.scores(calibration).values())), answer.right) for answer in answers]


def _fitted_loss(pairs: Pairs) -> float:
    return float(_losses(pairs).min())


def _losses(pairs: Pairs) -> NDArray[np.float64]:
    """Mean negative log-likelihood at each temperature; rows of few labels are filled up with minus infinity."""
    table = np.full((len(pairs), max(len(row) for row, _ in pairs)), -np.inf)  # (n, L)
    for place, (row, _) in enumerate(pairs):
        table[place, : len(row)] = row - row.max()
    right = table[np.arange(len(pairs)), [right for _, right in pairs]]  # (n,)
    return np.array([np.mean(np.log(np.exp(table / t).sum(axis=1)) - right / t) for t in TEMPERATURES])

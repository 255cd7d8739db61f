"""Fit on validation people: the weight of the prior, what heads count beside the language model, and temperatures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.calibration import LEAST_CHANCE, Calibration, RiskPoint, inputs_key, softmax
from emotion_llama.train.validate import Answered

TEMPERATURES = np.geomspace(0.3, 6.0, 61)
PRIOR_WEIGHTS = (0.0, 0.25, 0.5, 0.75, 1.0)
OPINION_WEIGHTS = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 5.0)
ROUNDS = 3
"""The weights are chosen one after the other, so often: each depends a little on the others."""

LEAST = 30
"""A combination of inputs with fewer validation clips uses the default temperature; with fewer in all it is 1."""

LEAST_FOR_WEIGHTS = 100
"""The same for the weights of the heads, which are several numbers."""

RISK_POINTS = 20
"""A curve of risk has at most so many points, each of at least `LEAST` answers."""

Pairs = Sequence[tuple[NDArray[np.float64], int]]
"""Scores (L,) and the right one."""

Groups = Mapping[tuple[str, str], Sequence[Answered]]
"""Source, combination of inputs and heads → answers."""


def calibrate(answers: Sequence[Answered], about: str) -> Calibration:
    """Fit the language model's prior weight and temperatures, then the weights of the heads and those of their pool.

    All are for each combination of inputs, and of the heads that have an opinion beside them. Every source and
    combination counts the same in the choice of the default weights, however many clips it has; answers that only stand
    in for others do not. With fewer than `LEAST`
    answers nothing is fitted: a temperature from a handful of clips makes every answer certain.
    """
    if len(answers) < LEAST:
        return Calibration(fitted_on=f"not fitted: {len(answers)} validation clips are fewer than {LEAST}")
    groups: dict[tuple[str, str], list[Answered]] = defaultdict(list)
    for answer in answers:
        groups[answer.source, inputs_key(answer.inputs, answer.opinions)].append(answer)
    found = min(
        (Calibration(prior_weight=weight) for weight in PRIOR_WEIGHTS),
        key=lambda one: np.mean([_losses(_pairs(members, one)).min() for members in groups.values()]),
    )
    default, fitted = _temperatures(groups, lambda members: _pairs(members, found))
    found = found.model_copy(update={"default_temperature": default, "temperature": fitted})
    heads = sorted({head for answer in answers for head in answer.opinions})
    if heads:
        weighed = {group: members for group, members in groups.items() if not members[0].stands_in}
        found = found.model_copy(update={"default_opinion_weight": _weights(weighed, heads, found)})
        found = found.model_copy(update={"opinion_weight": _weights_by_inputs(weighed, found)})
        default, fitted = _temperatures(groups, lambda members: _pooled_pairs(members, found))
        found = found.model_copy(update={"default_pooled_temperature": default, "pooled_temperature": fitted})
    risk = risk_curves([answer for answer in answers if not answer.stands_in], found)
    return found.model_copy(update={"risk": risk, "fitted_on": f"{about}; n = {len(answers)}"})


def risk_curves(answers: Sequence[Answered], calibration: Calibration) -> dict[str, tuple[RiskPoint, ...]]:
    """Of answers with the same inputs: how many are wrong among those that are at least so sure.

    Points go from the least sure to the surest; combinations with fewer than `LEAST` answers have no curve. The same
    answers made the temperatures, so the surest look a little better than they will be on other people.
    """
    by_inputs: dict[str, list[tuple[float, bool]]] = defaultdict(list)
    for one in answers:
        chances = calibration.probabilities(one.corrected(calibration), one.inputs, one.opinions)
        best = max(chances, key=lambda label: chances[label])
        by_inputs[inputs_key(one.inputs)].append((chances[best], best != one.labels[one.right]))
    return {key: _risk_curve(some) for key, some in sorted(by_inputs.items()) if len(some) >= LEAST}


def _risk_curve(answers: Sequence[tuple[float, bool]]) -> tuple[RiskPoint, ...]:
    ranked = sorted(answers, key=lambda pair: -pair[0])
    sizes = np.unique(np.linspace(len(ranked), LEAST, RISK_POINTS).round().astype(int))[::-1]
    return tuple(
        RiskPoint(
            confidence=round(ranked[size - 1][0], 4) if size < len(ranked) else 0.0,
            share=round(size / len(ranked), 4),
            error=round(float(np.mean([wrong for _, wrong in ranked[:size]])), 4),
            n=int(size),
        )
        for size in sizes
    )


def _temperatures(groups: Groups, pairs: Callable[[Sequence[Answered]], Pairs]) -> tuple[float, dict[str, float]]:
    """Best temperature of all answers, and of each combination of inputs, with heads and without, that has enough."""
    by_inputs: dict[str, list[Answered]] = defaultdict(list)
    for (_, key), members in groups.items():
        by_inputs[key] += members
        if members[0].opinions:
            by_inputs[inputs_key(members[0].inputs)] += members
    found = {key: pairs(members) for key, members in sorted(by_inputs.items())}
    fitted = {key: best_temperature(some) for key, some in found.items() if len(some) >= LEAST}
    every = pairs([answer for members in groups.values() for answer in members])
    return best_temperature(every) if every else 1.0, fitted


def best_temperature(pairs: Pairs) -> float:
    """Give the temperature with the least mean negative log-likelihood on (scores (L,), right label) pairs."""
    return round(float(TEMPERATURES[int(_losses(pairs).argmin())]), 3)


def _weights_by_inputs(groups: Groups, start: Calibration) -> dict[str, dict[str, float]]:
    """Choose weights of their own for each combination of inputs and heads that has enough answers."""
    found = {}
    for key in sorted({key for _, key in groups}):
        mine = {group: members for group, members in groups.items() if group[1] == key}
        heads = sorted(next(iter(mine.values()))[0].opinions)
        if heads and sum(map(len, mine.values())) >= LEAST_FOR_WEIGHTS:
            found[key] = _weights(mine, heads, start)
    return found


def _weights(groups: Groups, heads: Sequence[str], start: Calibration) -> dict[str, float]:
    """Choose the weight of each head in turn; the first of equals is kept."""

    def loss(weights: Mapping[str, float]) -> float:
        tried = start.model_copy(update={"default_opinion_weight": weights, "opinion_weight": {}})
        pairs = [_compared_pairs(members, tried) for members in groups.values()]
        return float(np.mean([_losses(some).min() for some in pairs if some]))

    best = dict.fromkeys(heads, 0.0)
    for _ in range(ROUNDS):
        before = best
        for head in heads:
            best = min(({**best, head: weight} for weight in OPINION_WEIGHTS), key=loss)
        if best == before:
            break
    return best


def _pairs(answers: Sequence[Answered], calibration: Calibration) -> Pairs:
    return [(_corrected(answer, calibration), answer.right) for answer in answers]


def _corrected(answer: Answered, calibration: Calibration) -> NDArray[np.float64]:
    return np.array(list(answer.corrected(calibration).values()))


def _own(answer: Answered, calibration: Calibration) -> NDArray[np.float64]:
    """The language model's chances (L,) at its own temperature."""
    temperature = calibration.own_temperature(answer.inputs, answer.opinions)
    return softmax(_corrected(answer, calibration) / temperature)


def _pooled_pairs(answers: Sequence[Answered], calibration: Calibration) -> Pairs:
    """Pooled scores, of answers whose right label a head knows: the pool shares out only such labels' chance."""
    found = []
    for answer in answers:
        pooled, known = calibration.pooled(answer.labels, _own(answer, calibration), answer.opinions, answer.inputs)
        if known[answer.right]:
            found.append((pooled, int(known[: answer.right].sum())))
    return found


def _compared_pairs(answers: Sequence[Answered], calibration: Calibration) -> Pairs:
    """The same for labels that any head knows, counted or not: with other weights it is about the same labels."""
    found = []
    for answer in answers:
        own = _own(answer, calibration)
        all_count = {"default_opinion_weight": dict.fromkeys(answer.opinions, 1.0), "opinion_weight": {}}
        known = calibration.model_copy(update=all_count).pooled(answer.labels, own, answer.opinions, answer.inputs)[1]
        if known[answer.right]:
            scores = np.log(np.maximum(own, LEAST_CHANCE))
            pooled, counted = calibration.pooled(answer.labels, own, answer.opinions, answer.inputs)
            scores[counted] = pooled
            found.append((scores[known], int(known[: answer.right].sum())))
    return found


def _losses(pairs: Pairs) -> NDArray[np.float64]:
    """Mean negative log-likelihood at each temperature; rows of few labels are filled up with minus infinity."""
    table = np.full((len(pairs), max(len(row) for row, _ in pairs)), -np.inf)  # (n, L)
    for place, (row, _) in enumerate(pairs):
        table[place, : len(row)] = row - row.max()
    right = table[np.arange(len(pairs)), [right for _, right in pairs]]  # (n,)
    return np.array([np.mean(np.log(np.exp(table / t).sum(axis=1)) - right / t) for t in TEMPERATURES])

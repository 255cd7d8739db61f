"""Temperature scaling (Guo et al. 2017, section 4.2): one number that makes a system less, or more, sure."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emotion_llama.errors import UsageError
from emotion_llama.metrics.confidence import MIN_PROBABILITY, check_probabilities

MIN_TEMPERATURE, MAX_TEMPERATURE = 0.05, 20.0
"""Bounds of a fitted temperature; one at a bound says that the validation side is all right or tells nothing."""

_STEPS = 40  # halvings of ln(20 / .05): the temperature is exact to 1 part in 10¹¹


def fit_temperature(probabilities: ArrayLike, truth: ArrayLike) -> float:
    """Give the temperature that makes the truth of a *validation* side most likely: never pass the test side.

    Minimises the negative log-likelihood of softmax(ln p / T) over `MIN_TEMPERATURE` to `MAX_TEMPERATURE`, p at least
    `MIN_PROBABILITY`. It is convex in 1/T, so the sign of its slope decides each halving. `probabilities` (n, K),
    `truth` (n,). 1 if every row is uniform, since then no temperature changes anything.

    Raises `UsageError` without clips, or as `check_probabilities` does.
    """
    p, y = check_probabilities(probabilities, truth)
    if not len(p):
        raise UsageError("a temperature needs at least one validation clip with probabilities and truth, found none")
    logits = _logits(p)
    if not np.ptp(logits, axis=1).any():
        return 1.0
    right = float(logits[np.arange(len(y)), y].mean())
    low, high = math.log(MIN_TEMPERATURE), math.log(MAX_TEMPERATURE)
    for _ in range(_STEPS):
        middle = (low + high) / 2
        # slope by 1/T: expected minus observed ln p of the truth; above 0 the system is too sure at this temperature
        expected = float((_softmax(logits / math.exp(middle)) * logits).sum(axis=1).mean())
        low, high = (middle, high) if expected > right else (low, middle)
    return min(max(math.exp((low + high) / 2), MIN_TEMPERATURE), MAX_TEMPERATURE)


def apply_temperature(probabilities: ArrayLike, temperature: float) -> NDArray[np.float64]:
    """Give softmax(ln p / T), (n, K): above 1 less sure, below 1 surer; the order of the classes stays.

    p is raised to `MIN_PROBABILITY` first, also at T = 1. Raises `UsageError` for a temperature that is not above 0,
    or as `check_probabilities` does.
    """
    if not (temperature > 0 and math.isfinite(temperature)):
        raise UsageError(f"a temperature is a finite number above 0, found {temperature}")
    p = np.asarray(probabilities, dtype=np.float64)
    check_probabilities(p, np.zeros(len(p), dtype=np.int64))
    return _softmax(_logits(p) / temperature)


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.log(np.maximum(probabilities, MIN_PROBABILITY))


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))

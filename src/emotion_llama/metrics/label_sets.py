"""Scores of open-vocabulary answers: how far a set of free words agrees with the true set.

With G the true set, P the answered set of a clip, each after words that mean the same were made one:

    set accuracy = mean |G∩P| / |P|      (a precision; MER2024 calls it accuracy)
    set recall   = mean |G∩P| / |G|
    set average  = (set accuracy + set recall) / 2, an arithmetic mean, not an F score

An empty answer scores 0 in both and is counted (`empty_rate`). Source: MERTools, MER2024/main-ov.py. Micro-F1 of label
sets, 2TP / (2TP + FP + FN), is in `multilabel`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.metrics.statistic import Scores, Statistic

Words = frozenset[str]
"""The words of one clip, normalised: order, case and repetition are gone."""


def normalise(word: str) -> str:
    """Give a word in lower case with single spaces."""
    return " ".join(word.lower().split())


def word_set(words: Iterable[str]) -> Words:
    """Give the set of normalised words; empty ones are left out."""
    return frozenset(filter(None, map(normalise, words)))


def set_scores(truth: Words, predicted: Words) -> tuple[float, float]:
    """Give (precision, recall) of one clip; (0, 0) for an empty answer or an empty truth."""
    if not truth or not predicted:
        return 0.0, 0.0
    common = len(truth & predicted)
    return common / len(predicted), common / len(truth)


def set_statistic(truths: Sequence[Words], predictions: Sequence[Words], prefix: str = "") -> Statistic:
    """Give `set_accuracy, set_recall, set_avg, exact_match, empty_rate`, each name after `prefix`.

    Raises `UsageError` if the lengths differ or a true set is empty: its recall would not be defined.
    """
    if len(truths) != len(predictions):
        raise UsageError(f"expected one answered set a true set, found {len(predictions)} for {len(truths)}")
    empty = [place for place, truth in enumerate(truths) if not truth]
    if empty:
        raise UsageError(f"{len(empty)} of {len(truths)} true sets are empty (first: number {empty[0]}); remove them")
    rows = [
        (*set_scores(truth, said), truth == said, not said) for truth, said in zip(truths, predictions, strict=True)
    ]
    columns = np.array(rows, np.float32).reshape(len(truths), 4)

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        accuracy, recall, exact, none = ratio(sums, counts[:, :1]).T
        scores = {
            "set_accuracy": accuracy,
            "set_recall": recall,
            "set_avg": (accuracy + recall) / 2,
            "exact_match": exact,
            "empty_rate": none,
        }
        return {prefix + name: values for name, values in scores.items()}

    return Statistic(np.zeros(len(truths), np.int64), 1, columns, finish)


def share_statistic(name: str, parts: Sequence[int], wholes: Sequence[int]) -> Statistic:
    """Give `name` = Σ parts / Σ wholes over clips, for instance the share of words that a table knows."""
    columns = np.stack([np.asarray(parts), np.asarray(wholes)], axis=1).astype(np.float32)

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        return {name: ratio(sums[:, 0], sums[:, 1])}

    return Statistic(np.zeros(len(columns), np.int64), 1, columns, finish)


def ratio(above: NDArray[np.float64], below: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give above / below, NaN (not defined) where below is 0."""
    above, below = np.broadcast_arrays(above, below)
    return np.asarray(np.divide(above, below, out=np.full(above.shape, np.nan), where=below != 0))


def harmonic_mean(precision: NDArray[np.float64], recall: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give F = 2PR / (P + R), 0 where both are 0, NaN where one is not defined."""
    total = precision + recall
    return np.asarray(2 * precision * recall / np.where(total == 0, 1.0, total))

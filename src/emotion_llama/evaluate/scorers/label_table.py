"""Truth and answers of one label a clip as numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Prediction
from emotion_llama.labels import translate
from emotion_llama.metrics.statistic import Statistic


@dataclass(frozen=True)
class Table:
    """Truth and answers as numbers. `predicted` K = invalid, K + 1 = missing; `probabilities` rows of NaN = none."""

    labels: tuple[str, ...]
    truth: NDArray[np.int64]  # (n,)
    predicted: NDArray[np.int64]  # (n,)
    probabilities: NDArray[np.float64]  # (n, K)

    @property
    def stated(self) -> NDArray[np.int64]:
        """Places of the clips that have probabilities."""
        return np.flatnonzero(~np.isnan(self.probabilities[:, 0]))


def tabulate(items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str]) -> Table:
    """Turn items and their matched predictions into numbers. Raises `ManifestError` for a truth outside the labels."""
    place = {label: number for number, label in enumerate(labels)}
    truth = np.array([place[true_label(item, labels)] for item in items], np.int64)
    predicted = np.full(len(items), len(labels) + 1, np.int64)
    probabilities = np.full((len(items), len(labels)), np.nan)
    for row, prediction in enumerate(predictions):
        if prediction is None:
            continue
        predicted[row] = place.get(prediction.emotion or "", len(labels))
        if prediction.probabilities is not None:
            probabilities[row] = [prediction.probabilities[label] for label in labels]
    return Table(tuple(labels), truth, predicted, probabilities)


def true_label(item: Item, labels: Sequence[str]) -> str:
    """Give the truth of an item in the words of the set. Raises `ManifestError` naming the clip."""
    said = item.clip.emotion
    if said is None:
        raise ManifestError(f"clip {item.clip.clip!r}: expected an emotion to score against, found none in the data")
    if said in labels:
        return said
    try:
        return translate(said, labels)
    except UsageError as error:
        raise ManifestError(f"clip {item.clip.clip!r}: {error}; correct the data, or give other --labels") from error


def mean_statistic(name: str, values: NDArray[np.float32], given: NDArray[np.float32]) -> Statistic:
    """The mean of `values` over the clips where `given` is 1."""

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        with np.errstate(invalid="ignore", divide="ignore"):
            return {name: sums[:, 0] / sums[:, 1]}

    return Statistic(np.full(len(values), -1, np.int64), 0, np.stack([values * given, given], axis=1), finish)

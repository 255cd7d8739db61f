"""Scores of the clips that share a property: speaker sex, age, language, duration, face size, noise, …"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.evaluate.groups import group_values
from emotion_llama.evaluate.records import Item, Slice
from emotion_llama.evaluate.scorers.label_table import Table
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.classes import class_statistic
from emotion_llama.metrics.statistic import Metric, Statistic

SLICE_SCORES = ("war", "uar", "weighted_f1")
MIN_SLICE = 5
"""Smaller slices are named with their count but not scored."""
MAX_SLICE_VALUES = 12
"""A property with more values than this (sentence, date, …) is no slice."""

Sliced = tuple[Statistic, str, list[str]]
"""A statistic over the values of one property, the property, its values."""


def slice_statistics(
    items: Sequence[Item], table: Table, settings: ScoreSettings
) -> tuple[list[Sliced], dict[str, list[int]]]:
    """One statistic a property: a table of each of its values, side by side. Also the clip counts of each value."""
    clips = [item.clip for item in items]
    names = list(dict.fromkeys(name for clip in clips for name in clip.groups))
    found: list[Sliced] = []
    sizes: dict[str, list[int]] = {}
    for name in names:
        of_clip = group_values(clips, name)
        values = list(dict.fromkeys(value for value in of_clip if value is not None))
        if 2 <= len(values) <= MAX_SLICE_VALUES:
            codes = np.array([values.index(value) if value is not None else -1 for value in of_clip], np.int64)
            sizes[name] = [int((codes == number).sum()) for number in range(len(values))]
            found.append((_slice_statistic(table, codes, len(values), name, settings), name, values))
    return found, sizes


def _slice_statistic(
    table: Table, codes: NDArray[np.int64], values: int, name: str, settings: ScoreSettings
) -> Statistic:
    """`SLICE_SCORES` of each value of a property, named `slice:<name>:<number>:<score>`."""
    k = len(table.labels)
    parts = []
    for number in range(values):
        inside = codes == number
        parts.append(class_statistic(table.truth[inside], table.predicted[inside], k, over=settings.uar_classes))
    cells_each = k * (k + 2)
    cells = np.where(codes >= 0, codes * cells_each + table.truth * (k + 2) + table.predicted, -1)

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
        found: dict[str, NDArray[np.float64]] = {}
        for number, part in enumerate(parts):
            scores = part.finish(counts[:, number * cells_each : (number + 1) * cells_each], sums)
            found |= {f"slice:{name}:{number}:{score}": scores[score] for score in SLICE_SCORES}
        return found

    return Statistic(cells, values * cells_each, np.zeros((len(codes), 0), np.float32), finish)


def slice_records(sliced: Sequence[Sliced], found: dict[str, Metric], sizes: dict[str, list[int]]) -> list[Slice]:
    """Give a record for each value of each property, numbers by size and words by alphabet."""
    records = []
    for _, name, values in sliced:
        for number in sorted(range(len(values)), key=lambda place: _natural(values[place])):
            n = sizes[name][number]
            kept = {score: found[f"slice:{name}:{number}:{score}"] for score in SLICE_SCORES if n >= MIN_SLICE}
            scores = {score: metric.model_copy(update={"n": n}) for score, metric in kept.items()}
            records.append(Slice(group=name, value=values[number], n=n, metrics=scores))
    return records


def _natural(value: str) -> tuple[float, bool, str]:
    """Sort "<30" before "30–44" before "60+", and words after numbers."""
    number = re.search(r"-?\d+(?:\.\d+)?", value)
    return (float(number[0]) if number else math.inf, not value.startswith("<"), value)

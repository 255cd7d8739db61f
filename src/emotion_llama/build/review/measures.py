"""Judgments as tables of ratings, and their agreement in figures."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.build.review.clips import ReviewClip
from emotion_llama.build.review.queue import ByAnnotator
from emotion_llama.build.review.records import CRITERIA, MAX_POINTS, VERDICTS, Judgment
from emotion_llama.clip import Record
from emotion_llama.metrics.agreement import (
    Ratings,
    category_counts,
    cohen_kappa,
    cohen_kappa_by_class,
    fleiss_kappa,
    fleiss_kappa_by_class,
    krippendorff_alpha,
    krippendorff_alpha_by_class,
    percent_agreement,
)

ALL = "all"
"""In the place of an emotion: every clip, whatever its emotion."""


class Agreement(Record):
    """How far all annotators agree about one thing: "verdict", "emotion" or a criterion.

    `items`: clips that at least two people rated; only they enter. `equal`: mean share of equal pairs of ratings.
    Fleiss' kappa needs the same number of ratings for every clip: `fleiss_items` clips have the commonest number.
    `alpha_ordinal` is of criteria only. `None` = no such clips, or all ratings are one and the same category.
    """

    what: str
    emotion: str
    items: int
    equal: float | None
    fleiss: float | None
    fleiss_items: int
    alpha_nominal: float | None
    alpha_ordinal: float | None


class PairAgreement(Record):
    """Cohen's kappa of two annotators on the `items` clips that both rated; `quadratic` is weighted, criteria only."""

    what: str
    emotion: str
    first: str
    second: str
    items: int
    kappa: float | None
    quadratic: float | None


@dataclass(frozen=True)
class RatingTable:
    """Ratings of one thing (R, n), NaN = none; `k` categories; the data set's emotion of each column."""

    what: str
    annotators: tuple[str, ...]
    emotions: tuple[str | None, ...]
    ratings: Ratings
    categories: tuple[str, ...]

    @property
    def ordered(self) -> bool:
        """Whether the categories are points, so that some are nearer to each other."""
        return self.what in CRITERIA

    def classes(self) -> tuple[str, ...]:
        """Give the emotions to slice by: of the annotators where they say it, else of the data set."""
        if self.what == "emotion":
            return self.categories
        return tuple(sorted({emotion for emotion in self.emotions if emotion is not None}))

    def of(self, emotion: str) -> RatingTable:
        """Give the columns of one emotion of the data set."""
        kept = np.array([own == emotion for own in self.emotions], bool)
        emotions = tuple(own for own in self.emotions if own == emotion)
        return RatingTable(self.what, self.annotators, emotions, self.ratings[:, kept], self.categories)


def rating_tables(clips: Iterable[ReviewClip], said: Mapping[str, ByAnnotator]) -> tuple[RatingTable, ...]:
    """Put judgments into one table a thing: the verdict, the emotion, each criterion."""
    judged = [clip for clip in clips if said.get(clip.name)]
    annotators = tuple(sorted({name for clip in judged for name in said[clip.name]}))
    rows = [[said[clip.name].get(name) for clip in judged] for name in annotators]
    spoken = {judgment.emotion for row in rows for judgment in row if judgment and judgment.emotion}
    kinds: dict[str, tuple[str, ...]] = {"verdict": VERDICTS, "emotion": tuple(sorted(spoken))}
    kinds |= {name: tuple(str(points) for points in range(MAX_POINTS + 1)) for name in CRITERIA}
    emotions = tuple(clip.label for clip in judged)
    tables = []
    for what, categories in kinds.items():
        numbers = [[_number(judgment, what, categories) for judgment in row] for row in rows]
        ratings = np.array(numbers, np.float64).reshape(len(annotators), len(judged))
        tables.append(RatingTable(what, annotators, emotions, ratings, categories))
    return tuple(tables)


def agreements(table: RatingTable) -> tuple[Agreement, ...]:
    """Give the agreement of all annotators, over every clip and then by class."""
    whole = _agreement(table, ALL)
    if table.what != "emotion":
        return (whole, *(_agreement(table.of(emotion), emotion) for emotion in table.classes()))
    return (whole, *(_against_others(table, number, name) for number, name in enumerate(table.categories)))


def pair_agreements(table: RatingTable) -> tuple[PairAgreement, ...]:
    """Give Cohen's kappa of every two annotators with a clip in common, over every clip and then by class."""
    found = []
    for one, other in combinations(range(len(table.annotators)), 2):
        found += [_pair(table, one, other, ALL)]
        if table.what == "emotion":
            found += _pair_by_class(table, one, other)
        else:
            found += [_pair(table.of(emotion), one, other, emotion) for emotion in table.classes()]
    return tuple(pair for pair in found if pair.items)


def _number(judgment: Judgment | None, what: str, categories: tuple[str, ...]) -> float:
    if judgment is None:
        return math.nan
    if what in CRITERIA:
        points = getattr(judgment.scores, what)
        return math.nan if points is None else float(points)
    word = judgment.verdict if what == "verdict" else judgment.emotion
    return math.nan if word is None else float(categories.index(word))


def _paired(ratings: Ratings) -> Ratings:
    return ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]


def _agreement(table: RatingTable, emotion: str) -> Agreement:
    paired = _paired(table.ratings)
    counts = _same_size(paired, len(table.categories))
    return Agreement(
        what=table.what,
        emotion=emotion,
        items=paired.shape[1],
        equal=percent_agreement(paired) if paired.size else None,
        fleiss=fleiss_kappa(counts) if len(counts) else None,
        fleiss_items=len(counts),
        alpha_nominal=krippendorff_alpha(paired) if paired.size else None,
        alpha_ordinal=krippendorff_alpha(paired, "ordinal") if paired.size and table.ordered else None,
    )


def _against_others(table: RatingTable, number: int, name: str) -> Agreement:
    """Agreement about whether a clip shows this emotion; `items`: clips for which somebody said so."""
    paired = _paired(table.ratings)
    counts = _same_size(paired, len(table.categories))
    said = paired[:, (paired == number).any(axis=0)]
    own = np.where(np.isnan(paired), np.nan, paired == number)
    return Agreement(
        what=table.what,
        emotion=name,
        items=said.shape[1],
        equal=percent_agreement(own) if paired.size else None,
        fleiss=fleiss_kappa_by_class(counts)[number] if len(counts) else None,
        fleiss_items=len(counts),
        alpha_nominal=krippendorff_alpha_by_class(paired, len(table.categories))[number] if paired.size else None,
        alpha_ordinal=None,
    )


def _same_size(paired: Ratings, k: int) -> NDArray[np.int64]:
    """Counts (n, k) of the clips with the commonest number of ratings (of two as common ones the larger)."""
    if not paired.size:
        return np.zeros((0, k), np.int64)
    counts = category_counts(paired, k)
    sizes, often = np.unique(counts.sum(axis=1), return_counts=True)
    commonest = int(sizes[often == often.max()].max())
    same: NDArray[np.int64] = counts[counts.sum(axis=1) == commonest]
    return same


def _both(table: RatingTable, one: int, other: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    rows = table.ratings[[one, other]]
    rows = rows[:, ~np.isnan(rows).any(axis=0)].astype(np.int64)
    return rows[0], rows[1]


def _pair(table: RatingTable, one: int, other: int, emotion: str) -> PairAgreement:
    first, second = _both(table, one, other)
    k = len(table.categories)
    return PairAgreement(
        what=table.what,
        emotion=emotion,
        first=table.annotators[one],
        second=table.annotators[other],
        items=len(first),
        kappa=cohen_kappa(first, second, k) if len(first) else None,
        quadratic=cohen_kappa(first, second, k, weights="quadratic") if len(first) and table.ordered else None,
    )


def _pair_by_class(table: RatingTable, one: int, other: int) -> list[PairAgreement]:
    first, second = _both(table, one, other)
    if not len(first):
        return []
    names = (table.annotators[one], table.annotators[other])
    return [
        PairAgreement(
            what=table.what,
            emotion=emotion,
            first=names[0],
            second=names[1],
            items=int(((first == number) | (second == number)).sum()),
            kappa=kappa,
            quadratic=None,
        )
        for number, (emotion, kappa) in enumerate(
            zip(table.categories, cohen_kappa_by_class(first, second, len(table.categories)), strict=True)
        )
    ]

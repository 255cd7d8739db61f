"""How far people agree who judged the same items: Cohen's and Fleiss' kappa, Krippendorff's alpha, equal pairs.

All coefficients are 1 for full agreement, 0 for the agreement of chance, below 0 for less. They give `None` where
nothing can be told: as soon as every rating is the same category, chance alone would agree as well. `None` is neither
good nor bad; look at `percent_agreement` beside it.

Ratings are (R, n): one row a rater, one column an item, numbers of categories or points of a scale, NaN = not rated.
"By class" holds one category against all others.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import UsageError

Ratings = NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval"]
"""What a difference between two ratings means: other or not, ranks apart, or points apart (squared)."""
Weights = Literal["linear", "quadratic"]
"""How much a miss by d categories counts: d or d², over that of the widest miss."""


def percent_agreement(ratings: Ratings) -> float:
    """Give the share of equal pairs of ratings of one item (0–1), as the mean over items with at least two ratings.

    Raises `UsageError` if there is no such item.
    """
    counts, _ = _value_counts(ratings)
    size = counts.sum(axis=1)
    return float(np.mean((counts * (counts - 1)).sum(axis=1) / (size * (size - 1))))


def cohen_kappa(
    first: NDArray[np.int64], second: NDArray[np.int64], k: int, *, weights: Weights | None = None
) -> float | None:
    """Give Cohen's kappa of two raters, plain or weighted by how far apart two categories are.

    `first`, `second` (n,) are category numbers 0 to k - 1 of the same items. `None` if chance alone agrees fully (both
    used one and the same category only). Raises `UsageError` for no item, different lengths or a number outside.
    Cohen 1960, 1968.
    """
    table = _pair_table(first, second, k)
    apart = np.abs(np.subtract.outer(np.arange(k), np.arange(k))).astype(np.float64)
    cost = {None: (apart > 0).astype(np.float64), "linear": apart, "quadratic": apart**2}[weights]
    expected = np.outer(table.sum(axis=1), table.sum(axis=0)) / table.sum()
    by_chance = float((cost * expected).sum())
    return None if by_chance == 0 else 1.0 - float((cost * table).sum()) / by_chance


def cohen_kappa_by_class(first: NDArray[np.int64], second: NDArray[np.int64], k: int) -> tuple[float | None, ...]:
    """Give Cohen's kappa of each category against all others. Raises `UsageError` like `cohen_kappa`."""
    _pair_table(first, second, k)
    return tuple(cohen_kappa((first == one).astype(np.int64), (second == one).astype(np.int64), 2) for one in range(k))


def category_counts(ratings: Ratings, k: int) -> NDArray[np.int64]:
    """Count for each item how often each category 0 to k - 1 was given: (n, k).

    Raises `UsageError` for a rating that is none of these numbers.
    """
    given = ratings[~np.isnan(ratings)]
    wrong = given[(given < 0) | (given >= k) | (given != np.floor(given))]
    if len(wrong):
        raise UsageError(f"expected category numbers from 0 to {k - 1}, found {wrong[0]:g}")
    return np.stack([(ratings == one).sum(axis=0) for one in range(k)], axis=1).astype(np.int64)


def fleiss_kappa(counts: NDArray[np.int64]) -> float | None:
    """Give Fleiss' kappa of counts (n, k): how many raters put each item into each category.

    Every item needs the same number of ratings, which may come from different people. `None` if one category alone was
    used. Raises `UsageError` for no item, fewer than two ratings, or different numbers of them. Fleiss 1971.
    """
    raters = _raters(counts)
    share = counts.sum(axis=0) / counts.sum()
    by_chance = float((share**2).sum())
    observed = float(np.mean((counts * (counts - 1)).sum(axis=1) / (raters * (raters - 1))))
    return None if np.count_nonzero(share) < 2 else (observed - by_chance) / (1.0 - by_chance)


def fleiss_kappa_by_class(counts: NDArray[np.int64]) -> tuple[float | None, ...]:
    """Give Fleiss' kappa of each category against all others. Raises `UsageError` like `fleiss_kappa`."""
    raters = _raters(counts)
    return tuple(fleiss_kappa(np.stack([column, raters - column], axis=1)) for column in counts.T)


def krippendorff_alpha(ratings: Ratings, level: Level = "nominal") -> float | None:
    """Give Krippendorff's alpha of ratings (R, n); an item with fewer than two ratings does not enter.

    1 − observed / expected difference of paired ratings. `None` if all paired ratings are equal. Raises `UsageError`
    for fewer than two raters, or no item with two ratings. Krippendorff 2011, "Computing Krippendorff's
    Alpha-Reliability".
    """
    if ratings.ndim != 2 or len(ratings) < 2:
        raise UsageError(f"expected ratings of at least two raters as (raters, items), found shape {ratings.shape}")
    counts, values = _value_counts(ratings)
    if len(values) < 2:
        return None
    size = counts.sum(axis=1)
    scaled = counts / (size - 1)[:, None]
    together = scaled.T @ counts - np.diag(scaled.sum(axis=0))  # pairs of one item, (V, V)
    totals = counts.sum(axis=0)
    difference = _differences(values, totals, level)
    expected = float((np.outer(totals, totals) * difference).sum()) / (float(totals.sum()) - 1)
    return 1.0 - float((together * difference).sum()) / expected


def krippendorff_alpha_by_class(ratings: Ratings, k: int) -> tuple[float | None, ...]:
    """Give nominal alpha of each category 0 to k - 1 against all others. Raises `UsageError` as above."""
    category_counts(ratings, k)
    missing = np.isnan(ratings)
    return tuple(krippendorff_alpha(np.where(missing, np.nan, ratings == one)) for one in range(k))


def _differences(values: NDArray[np.float64], totals: NDArray[np.float64], level: Level) -> NDArray[np.float64]:
    """Give the squared difference of every two values, (V, V)."""
    if level == "nominal":
        return 1.0 - np.eye(len(values))
    # ordinal: the distance of two ranks is the number of ratings from the middle of one to the middle of the other
    place = values if level == "interval" else np.cumsum(totals) - totals / 2
    return np.asarray(np.subtract.outer(place, place) ** 2, np.float64)


def _value_counts(ratings: Ratings) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Give (counts (n, V), values (V,)) of the items with at least two ratings."""
    paired = ratings[:, (~np.isnan(ratings)).sum(axis=0) >= 2]
    if paired.size == 0:
        raise UsageError("expected an item with ratings of at least two raters, found none; let two people rate it")
    values = np.unique(paired[~np.isnan(paired)])
    return np.stack([(paired == value).sum(axis=0) for value in values], axis=1).astype(np.float64), values


def _raters(counts: NDArray[np.int64]) -> int:
    sizes = np.unique(counts.sum(axis=1))
    if len(sizes) != 1 or sizes[0] < 2:
        found = f"{sizes.min()} to {sizes.max()}" if len(sizes) else "no item"
        raise UsageError(
            f"expected the same number of ratings, at least two, for every item, found {found}; "
            "leave the others out or take Krippendorff's alpha"
        )
    return int(sizes[0])


def _pair_table(first: NDArray[np.int64], second: NDArray[np.int64], k: int) -> NDArray[np.float64]:
    if len(first) != len(second) or len(first) == 0:
        raise UsageError(f"expected ratings of the same items, at least one, found {len(first)} and {len(second)}")
    both = np.concatenate([first, second])
    wrong = both[(both < 0) | (both >= k)]
    if len(wrong):
        raise UsageError(f"expected category numbers from 0 to {k - 1}, found {int(wrong[0])}")
    return np.bincount(first * k + second, minlength=k * k).reshape(k, k).astype(np.float64)

"""Whether two systems differ on the same clips: paired bootstrap, McNemar's test, permutation test.

Differences are always B − A. Two systems that answer the same clips make many of the same mistakes, so that paired
tests see differences that two separate intervals hide.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Record
from emotion_llama.errors import UsageError
from emotion_llama.metrics.resample import draw_scores, point_scores, summarise
from emotion_llama.metrics.statistic import Metric, Scores, Statistic

SAME = 1e-9  # float sums of the same terms in another order differ by less than this
BLOCK_VALUES = 2**24  # swaps kept at a time: 64 MB of float32


class Difference(Record):
    """One score of two systems on the same clips.

    `difference` is B − A with its 95 % paired bootstrap interval. `p_bootstrap` is two-sided: twice the smaller of the
    shares of draws with a difference ≤ 0 and ≥ 0. `p_permutation` is `None` until `permutation_p` was asked. `None` =
    not defined on these clips.
    """

    name: str
    a: float | None
    b: float | None
    difference: Metric
    p_bootstrap: float | None
    p_permutation: float | None = None


class McNemar(Record):
    """`n01` clips that only B got right, `n10` that only A got right, and the exact two-sided p value."""

    n01: int
    n10: int
    p: float


def paired_differences(
    a: Sequence[Statistic],
    b: Sequence[Statistic],
    *,
    n: int,
    groups: NDArray[np.int64] | None,
    draws: int,
    seed: int,
) -> dict[str, Difference]:
    """The difference in every score that both systems have; both see the same draws (see `resample`).

    Row i of every statistic is the same clip. Raises `UsageError` for statistics of another number of clips.
    """
    drawn = draw_scores([*a, *b], n=n, groups=groups, draws=draws, seed=seed)
    value_a, value_b = _together([point_scores(one) for one in a]), _together([point_scores(one) for one in b])
    drawn_a, drawn_b = _together(drawn[: len(a)]), _together(drawn[len(a) :])
    found = {}
    for name in (name for name in value_a if name in value_b):
        one, other = float(value_a[name][0]), float(value_b[name][0])
        differences = drawn_b.get(name, np.zeros(0)) - drawn_a.get(name, np.zeros(0))
        found[name] = Difference(
            name=name,
            a=_defined(one),
            b=_defined(other),
            difference=summarise(other - one, differences, n),
            p_bootstrap=_two_sided(differences[~np.isnan(differences)]),
        )
    return found


def mcnemar(right_a: NDArray[np.bool_], right_b: NDArray[np.bool_]) -> McNemar:
    """McNemar's exact test (1947) of whether A and B get the same share of clips (n,) right.

    Only the clips that one of them got right count: under no difference each falls to either side like a coin.
    Raises `UsageError` for arrays of different lengths.
    """
    if len(right_a) != len(right_b):
        raise UsageError(f"expected answers to the same clips, found {len(right_a)} and {len(right_b)}")
    n01 = int((~right_a & right_b).sum())
    n10 = int((right_a & ~right_b).sum())
    return McNemar(n01=n01, n10=n10, p=_coin_p(min(n01, n10), n01 + n10))


def permutation_p(
    a: Statistic, b: Statistic, *, groups: NDArray[np.int64] | None, draws: int, seed: int
) -> dict[str, float | None]:
    """Two-sided permutation p value of the difference in every score that both statistics have.

    In each draw the answers of A and B are swapped for a random half of the clips (with `groups` (n,): of the
    speakers). p = (1 + draws with a difference at least as large) / (1 + draws), which is never 0 (Phipson & Smyth
    2010). `None` = the score is not defined. Raises `UsageError` for statistics of different clips or tables.
    """
    if a.cells.shape != b.cells.shape or a.columns.shape != b.columns.shape or a.n_cells != b.n_cells:
        raise UsageError(
            f"expected two statistics of one kind on the same clips, found {a.cells.shape[0]} clips in {a.n_cells} "
            f"cells with {a.columns.shape[1]} columns and {b.cells.shape[0]}, {b.n_cells}, {b.columns.shape[1]}"
        )
    observed = _difference(point_scores(a), point_scores(b))
    hits, defined = dict.fromkeys(observed, 0), dict.fromkeys(observed, 0)
    for swapped_a, swapped_b in _swapped_scores(a, b, groups, draws, seed):
        for name, values in _difference(swapped_a, swapped_b).items():
            defined[name] += int((~np.isnan(values)).sum())
            hits[name] += int((np.abs(values) >= abs(observed[name][0]) - SAME).sum())
    return {
        name: None if np.isnan(value[0]) else (1 + hits[name]) / (1 + defined[name]) for name, value in observed.items()
    }


def _swapped_scores(
    a: Statistic, b: Statistic, groups: NDArray[np.int64] | None, draws: int, seed: int
) -> Iterator[tuple[Scores, Scores]]:
    """Scores of A and B after swaps, in blocks of draws. Only clips with different answers can change a sum."""
    rng = np.random.default_rng(seed)
    differs = (a.cells != b.cells) | (a.columns != b.columns).any(axis=1)
    units, unit_of = _units(groups, differs)
    change = b.columns[differs] - a.columns[differs]
    cells_a, cells_b = a.cells[differs] + 1, b.cells[differs] + 1  # cell 0 takes the clips that fall into none
    counts_a, counts_b = _counts(a), _counts(b)
    sums_a, sums_b = a.columns.sum(axis=0, dtype=np.float64), b.columns.sum(axis=0, dtype=np.float64)
    rows = max(1, min(BLOCK_VALUES // max(1, len(unit_of)), 1024))
    for first in range(0, draws, rows):
        swap = rng.integers(0, 2, (min(rows, draws - first), units), dtype=np.uint8)[:, unit_of].astype(np.float32)
        moved = _cell_counts(swap, cells_b, a.n_cells) - _cell_counts(swap, cells_a, a.n_cells)
        added = np.asarray(swap @ change, np.float64)
        yield a.finish(counts_a + moved, sums_a + added), b.finish(counts_b - moved, sums_b - added)


def _units(groups: NDArray[np.int64] | None, differs: NDArray[np.bool_]) -> tuple[int, NDArray[np.int64]]:
    """How many things are swapped, and which of them each differing clip belongs to."""
    if groups is None:
        return int(differs.sum()), np.arange(int(differs.sum()))
    names, unit_of = np.unique(groups[differs], return_inverse=True)
    return len(names), np.asarray(unit_of, np.int64)


def _cell_counts(weights: NDArray[np.float32], cells: NDArray[np.int64], n_cells: int) -> NDArray[np.float64]:
    rows = [np.bincount(cells, weights=row, minlength=n_cells + 1) for row in weights]
    return np.asarray(np.stack(rows)[:, 1:], np.float64)


def _counts(statistic: Statistic) -> NDArray[np.float64]:
    return np.bincount(statistic.cells[statistic.cells >= 0], minlength=statistic.n_cells).astype(np.float64)


def _difference(a: Scores, b: Scores) -> Scores:
    return {name: b[name] - a[name] for name in a if name in b}


def _together(scores: Sequence[Scores]) -> Scores:
    return {name: values for one in scores for name, values in one.items()}


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _two_sided(differences: NDArray[np.float64]) -> float | None:
    if not len(differences):
        return None
    less = min(int((differences <= 0).sum()), int((differences >= 0).sum()))
    return min(1.0, 2 * (1 + less) / (1 + len(differences)))


def _coin_p(fewer: int, n: int) -> float:
    """Two-sided p of `fewer` heads or less in `n` throws of a fair coin; the sum of the tail from its largest term."""
    if 2 * fewer >= n:
        return 1.0
    log_term = math.lgamma(n + 1) - math.lgamma(fewer + 1) - math.lgamma(n - fewer + 1) - n * math.log(2)
    tail = term = 1.0
    for heads in range(fewer, 0, -1):
        term *= heads / (n - heads + 1)
        tail += term
        if term < tail * 1e-17:
            break
    return min(1.0, 2 * math.exp(log_term) * tail)

"""Bootstrap intervals: clips are drawn again and again, speakers first where they are known.

One pass of draws serves every score (see `statistic`). Percentile intervals after Efron & Tibshirani, "An Introduction
to the Bootstrap" (1993), chapters 13 and 8.3 (draws that follow the structure of the data: here speakers, then clips).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.metrics.statistic import Metric, RankStatistic, Scores, Statistic

INTERVAL_PERCENT = (2.5, 97.5)
RANK_DRAWS = 1_000
"""Draws for scores that need an order of the clips, above `RANK_FULL_N` clips: each costs a pass over all clips."""
RANK_FULL_N = 10_000

BLOCK_VALUES = 2**22  # drawn weights kept at a time: 16 MB of float32
KIND_SHARE = 12  # a binomial draw for a kind of clip costs about as much as drawing 12 clips one by one


def speaker_codes(speakers: Sequence[str | None]) -> NDArray[np.int64] | None:
    """Number the speakers (n,), or `None` where drawing speakers first would change nothing.

    That is: no clip has a speaker, all clips are of one, or each is of its own. A clip without a speaker, where others
    have one, counts as a speaker of its own.
    """
    names = [(name, -1) if name is not None else ("", place) for place, name in enumerate(speakers)]
    known = {name: code for code, name in enumerate(dict.fromkeys(names))}
    if len(known) in (0, 1, len(names)):
        return None
    return np.array([known[name] for name in names], np.int64)


def draw_weights(
    n: int, groups: NDArray[np.int64] | None, draws: int, seed: int, block: int | None = None
) -> Iterator[NDArray[np.float32]]:
    """How often each of `n` clips was drawn, in blocks (D_block, n) of together `draws` rows.

    Without `groups` a draw is `n` clips with replacement. With groups (n,), the speaker of each clip, it is as many
    speakers as there are, with replacement, and within each drawn speaker as many clips as it has, with replacement; a
    speaker drawn twice gives two independent inner draws, so the number of clips varies from draw to draw. The draws
    depend on the seed, not on `block` (rows at a time; `None` = about 16 MB). Raises `UsageError` for no clip or
    groups of another length.
    """
    if n < 1 or (groups is not None and len(groups) != n):
        raise UsageError(f"expected one group for each of {n} clips (at least one clip), found {_length(groups)}")
    rng = np.random.default_rng(seed)
    rows = block or _block_rows(n)
    speakers = None if groups is None else _Speakers(groups)
    for first in range(0, draws, rows):
        weights = np.empty((min(rows, draws - first), n), np.float32)
        for row in weights:
            clips = rng.integers(0, n, n) if speakers is None else speakers.draw(rng)
            row[:] = np.bincount(clips, minlength=n)
        yield weights


def intervals(
    statistics: Sequence[Statistic],
    rank: Sequence[RankStatistic],
    *,
    n: int,
    groups: NDArray[np.int64] | None,
    draws: int,
    seed: int,
) -> dict[str, Metric]:
    """Every score of the statistics on the clips as they are, with its 95 % percentile interval.

    All statistics see the same draws; rank statistics see the first 1,000 of them above 10,000 clips. Draws in which a
    score is not defined are left out of its interval; with no defined draw (or `draws` 0, or no clip) the ends are
    `None`. Without groups, rank statistics and columns, alike clips are drawn together, which gives other draws of the
    same distribution, many times faster. Raises `UsageError` when two statistics give the same name or one has not
    `n` clips.
    """
    values = _merged([*(point_scores(one) for one in statistics), *(_rank_point(one) for one in rank)])
    if n == 0:
        return {name: Metric(value=None, low=None, high=None, n=0) for name in values}
    drawn = _merged(
        [
            *draw_scores(statistics, n=n, groups=groups, draws=draws, seed=seed, whole=bool(rank)),
            *_rank_draws(rank, n=n, groups=groups, draws=draws, seed=seed),
        ]
    )
    inflated = frozenset[str]().union(*(one.inflated for one in statistics))
    return {
        name: summarise(float(value[0]), drawn.get(name, np.zeros(0)), n, name in inflated)
        for name, value in values.items()
    }


def point_scores(statistic: Statistic) -> Scores:
    """The scores on the clips as they are, each (1,), from sums in float64."""
    cells = statistic.cells[statistic.cells >= 0]
    counts = np.bincount(cells, minlength=statistic.n_cells).astype(np.float64)
    return statistic.finish(counts[None], statistic.columns.sum(axis=0, dtype=np.float64)[None])


def draw_scores(
    statistics: Sequence[Statistic],
    *,
    n: int,
    groups: NDArray[np.int64] | None,
    draws: int,
    seed: int,
    whole: bool = False,
) -> list[Scores]:
    """The scores of each statistic in each draw, (draws,); all statistics see the same draws.

    `whole`: draw clip by clip even where alike clips could be drawn together.
    """
    for statistic in statistics:
        if not len(statistic.cells) == len(statistic.columns) == n:
            raise UsageError(
                f"expected statistics of {n} clips, found one with {len(statistic.cells)} cells and "
                f"{len(statistic.columns)} rows of columns; give all systems the same clips in the same order"
            )
    if not statistics:
        return []
    kinds = None if whole or groups is not None else _kinds(statistics, n)
    if kinds is None:
        blocks = draw_weights(n, groups, draws, seed)
    else:
        statistics, sizes = kinds
        blocks = _draw_kinds(sizes, draws, seed)
    parts: list[list[Scores]] = [[] for _ in statistics]
    tables = _Tables(statistics)
    for weights in blocks:
        for statistic, counts, scores in zip(statistics, tables.counts(weights), parts, strict=True):
            scores.append(statistic.finish(counts, _column_sums(statistic, weights)))
    return [_joined(scores) for scores in parts]


def summarise(value: float, drawn: NDArray[np.float64], n: int, inflated: bool = False) -> Metric:
    """One score and its draws (D,) as a `Metric`; draws that are NaN are left out.

    A calibration error adds up absolute gaps, and drawing clips again widens every gap: the draws lie above the value,
    by as much as the value itself lies above the truth. For an `inflated` score the draws are moved down by that
    distance, the bootstrap's estimate of the bias (Efron & Tibshirani 1993, chapter 10), but not below 0.
    """
    kept = drawn[~np.isnan(drawn)]
    if inflated and len(kept):
        kept = np.maximum(kept - max(float(kept.mean()) - value, 0.0), 0.0)
    low, high = np.percentile(kept, INTERVAL_PERCENT) if len(kept) else (None, None)
    return Metric(
        value=None if np.isnan(value) else value,
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        n=n,
    )


class _Speakers:
    """Clips sorted by speaker, to draw from."""

    def __init__(self, groups: NDArray[np.int64]) -> None:
        self._clips = np.argsort(groups, kind="stable")
        _, self._starts, self._sizes = np.unique(groups[self._clips], return_index=True, return_counts=True)

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Clips of one draw, a clip that was drawn twice twice."""
        speakers = rng.integers(0, len(self._sizes), len(self._sizes))
        sizes = self._sizes[speakers]
        within = rng.random(int(sizes.sum())) * np.repeat(sizes, sizes)
        places = np.repeat(self._starts[speakers], sizes) + within.astype(np.int64)
        return np.asarray(self._clips[places], np.int64)


def _kinds(statistics: Sequence[Statistic], n: int) -> tuple[list[Statistic], NDArray[np.int64]] | None:
    """One clip for each combination of cells and how many clips have it; `None` where that would not be faster."""
    if any(statistic.columns.shape[1] for statistic in statistics):
        return None
    cells = np.stack([statistic.cells for statistic in statistics], axis=1)
    kinds, sizes = np.unique(cells, axis=0, return_counts=True)
    if len(kinds) * KIND_SHARE > n:
        return None
    empty = np.zeros((len(kinds), 0), np.float32)
    return [replace(one, cells=kinds[:, at], columns=empty) for at, one in enumerate(statistics)], sizes


def _draw_kinds(sizes: NDArray[np.int64], draws: int, seed: int) -> Iterator[NDArray[np.float32]]:
    """How many clips of each kind were drawn: the same distribution as drawing clips and counting kinds."""
    rng = np.random.default_rng(seed)
    n, rows = int(sizes.sum()), _block_rows(len(sizes))
    for first in range(0, draws, rows):
        yield rng.multinomial(n, sizes / n, size=min(rows, draws - first)).astype(np.float32)


class _Tables:
    """The cells of all statistics as kinds: clips that fall into the same cells everywhere are counted together."""

    def __init__(self, statistics: Sequence[Statistic]) -> None:
        self._sizes = [one.n_cells for one in statistics]
        cells = np.stack([one.cells for one in statistics], axis=1)
        kinds, of_clip = np.unique(cells, axis=0, return_inverse=True)
        self._kind = of_clip.reshape(-1)
        self._cells = [kinds[:, at] for at in range(len(statistics))]
        self._count = len(kinds)

    def counts(self, weights: NDArray[np.float32]) -> list[NDArray[np.float64]]:
        """How many drawn clips fell into each cell: one (D, n_cells) a statistic, from one pass over the clips."""
        rows = [np.bincount(self._kind, weights=row, minlength=self._count) for row in weights]
        drawn = np.asarray(rows, np.float64)
        return [self._gathered(drawn, cells, size) for cells, size in zip(self._cells, self._sizes, strict=True)]

    @staticmethod
    def _gathered(drawn: NDArray[np.float64], cells: NDArray[np.int64], size: int) -> NDArray[np.float64]:
        found = np.zeros((len(drawn), size))
        inside = np.flatnonzero(cells >= 0)
        np.add.at(found.T, cells[inside], drawn[:, inside].T)
        return found


def _column_sums(statistic: Statistic, weights: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.asarray(weights @ statistic.columns, np.float64)


def _rank_point(statistic: RankStatistic) -> Scores:
    return {name: np.array([value]) for name, value in statistic.finish(np.ones(statistic.n)).items()}


def _rank_draws(
    rank: Sequence[RankStatistic], *, n: int, groups: NDArray[np.int64] | None, draws: int, seed: int
) -> list[Scores]:
    if not rank:
        return []
    used = draws if n <= RANK_FULL_N else min(draws, RANK_DRAWS)
    parts: list[list[Scores]] = [[] for _ in rank]
    for weights in draw_weights(n, groups, used, seed):
        for row in weights:
            for statistic, scores in zip(rank, parts, strict=True):
                scores.append({name: np.array([value]) for name, value in statistic.finish(row).items()})
    return [_joined(scores) for scores in parts]


def _joined(parts: list[Scores]) -> Scores:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]} if parts else {}


def _merged(scores: list[Scores]) -> Scores:
    merged: Scores = {}
    for one in scores:
        twice = merged.keys() & one.keys()
        if twice:
            raise UsageError(f"two statistics give {', '.join(sorted(twice))}; give one of them a prefix")
        merged.update(one)
    return merged


def _block_rows(n: int) -> int:
    return max(1, min(BLOCK_VALUES // n, 1024))


def _length(groups: NDArray[np.int64] | None) -> str:
    return "no clip" if groups is None else f"{len(groups)} groups"

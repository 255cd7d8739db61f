"""Several judges of the same clips: the mean of each, the mean of all, and how far they agree.

Krippendorff's alpha with interval distance (Krippendorff, "Content Analysis", chapter 11): 1 − observed / expected
squared difference; 1 = the judges agree, 0 = as by chance, below 0 = worse. A clip that fewer than two judges rated
does not enter it.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Record
from emotion_llama.errors import UsageError
from emotion_llama.evaluate.judge.overlap import CLUE, INVALID, LABEL, JudgeScores, rate_metrics
from emotion_llama.evaluate.records import Problem
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.metrics.statistic import Metric, RankStatistic

Ratings = NDArray[np.float64]
"""One row a judge, one column a clip (J, n); NaN = no rating."""


class PairAgreement(Record):
    """Two judges on the `n` clips that both rated; correlations are `None` where one of them never varies.

    `difference` is the mean absolute difference in points of the scale.
    """

    aspect: str
    first: str
    second: str
    n: int
    pearson: float | None
    spearman: float | None
    difference: float | None


class JudgePanel(Record):
    """Several judges together.

    `metrics`: clue_overlap and label_overlap (each clip the mean of the judges that rated it), judge_invalid_rate
    (share of clips that some judge could not rate), those of each judge as "clue_overlap (model)", and clue_alpha,
    label_alpha. With one judge they are that judge's own. Clips without an answer, which no judge was asked about, are
    in the means and not in the agreement.
    """

    metrics: dict[str, Metric]
    pairs: tuple[PairAgreement, ...]
    note: str
    problems: tuple[Problem, ...]


def judge_panel(judges: Sequence[JudgeScores], settings: ScoreSettings) -> JudgePanel:
    """Put the scores of several judges together. Raises `UsageError` for no judge, one name twice, or other clips."""
    _check(judges)
    problems = tuple(problem for judge in judges for problem in judge.problems)
    notes = " ".join(judge.note for judge in judges)
    if len(judges) == 1:
        return JudgePanel(metrics=judges[0].metrics, pairs=(), note=notes, problems=problems)
    speakers = [clip.speaker for clip in judges[0].clips]
    ratings = {CLUE: _ratings(judges, "clue"), LABEL: _ratings(judges, "label")}
    invalid = np.any([np.isnan(table).any(axis=0) for table in ratings.values()], axis=0)
    columns = {name: _means(table) for name, table in ratings.items()} | {INVALID: invalid.astype(float)}
    together = rate_metrics({name: _optional(column) for name, column in columns.items()}, speakers, settings)
    each = {f"{name} ({judge.judge})": metric for judge in judges for name, metric in judge.metrics.items()}
    answered = np.array([clip.answered for clip in judges[0].clips])
    asked = {name: np.where(answered, table, np.nan) for name, table in ratings.items()}
    alphas = _alphas({"clue_alpha": asked[CLUE], "label_alpha": asked[LABEL]}, speakers, settings)
    names = [judge.judge for judge in judges]
    return JudgePanel(
        metrics={**together, **each, **alphas},
        pairs=tuple(pair for aspect, table in asked.items() for pair in pair_agreements(aspect, names, table)),
        note=f"{CLUE} and {LABEL} are means of {len(judges)} judges; alpha is Krippendorff's (interval). {notes}",
        problems=problems,
    )


def krippendorff_alpha(ratings: Ratings, weights: NDArray[np.float64] | None = None) -> float:
    """Give alpha of ratings (J, n) with interval distance; `weights` (n,) is how often each clip counts.

    NaN if fewer than two ratings can be paired, or all paired ratings are equal (then nothing can be told).
    """
    known = ~np.isnan(ratings)
    counts = known.sum(axis=0)
    weight = np.where(counts >= 2, np.ones(ratings.shape[1]) if weights is None else weights, 0.0)
    values = np.where(known, ratings, 0.0)
    sums, squares = values.sum(axis=0), (values**2).sum(axis=0)
    n = float(weight @ counts)
    if n < 2:
        return float("nan")
    # sum over ordered pairs of (x - y)^2 = 2·m·Σx² - 2·(Σx)²
    observed = float(weight @ ((2 * counts * squares - 2 * sums**2) / np.maximum(counts - 1, 1))) / n
    expected = (2 * n * float(weight @ squares) - 2 * float(weight @ sums) ** 2) / (n * (n - 1))
    return float("nan") if expected <= 1e-12 else 1.0 - observed / expected


def pair_agreements(aspect: str, names: Sequence[str], ratings: Ratings) -> tuple[PairAgreement, ...]:
    """Compare every two judges of ratings (J, n)."""
    return tuple(
        _pair(aspect, (names[a], names[b]), ratings[a], ratings[b]) for a, b in combinations(range(len(names)), 2)
    )


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Give ranks from 1; equal values share the mean of their ranks."""
    _, place, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    means: NDArray[np.float64] = (last - (counts - 1) / 2)[place]
    return means


def _check(judges: Sequence[JudgeScores]) -> None:
    names = [judge.judge for judge in judges]
    if not judges or len(set(names)) != len(names):
        raise UsageError(f"expected judges of different names, found {', '.join(names) or 'none'}")
    clips = [[(clip.clip, clip.answered) for clip in judge.clips] for judge in judges]
    if any(other != clips[0] for other in clips[1:]):
        raise UsageError(
            f"the judges {', '.join(names)} rated different clips or answers; give all the same in one order"
        )


def _ratings(judges: Sequence[JudgeScores], aspect: str) -> Ratings:
    rows = [[getattr(clip, aspect) for clip in judge.clips] for judge in judges]
    return np.array([[np.nan if score is None else score.value for score in row] for row in rows], np.float64)


def _means(table: Ratings) -> NDArray[np.float64]:
    known = (~np.isnan(table)).sum(axis=0)
    with np.errstate(invalid="ignore"):
        means: NDArray[np.float64] = np.nansum(table, axis=0) / np.where(known, known, np.nan)
    return means


def _optional(column: NDArray[np.float64]) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in column]


def _alphas(tables: dict[str, Ratings], speakers: Sequence[str | None], settings: ScoreSettings) -> dict[str, Metric]:
    n = len(speakers)
    statistic = RankStatistic(n, lambda weights: {name: krippendorff_alpha(t, weights) for name, t in tables.items()})
    found = intervals([], [statistic], n=n, groups=speaker_codes(speakers), draws=settings.draws, seed=settings.seed)
    shared = {name: int(((~np.isnan(table)).sum(axis=0) >= 2).sum()) for name, table in tables.items()}
    return {name: metric.model_copy(update={"n": shared[name]}) for name, metric in found.items()}


def _pair(aspect: str, names: tuple[str, str], first: Ratings, second: Ratings) -> PairAgreement:
    both = ~np.isnan(first) & ~np.isnan(second)
    a, b = first[both], second[both]
    return PairAgreement(
        aspect=aspect,
        first=names[0],
        second=names[1],
        n=int(both.sum()),
        pearson=_correlation(a, b),
        spearman=_correlation(ranks(a), ranks(b)),
        difference=float(np.abs(a - b).mean()) if len(a) else None,
    )


def _correlation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float | None:
    if len(a) < 2 or np.ptp(a) == 0 or np.ptp(b) == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])

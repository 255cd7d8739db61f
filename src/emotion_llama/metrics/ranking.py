"""Whether a system knows which of its answers are right: AUROC, risk and coverage.

Clips are ranked by confidence alone; clips of equal confidence are never told apart. A wrong answer of high confidence
costs most.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emotion_llama.metrics.confidence import check_stated
from emotion_llama.metrics.statistic import RankStatistic


def rank_statistic(confidence: ArrayLike, correct: ArrayLike, prefix: str = "") -> RankStatistic:
    """Give the ranking scores of n clips, names starting with `prefix`.

    `auroc`: probability that a right answer is surer than a wrong one, ties counting half; NaN if all are right or all
    wrong. `aurc`: mean over clips of the risk (share of wrong answers) among the clips at least as sure as that clip
    (Geifman and El-Yaniv 2017), ties entering together; 0 is best, random ranking gives the error rate. `e_aurc`:
    `aurc` less r + (1 − r) ln(1 − r), what perfect ranking gives at error rate r in the limit of many clips (Geifman,
    Uziel and El-Yaniv 2019): not below 0. NaN without clips.

    `finish` weighs clips: a weight of 2 is the clip listed twice. It sorts nothing and takes O(n) a draw.
    Raises `UsageError` as `check_stated` does.
    """
    c, k = check_stated(confidence, correct)
    order, starts = _groups(c)
    right_answers = k[order].astype(np.float64)

    def finish(weights: NDArray[np.float64]) -> dict[str, float]:
        drawn = np.asarray(weights, dtype=np.float64)[order]
        scores = _scores(*_by_group(drawn, right_answers, starts))
        return {prefix + name: value for name, value in scores.items()}

    return RankStatistic(n=len(c), finish=finish)


def risk_coverage(confidence: ArrayLike, correct: ArrayLike, points: int = 100) -> list[tuple[float, float]]:
    """Give at most `points` (coverage, risk) pairs by rising coverage; the last is (1, error rate).

    Coverage is the share of clips answered when the least sure are left out, risk the share of wrong answers among
    them. Only coverages that a threshold can reach are given, the first at or above each of `points` even steps, since
    clips of equal confidence stay together. No clips give no points. Raises `UsageError` as `check_stated` does.
    """
    c, k = check_stated(confidence, correct)
    if not len(c):
        return []
    order, starts = _groups(c)
    total, wrong = _by_group(np.ones(len(c)), k[order].astype(np.float64), starts)
    covered, wrong_so_far = np.cumsum(total), np.cumsum(wrong)
    # counts, not shares, so that no step misses its group by a rounding error
    wanted = -(-np.arange(1, points + 1) * len(c) // points)
    reached = np.unique(np.searchsorted(covered, wanted, side="left"))
    return [(float(covered[g] / len(c)), float(wrong_so_far[g] / covered[g])) for g in reached]


def _groups(confidence: NDArray[np.float64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Order of the clips from the surest on, and where in it each group of equal confidence starts."""
    order = np.argsort(-confidence, kind="stable")
    ranked = confidence[order]
    starts = np.flatnonzero(np.r_[True, ranked[1:] != ranked[:-1]]) if len(ranked) else np.zeros(0, dtype=np.int64)
    return order.astype(np.int64), starts.astype(np.int64)


def _by_group(
    drawn: NDArray[np.float64], right_answers: NDArray[np.float64], starts: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """How many clips each group holds, and how many of them are wrong, both (groups,)."""
    if not len(starts):
        return np.zeros(0), np.zeros(0)
    total = np.add.reduceat(drawn, starts)
    return total, total - np.add.reduceat(drawn * right_answers, starts)


def _scores(total: NDArray[np.float64], wrong: NDArray[np.float64]) -> dict[str, float]:
    """AUROC, AURC and excess AURC of groups ordered from the surest on."""
    n, errors = float(total.sum()), float(wrong.sum())
    if not n:
        return {"auroc": math.nan, "aurc": math.nan, "e_aurc": math.nan}
    wrong_so_far, covered = np.cumsum(wrong), np.cumsum(total)
    pairs = errors * (n - errors)
    below = float(((total - wrong) * (errors - wrong_so_far + wrong / 2)).sum())
    # groups that were not drawn before the first drawn one cover nothing and weigh nothing
    aurc = float((total * wrong_so_far / np.maximum(covered, 1e-300)).sum()) / n
    risk = errors / n
    best = risk + (1 - risk) * math.log1p(-risk) if risk < 1 else 1.0
    return {"auroc": below / pairs if pairs else math.nan, "aurc": aurc, "e_aurc": aurc - best}

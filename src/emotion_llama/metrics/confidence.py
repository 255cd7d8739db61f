"""Whether a system is as sure as it is right: calibration errors, Brier score, negative log-likelihood.

Everywhere `probabilities` is (n, K), rows summing to 1, and `truth` (n,) holds class indices. The confidence of a clip
is its largest probability, its prediction the first class that has it. A calibration error is the sum over bins of
|right answers − summed confidence| ÷ n (Guo et al. 2017, equation 3, with the bin sizes cancelled), so that sums over
clips are all it needs.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from emotion_llama.errors import UsageError
from emotion_llama.metrics.statistic import Scores, Statistic

BINS = 15
"""Bins of every calibration error of ours, equal in width or in mass."""

VEC_BINS = 10
"""Bins of VECBench's calibration error."""

MIN_PROBABILITY = 1e-12
"""Probabilities below this are raised to it before a logarithm is taken; one clip costs at most 27.6 nats."""

SUM_TOLERANCE = 1e-3
"""How far a row of probabilities may be from 1: files hold rounded numbers."""

BinRow = tuple[float, float, int, float | None, float | None]
"""(low, high, n, mean confidence, accuracy) of one bin; the last two are `None` where n is 0."""


def check_probabilities(probabilities: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Give both as arrays, (n, K) and (n,).

    Raises `UsageError` naming the row if the shapes do not match, a probability is outside 0..1, a row does not sum to
    1 within `SUM_TOLERANCE`, or a truth is no class index.
    """
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(truth, dtype=np.int64)
    if p.ndim != 2 or p.shape[1] < 2 or y.shape != p.shape[:1]:
        raise UsageError(
            f"expected probabilities (n, K) of two or more classes and truth (n,), found {p.shape} and {y.shape}"
        )
    bad = ~((p >= 0) & (p <= 1 + SUM_TOLERANCE)).all(axis=1) | ~(np.abs(p.sum(axis=1) - 1) <= SUM_TOLERANCE)
    if bad.any():
        row = int(bad.argmax())
        raise UsageError(
            f"row {row} of the probabilities: expected numbers from 0 to 1 that sum to 1, found {p[row].tolist()}"
        )
    wrong = (y < 0) | (y >= p.shape[1])
    if wrong.any():
        row = int(wrong.argmax())
        raise UsageError(f"row {row} of the truth: expected a class index from 0 to {p.shape[1] - 1}, found {y[row]}")
    return p, y


def check_stated(confidence: ArrayLike, correct: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Give both as arrays (n,): how sure the system was, from 0 to 1, and whether its answer was right.

    Raises `UsageError` naming the row if the lengths differ or a confidence is no number from 0 to 1.
    """
    c, k = np.asarray(confidence, dtype=np.float64), np.asarray(correct, dtype=np.bool_)
    if c.ndim != 1 or c.shape != k.shape:
        raise UsageError(f"expected confidence and correct of one length, found shapes {c.shape} and {k.shape}")
    bad = ~((c >= 0) & (c <= 1))
    if bad.any():
        row = int(bad.argmax())
        raise UsageError(f"row {row} of the confidences: expected a number from 0 to 1, found {c[row]}")
    return c, k


def top(probabilities: ArrayLike, truth: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Give the confidence (n,) of the first most probable class, and whether that class is the truth (n,)."""
    p, y = check_probabilities(probabilities, truth)
    return np.minimum(p.max(axis=1), 1.0), p.argmax(axis=1) == y


def width_bins(values: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """Give the bin of each number among `bins` equal widths of 0..1: bin b is (b/bins, (b+1)/bins], 0 is in the first.

    torchmetrics and VECBench close their bins on the left instead; only numbers exactly on an edge differ.
    """
    # quotients of whole numbers, because linspace misses edges such as 0.3 by one unit in the last place
    edges = np.arange(bins + 1) / bins
    return np.clip(np.searchsorted(edges, values, side="left") - 1, 0, bins - 1).astype(np.int64)


def mass_bins(values: NDArray[np.float64], bins: int = BINS) -> NDArray[np.int64]:
    """Give the bin of each number among `bins` of equal count; equal numbers share the bin of the first of them."""
    below = np.searchsorted(np.sort(values), values, side="left")
    return (below * bins // max(len(values), 1)).astype(np.int64)


def confidence_statistic(probabilities: ArrayLike, truth: ArrayLike, prefix: str = "") -> Statistic:
    """Give the calibration scores of n clips, names starting with `prefix`.

    `ece`: 15 bins of equal width; `ece_mass`: 15 bins of equal count whose edges are those of the whole sample in every
    draw; `ece_class`: for each class the calibration error of its probability against "this class is the truth", 15
    bins of equal width, averaged over the K classes; `brier`: mean Σ_c (p_c − [y = c])², 0 to 2; `nll`: mean −ln p of
    the truth, with p at least `MIN_PROBABILITY`; `mean_confidence`; `accuracy_top`: share of clips whose most probable
    class is the truth. NaN without clips. Holds (32 + 15 K) × 4 bytes a clip.

    Raises `UsageError` as `check_probabilities` does.
    """
    p, y = check_probabilities(probabilities, truth)
    n, k = p.shape
    confidence, correct = top(p, y)
    rows, residual = np.arange(n), correct - confidence
    columns = np.zeros((n, 2 * BINS + k * BINS + 2), dtype=np.float32)
    columns[rows, width_bins(confidence)] = residual
    columns[rows, BINS + mass_bins(confidence)] = residual
    for c in range(k):
        columns[rows, (2 + c) * BINS + width_bins(p[:, c])] = (y == c) - p[:, c]
    columns[:, -2] = ((p - np.eye(k)[y]) ** 2).sum(axis=1)
    columns[:, -1] = -np.log(np.maximum(p[rows, y], MIN_PROBABILITY))

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        total = _or_nan(counts.sum(axis=1))
        gaps = np.abs(sums[:, :-2]) / total[:, None]
        accuracy = counts[:, 1] / total
        scores = {
            "ece": gaps[:, :BINS].sum(axis=1),
            "ece_mass": gaps[:, BINS : 2 * BINS].sum(axis=1),
            "ece_class": gaps[:, 2 * BINS :].sum(axis=1) / k,
            "brier": sums[:, -2] / total,
            "nll": sums[:, -1] / total,
            # the residuals of the equal-width bins sum to right answers minus confidence
            "mean_confidence": accuracy - sums[:, :BINS].sum(axis=1) / total,
            "accuracy_top": accuracy,
        }
        return {prefix + name: values for name, values in scores.items()}

    inflated = frozenset(prefix + name for name in ("ece", "ece_mass", "ece_class"))
    return Statistic(cells=correct.astype(np.int64), n_cells=2, columns=columns, finish=finish, inflated=inflated)


def stated_statistic(confidence: ArrayLike, correct: ArrayLike, prefix: str = "") -> Statistic:
    """Give the calibration scores of a system that states one number a clip, from 0 to 1, names starting with `prefix`.

    `ece`: 15 bins of equal width; `ece_vec`: as VECBench codes it (see `half_open_ece`), to be shown beside
    `ece_vec_dropped_rate`, the share of clips that fell into none of its bins; `brier_binary`: mean (c − correct)².
    NaN without clips. Raises `UsageError` as `check_stated` does.
    """
    c, k = check_stated(confidence, correct)
    n, rows, residual = len(c), np.arange(len(c)), k - c
    columns = np.zeros((n, BINS + VEC_BINS + 1), dtype=np.float32)
    columns[rows, width_bins(c)] = residual
    place = _half_open_bins(c, VEC_BINS)
    kept = place < VEC_BINS
    columns[rows[kept], BINS + place[kept]] = residual[kept]
    columns[:, -1] = residual**2

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        total = _or_nan(counts.sum(axis=1))
        gaps = np.abs(sums[:, :-1]) / total[:, None]
        scores = {
            "ece": gaps[:, :BINS].sum(axis=1),
            "ece_vec": gaps[:, BINS:].sum(axis=1),
            "ece_vec_dropped_rate": counts[:, 1] / total,
            "brier_binary": sums[:, -1] / total,
        }
        return {prefix + name: values for name, values in scores.items()}

    inflated = frozenset(prefix + name for name in ("ece", "ece_vec"))
    return Statistic(cells=(~kept).astype(np.int64), n_cells=2, columns=columns, finish=finish, inflated=inflated)


def half_open_ece(confidence: ArrayLike, correct: ArrayLike, bins: int = VEC_BINS) -> tuple[float, int]:
    """Give VECBench's calibration error and the number of clips that fell into none of its bins.

    Its bins are lo <= c < hi, so that a confidence of 1 is dropped while it still counts in n: a system that always
    says 1 gets 0 here. The edges are `linspace`'s, which puts 0.3, 0.6 and 0.7 into the bin below; both as in
    wdqqdw/EmoCaliber, inference/evaluate_multi_task_conf_from_merged.py. NaN without clips. For comparison with
    EmoCaliber's figures only. Raises `UsageError` as `check_stated` does.
    """
    c, k = check_stated(confidence, correct)
    if not len(c):
        return float("nan"), 0
    gaps = np.bincount(_half_open_bins(c, bins), weights=k - c, minlength=bins + 1)
    return float(np.abs(gaps[:bins]).sum() / len(c)), int((_half_open_bins(c, bins) == bins).sum())


def reliability(probabilities: ArrayLike, truth: ArrayLike, bins: int = BINS) -> list[BinRow]:
    """Give the bars of a reliability diagram of the most probable class, one a bin of equal width, empty ones too."""
    return stated_reliability(*top(probabilities, truth), bins)


def stated_reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = BINS) -> list[BinRow]:
    """Give the bars of a reliability diagram of stated confidences, one a bin of equal width, empty ones too."""
    c, k = check_stated(confidence, correct)
    place = width_bins(c, bins)
    counts = np.bincount(place, minlength=bins)
    sure, right = (np.bincount(place, weights=values, minlength=bins) for values in (c, k))
    return [
        (b / bins, (b + 1) / bins, int(m), float(sure[b] / m) if m else None, float(right[b] / m) if m else None)
        for b, m in enumerate(counts)
    ]


def null_ece(probabilities: ArrayLike, *, draws: int = 200, seed: int) -> tuple[float, float, float]:
    """Give median, 2.5 and 97.5 percentile of the `ece` of a perfectly calibrated system with these probabilities.

    The truth of each draw is drawn from the probabilities themselves, so the error is all bias: a measured `ece` below
    the upper value is no sign of bad calibration. NaN without clips. Raises `UsageError` as `check_probabilities`.
    """
    p = np.asarray(probabilities, dtype=np.float64)
    confidence, _ = top(p, np.zeros(len(p), dtype=np.int64))
    return null_stated_ece(confidence, draws=draws, seed=seed)


def null_stated_ece(
    confidence: ArrayLike, bins: int = BINS, *, draws: int = 200, seed: int
) -> tuple[float, float, float]:
    """Give the same as `null_ece` for confidences (n,): each answer is right with just that probability."""
    c, _ = check_stated(confidence, np.zeros(np.shape(confidence), dtype=np.bool_))
    if not len(c):
        return float("nan"), float("nan"), float("nan")
    rng, place = np.random.default_rng(seed), width_bins(c, bins)
    sure = np.bincount(place, weights=c, minlength=bins)
    found = np.empty(draws)
    for draw in range(draws):
        right = np.bincount(place[rng.random(len(c)) < c], minlength=bins)
        found[draw] = np.abs(right - sure).sum() / len(c)
    low, median, high = np.percentile(found, [2.5, 50.0, 97.5])
    return float(median), float(low), float(high)


def calibrated_ece_bias(
    n: int, bins: int = BINS, *, least: float = 0.5, draws: int = 200, seed: int = 0
) -> tuple[float, float, float]:
    """Give median, 2.5 and 97.5 percentile of the `ece` of a perfectly calibrated system on `n` clips.

    Its confidences are spread evenly from `least` to 1, which decides the bias as much as n does: with 15 bins the
    median at 100 clips is .090 from .5 on and .123 from 0 on, at 10,000 clips .009 and .012. The .087 often quoted for
    100 clips belongs to confidences above one half. Raises `UsageError` if `least` is outside 0..1.
    """
    confidence = least + (1 - least) * (np.arange(n) + 0.5) / max(n, 1)
    return null_stated_ece(confidence, bins, draws=draws, seed=seed)


def _half_open_bins(confidence: NDArray[np.float64], bins: int) -> NDArray[np.int64]:
    """Bin of each confidence, lo <= c < hi; `bins` for a confidence of 1, which is in none."""
    return (np.searchsorted(np.linspace(0, 1, bins + 1), confidence, side="right") - 1).astype(np.int64)


def _or_nan(total: NDArray[np.float64]) -> NDArray[np.float64]:
    """Draws without a clip have no score."""
    return np.where(total > 0, total, np.nan)

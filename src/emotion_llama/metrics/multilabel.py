"""Scores of answers that are sets: several labels a clip, or several facts (target and sentiment, …) a clip.

With G the true set, P the answered set of a clip, summed over clips:

    micro-F1 = 2 Σ|G∩P| / (Σ|G| + Σ|P|)      micro precision = Σ|G∩P| / Σ|P|      micro recall = Σ|G∩P| / Σ|G|
    macro-F1 = mean over labels of 2TP / (2TP + FP + FN), 0 for a label with neither truth nor answer
    exact match = share of clips with P = G

0/0 is 0, as in scikit-learn with `zero_division=0`. An answer that is no set at all counts as an empty one (all of G
missed, no exact match); `micro_f1_answered` leaves such clips out, as the code of HitEmotion does.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.metrics.statistic import Scores, Statistic


def overlap_statistic(
    hits: NDArray[np.int64],
    said: NDArray[np.int64],
    true: NDArray[np.int64],
    answered: NDArray[np.bool_],
    *,
    prefix: str = "",
) -> Statistic:
    """Give micro scores of sets from their sizes a clip: |G∩P|, |P|, |G|, and whether there was an answer, (n,) each.

    Scores: `micro_f1, micro_precision, micro_recall, exact_match, micro_f1_answered, empty_rate` (answers that are an
    empty set, among all clips), `invalid_rate` (clips without an answer), each name after `prefix`.
    """
    exact = answered & (hits == said) & (hits == true)
    empty = answered & (said == 0)
    columns = np.stack(
        [hits, said, true, exact, answered, empty, hits * answered, said * answered, true * answered], axis=1
    ).astype(np.float32)

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        n = counts.sum(axis=1)
        scores = {
            "micro_f1": _ratio(2 * sums[:, 0], sums[:, 1] + sums[:, 2]),
            "micro_precision": _ratio(sums[:, 0], sums[:, 1]),
            "micro_recall": _ratio(sums[:, 0], sums[:, 2]),
            "exact_match": _ratio(sums[:, 3], n),
            "micro_f1_answered": _ratio(2 * sums[:, 6], sums[:, 7] + sums[:, 8], empty=np.nan),
            "empty_rate": _ratio(sums[:, 5], n),
            "invalid_rate": _ratio(n - sums[:, 4], n),
        }
        return {prefix + name: values for name, values in scores.items()}

    return Statistic(np.zeros(len(hits), np.int64), 1, columns, finish)


def per_label_statistic(truth: NDArray[np.bool_], predicted: NDArray[np.bool_]) -> Statistic:
    """Give scores of each of L labels from membership tables (n, L).

    Scores: `macro_f1` over all L labels, and `precision:<i>`, `recall:<i>`, `f1:<i>` with i the label's index.
    """
    n_labels = truth.shape[1]
    columns = np.concatenate([truth & predicted, predicted, truth], axis=1).astype(np.float32)

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        hits, said, true = sums[:, :n_labels], sums[:, n_labels : 2 * n_labels], sums[:, 2 * n_labels :]
        f1 = _ratio(2 * hits, said + true)
        scores = {"macro_f1": f1.mean(axis=1)}
        for name, table in (("precision", _ratio(hits, said)), ("recall", _ratio(hits, true)), ("f1", f1)):
            scores |= {f"{name}:{index}": table[:, index] for index in range(n_labels)}
        return scores

    return Statistic(np.zeros(len(truth), np.int64), 1, columns, finish)


def constant_set(truth: NDArray[np.bool_], size: int | None = None) -> tuple[int, ...]:
    """Give the label indices that make the best constant answer for micro-F1, commonest first.

    With `size` the best set of that size, else the best of all sizes. A constant answer of s labels has
    micro-F1 = 2 Σ counts / (n·s + Σ|G|), so taking labels by count is the best choice, not only a greedy one. It is
    chosen on the truth that it is scored on: a floor that a system must beat, not a system.
    """
    n, n_labels = truth.shape
    counts = truth.sum(axis=0)
    order = np.argsort(-counts, kind="stable")
    sizes: Sequence[int] = range(1, n_labels + 1) if size is None else [size]
    f1 = [2 * counts[order[:s]].sum() / (n * s + truth.sum()) for s in sizes]
    return tuple(int(index) for index in order[: sizes[int(np.argmax(f1))]])


def constant_statistic(truth: NDArray[np.bool_], constant: Sequence[int], prefix: str) -> Statistic:
    """Give `overlap_statistic` of a system that answers the labels `constant` for every clip."""
    hits = truth[:, list(constant)].sum(axis=1).astype(np.int64)
    n = len(truth)
    answered = np.ones(n, bool)
    said = np.full(n, len(constant), np.int64)
    return overlap_statistic(hits, said, truth.sum(axis=1).astype(np.int64), answered, prefix=prefix)


def _ratio(above: NDArray[np.float64], below: NDArray[np.float64], empty: float = 0.0) -> NDArray[np.float64]:
    out = np.full(np.broadcast_shapes(above.shape, below.shape), empty)
    np.divide(above, below, out=out, where=below > 0)
    return out

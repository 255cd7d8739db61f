"""Scores of one label a clip, from a table of K rows (truth) and K + 2 columns (answer: K labels, invalid, missing).

An answer that is no label and a missing answer are wrong, never left out. WAR is the accuracy, UAR the mean recall.
A class that is never predicted has precision and F1 of 0, as in scikit-learn with `zero_division=0`.
"""

from __future__ import annotations

from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.metrics.statistic import Scores, Statistic

Over = Literal["present", "configured"]
"""Whether UAR and macro F1 average over the classes that occur in the truth, or over all (an absent class counts 0)."""

MER2023_VALENCE_WEIGHT = 0.25
GUESSED = ("war", "uar", "weighted_f1", "macro_f1")
"""The scores that a guesser has too."""


def class_statistic(
    truth: NDArray[np.int64], predicted: NDArray[np.int64], k: int, *, over: Over, prefix: str = ""
) -> Statistic:
    """Scores of `class_scores`, each name after `prefix`.

    `truth` (n,) is 0 to k - 1, `predicted` (n,) 0 to k - 1, k = invalid, k + 1 = missing. The statistic's cells are
    truth · (k + 2) + predicted; it has no columns. `over` looks at the whole sample: a present class that a draw
    happens to miss is left out of that draw's averages. Raises `UsageError` for a number outside these ranges.
    """
    cells = _cells(truth, predicted, k)
    present = len(np.unique(truth))
    absent = k - present if over == "configured" else 0
    return Statistic(cells, k * (k + 2), np.zeros((len(cells), 0), np.float32), partial(_finish, k, absent, prefix))


def class_scores(counts: NDArray[np.float64], k: int, absent: int = 0) -> Scores:
    """Scores of tables (D, k · (k + 2)), rows truth, columns answer; each score (D,).

    `war`, `uar`, `weighted_f1`, `macro_f1`, `invalid_rate`, `missing_rate`, `war_answered` (accuracy among the answers
    that are labels) and `recall:<i>`, `precision:<i>`, `f1:<i>` of class number i. UAR and macro F1 average over the
    classes of the table that have a clip, and over `absent` classes more that count as 0. Recall and F1 of a class
    without a clip are NaN, so is everything of an empty table.
    """
    table = np.asarray(counts, np.float64).reshape(len(counts), k, k + 2)
    hits = np.diagonal(table, axis1=1, axis2=2)  # (D, k)
    support = table.sum(axis=2)
    said = table[:, :, :k].sum(axis=1)
    n = support.sum(axis=1)
    recall = _ratio(hits, support)
    f1 = np.where(support > 0, _ratio(2 * hits, support + said), np.nan)
    precision = np.where((said == 0) & (support > 0), 0.0, _ratio(hits, said))
    present = (support > 0).sum(axis=1)
    classes = np.where(present > 0, present + absent, 0)
    scores = {
        "war": _ratio(hits.sum(axis=1), n),
        "uar": _ratio(np.nansum(recall, axis=1), classes),
        "weighted_f1": _ratio((support * np.nan_to_num(f1)).sum(axis=1), n),
        "macro_f1": _ratio(np.nansum(f1, axis=1), classes),
        "invalid_rate": _ratio(table[:, :, k].sum(axis=1), n),
        "missing_rate": _ratio(table[:, :, k + 1].sum(axis=1), n),
        "war_answered": _ratio(hits.sum(axis=1), said.sum(axis=1)),
    }
    for name, values in (("recall", recall), ("precision", precision), ("f1", f1)):
        scores |= {f"{name}:{number}": values[:, number] for number in range(k)}
    return scores


def guess_scores(class_counts: NDArray[np.int64], over: Over = "present") -> tuple[dict[str, float], dict[str, float]]:
    """`GUESSED` scores of a uniform guesser and of always naming the commonest class (the first of several).

    `class_counts` (k,): clips of each class. The guesser's are the scores of its expected table, in which every truth
    is spread evenly over all k labels.
    """
    k = len(class_counts)
    counts = np.asarray(class_counts, np.float64)
    uniform, majority = np.zeros((k, k + 2)), np.zeros((k, k + 2))
    uniform[:, :k] = counts[:, None] / k
    majority[:, counts.argmax()] = counts
    absent = int((counts == 0).sum()) if over == "configured" else 0
    scores = class_scores(np.stack([uniform.ravel(), majority.ravel()]), k, absent)
    return {name: float(scores[name][0]) for name in GUESSED}, {name: float(scores[name][1]) for name in GUESSED}


def mer2023_statistic(
    truth: NDArray[np.int64],
    predicted: NDArray[np.int64],
    k: int,
    valence: NDArray[np.float64],
    predicted_valence: NDArray[np.float64],
    *,
    prefix: str = "",
) -> Statistic:
    """MER2023's score for its tracks MULTI and NOISE: weighted F1 − 0.25 · mean squared error of valence.

    `valence`, `predicted_valence` (n,) on the scale of the data set; NaN = the system gave none. Scores:
    `mer2023_score`, `valence_mse` over the clips with a predicted valence, and `valence_missing_rate`. As soon as one
    clip has no predicted valence, `mer2023_score` is not defined (NaN in every draw): no error is made up for it and
    the clip is not passed over. Definition: Lian et al., "MER 2023" (arXiv 2304.08981), the organisers' scoring code.
    Raises `UsageError` for a truth that is not a number, or a prediction that is infinite.
    """
    if not np.isfinite(valence).all() or np.isinf(predicted_valence).any():
        raise UsageError(
            "expected a finite true valence for every clip and finite predicted ones (NaN = none given), found others; "
            "correct the manifest or the predictions"
        )
    cells = _cells(truth, predicted, k)
    given = ~np.isnan(predicted_valence)
    error = np.where(given, np.square(predicted_valence - valence), 0.0)
    columns = np.stack([error, given], axis=1).astype(np.float32)
    return Statistic(cells, k * (k + 2), columns, partial(_finish_mer2023, k, bool(given.all()), prefix))


def _finish(
    k: int, absent: int, prefix: str, counts: NDArray[np.float64], _sums: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    return {f"{prefix}{name}": values for name, values in class_scores(counts, k, absent).items()}


def _finish_mer2023(
    k: int, complete: bool, prefix: str, counts: NDArray[np.float64], sums: NDArray[np.float64]
) -> dict[str, NDArray[np.float64]]:
    error, given = sums[:, 0], sums[:, 1]
    mse = _ratio(error, given)
    score = class_scores(counts, k)["weighted_f1"] - MER2023_VALENCE_WEIGHT * mse
    return {
        f"{prefix}mer2023_score": score if complete else np.full(len(score), np.nan),
        f"{prefix}valence_mse": mse,
        f"{prefix}valence_missing_rate": 1 - _ratio(given, counts.sum(axis=1)),
    }


def _cells(truth: NDArray[np.int64], predicted: NDArray[np.int64], k: int) -> NDArray[np.int64]:
    for name, numbers, limit in (("truth", truth, k), ("prediction", predicted, k + 2)):
        wrong = numbers[(numbers < 0) | (numbers >= limit)]
        if len(wrong):
            raise UsageError(f"expected class numbers of {name} from 0 to {limit - 1}, found {int(wrong[0])}")
    if len(truth) != len(predicted):
        raise UsageError(f"expected one prediction for each of {len(truth)} clips, found {len(predicted)}")
    return np.asarray(truth, np.int64) * (k + 2) + np.asarray(predicted, np.int64)


def _ratio(top: NDArray[np.float64], bottom: NDArray[np.float64] | NDArray[np.int64]) -> NDArray[np.float64]:
    """Quotient, NaN where there is nothing to divide by."""
    return np.asarray(np.divide(top, bottom, out=np.full(np.shape(top), np.nan), where=bottom > 0), np.float64)

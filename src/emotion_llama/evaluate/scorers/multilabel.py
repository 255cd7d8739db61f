"""Scorers of answers that are sets: several labels a clip (`score_multilabel`), or facts (`score_exact_match_f1`).

An answer is `Prediction.labels`, or `Prediction.emotion` alone where there are none. Words are compared without case
and with single spaces. A label outside the asked set is named and counts as a wrong label; a clip without an answer is
named and counts as nothing said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.evaluate.records import ClassScores, Item, Prediction, Problem, Scored
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.multilabel import (
    constant_set,
    constant_statistic,
    overlap_statistic,
    per_label_statistic,
)
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.metrics.statistic import Metric, Statistic

# baselines are shown by this score alone
_BASELINES = {"constant_label_": "the commonest label", "constant_set_": "the best constant set"}


@dataclass(frozen=True)
class Sets:
    """The true and answered sets of each clip; `None` = no answer. `shown` gives words back as they were written."""

    true: tuple[frozenset[str], ...]
    said: tuple[frozenset[str] | None, ...]
    shown: dict[str, str]


def score_multilabel(
    items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
) -> Scored:
    """Score sets of labels: micro-F1 (headline), macro-F1, exact match, each label, constant-answer baselines.

    With `labels` `()` the labels are open (for instance facts in words): no macro-F1, no single labels, no baselines.
    `micro_f1.majority` is what the commonest label alone reaches; `micro_f1_constant_set` is the best constant answer.
    Source: HitEmotion, evaluation_DPTM.py, which leaves malformed answers out (`micro_f1_answered`).
    Raises `UsageError` if an item has no true labels, or if there are no items.
    """
    sets = read_sets(items, predictions)
    known = [_plain(label) for label in labels]
    statistics = [_overlap(sets)]
    if labels:
        truth, said = _table(sets.true, known), _table(sets.said, known)
        statistics += [per_label_statistic(truth, said), *_baselines(truth)]
    metrics = _intervals(items, statistics, settings)
    notes: tuple[str, ...] = ()
    per_class: dict[str, ClassScores] = {}
    counts: dict[str, int] = {}
    if labels:
        per_class = _pop_labels(metrics, labels, truth, said)
        counts = {label: int(count) for label, count in zip(labels, truth.sum(axis=0), strict=True)}
        notes = _pop_baselines(metrics, labels, truth)
    return Scored(
        n_asked=len(items),
        n_scored=sum(answer is not None for answer in sets.said),
        metrics=metrics,
        headline=("micro_f1", "exact_match"),
        majority=metrics["micro_f1"].majority,
        class_counts=counts,
        per_class=per_class,
        settings={"labels": list(labels), "draws": settings.draws, "seed": settings.seed},
        notes=notes,
        problems=_problems(items, predictions, sets, known),
    )


def score_exact_match_f1(
    items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
) -> Scored:
    """Score facts in words ("Arjun | negative | positive | Logical Argumentation"): a fact counts if all of it agrees.

    `exact_match_f1` (headline) is the micro-F1 over whole facts. Source: HitEmotion, evaluation_SFA.py; there, facts
    said twice count twice, here once.
    """
    scored = score_multilabel(items, predictions, labels, settings)
    metrics = {"exact_match_f1": scored.metrics["micro_f1"], **scored.metrics}
    return scored.model_copy(update={"metrics": metrics, "headline": ("exact_match_f1", "exact_match")})


def read_sets(items: Sequence[Item], predictions: Sequence[Prediction | None]) -> Sets:
    """Give the true and answered sets. Raises `UsageError` for an item without true labels, or for no items."""
    if not items:
        raise UsageError("expected at least one clip to score, found none")
    if len(items) != len(predictions):
        raise UsageError(f"expected one answer or None a clip, found {len(predictions)} for {len(items)} clips")
    shown: dict[str, str] = {}
    true: list[frozenset[str]] = []
    for item in items:
        if item.clip.labels is None:
            raise UsageError(f"clip {item.clip.clip!r} has no true labels; add the column labels to the data")
        true.append(_plain_set(item.clip.labels, shown))
    said = [None if (words := _words(answer)) is None else _plain_set(words, shown) for answer in predictions]
    return Sets(tuple(true), tuple(said), shown)


def _words(prediction: Prediction | None) -> tuple[str, ...] | None:
    if prediction is None:
        return None
    if prediction.labels is not None:
        return prediction.labels
    return (prediction.emotion,) if prediction.emotion is not None else None


def _plain(word: str) -> str:
    return " ".join(word.casefold().split())


def _plain_set(words: Sequence[str], shown: dict[str, str]) -> frozenset[str]:
    for word in words:
        shown.setdefault(_plain(word), word)
    return frozenset(_plain(word) for word in words if word.strip())


def _overlap(sets: Sets) -> Statistic:
    said = [words if words is not None else frozenset() for words in sets.said]
    hits = [len(true & words) for true, words in zip(sets.true, said, strict=True)]
    return overlap_statistic(
        np.array(hits, np.int64),
        np.array([len(words) for words in said], np.int64),
        np.array([len(words) for words in sets.true], np.int64),
        np.array([words is not None for words in sets.said], np.bool_),
    )


def _table(sets: Sequence[frozenset[str] | None], labels: Sequence[str]) -> NDArray[np.bool_]:
    return np.array([[words is not None and label in words for label in labels] for words in sets], np.bool_)


def _baselines(truth: NDArray[np.bool_]) -> list[Statistic]:
    return [
        constant_statistic(truth, constant_set(truth, 1), "constant_label_"),
        constant_statistic(truth, constant_set(truth), "constant_set_"),
    ]


def _intervals(items: Sequence[Item], statistics: Sequence[Statistic], settings: ScoreSettings) -> dict[str, Metric]:
    groups = speaker_codes([item.clip.speaker for item in items])
    return intervals(statistics, [], n=len(items), groups=groups, draws=settings.draws, seed=settings.seed)


def _pop_labels(
    metrics: dict[str, Metric], labels: Sequence[str], truth: NDArray[np.bool_], said: NDArray[np.bool_]
) -> dict[str, ClassScores]:
    """Take the scores of single labels out of `metrics`."""
    return {
        label: ClassScores(
            support=int(truth[:, index].sum()),
            predicted=int(said[:, index].sum()),
            precision=metrics.pop(f"precision:{index}"),
            recall=metrics.pop(f"recall:{index}"),
            f1=metrics.pop(f"f1:{index}"),
        )
        for index, label in enumerate(labels)
    }


def _pop_baselines(metrics: dict[str, Metric], labels: Sequence[str], truth: NDArray[np.bool_]) -> tuple[str, ...]:
    """Put the baselines' micro-F1 beside ours, drop their other scores, and say in words what they answer."""
    found = {prefix: metrics[f"{prefix}micro_f1"] for prefix in _BASELINES}
    for name in [name for name in metrics if name.startswith(tuple(_BASELINES))]:
        del metrics[name]
    for prefix, metric in found.items():
        metrics[f"micro_f1_{prefix.removesuffix('_')}"] = metric
    metrics["micro_f1"] = metrics["micro_f1"].model_copy(update={"majority": found["constant_label_"].value})
    sizes = {"constant_label_": 1, "constant_set_": None}
    return tuple(
        f"baseline: {words} ({'; '.join(labels[i] for i in constant_set(truth, sizes[prefix]))}) for every clip "
        f"reaches micro-F1 {found[prefix].value:.4f}; chosen on the truth it is scored on"
        for prefix, words in _BASELINES.items()
    )


def _problems(
    items: Sequence[Item], predictions: Sequence[Prediction | None], sets: Sets, known: Sequence[str]
) -> tuple[Problem, ...]:
    problems = []
    for item, prediction, words in zip(items, predictions, sets.said, strict=True):
        if prediction is None:
            continue  # a missing clip is named by whoever matched answers to clips
        clip, line = item.clip.clip, prediction.line
        if words is None:
            message = f"clip {clip!r} has neither labels nor an emotion: counted as nothing said"
            problems.append(Problem(kind="no-label", message=message, clip=clip, line=line))
        elif known and (outside := sorted(words - set(known))):
            names = ", ".join(repr(sets.shown[word]) for word in outside)
            message = f"clip {clip!r}: {names} not among the asked labels: counted as wrong"
            problems.append(Problem(kind="unknown-label", message=message, clip=clip, line=line))
    return tuple(problems)

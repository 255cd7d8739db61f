"""Scoring one label a clip: WAR, UAR, F1, confusion, calibration, slices, all with intervals.

A clip without a valid answer is wrong, never left out: an answer that is no label falls into the column "invalid", a
clip without a prediction into "missing". `war_answered` is the accuracy among valid answers, for comparison with
systems that drop the others.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import ClassScores, Confusion, Item, Prediction, Scored, Slice
from emotion_llama.evaluate.scorers.label_confidence import (
    null_settings,
    reliability_bins,
    risk_curve,
    score_confidence,
)
from emotion_llama.evaluate.scorers.label_table import Table, mean_statistic, tabulate
from emotion_llama.evaluate.scorers.slices import slice_records, slice_statistics
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.classes import class_statistic, guess_scores, mer2023_statistic
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.metrics.statistic import Metric, Statistic

HEADLINE = ("war", "uar", "weighted_f1")
ALWAYS = ("ece", "brier", "nll", "order_sensitivity")
"""Scores that stand in every report, not defined where the predictions do not carry what they are made of."""
NOT_GIVEN = Metric(value=None, low=None, high=None, n=0)
_REFUSAL = re.compile(
    r"\b(?:i(?:'m| am) (?:sorry|unable|not able)|i apologi[sz]e|i can(?:not|'t)|as an ai"
    r"|cannot (?:assist|determine|identify))",
    re.IGNORECASE,
)


def score_labels(
    items: Sequence[Item],
    predictions: Sequence[Prediction | None],
    labels: Sequence[str],
    settings: ScoreSettings,
) -> Scored:
    """Score one label a clip. `predictions` are matched with `items` and read in `labels` (`predictions.match`)."""
    return _score(items, predictions, labels, settings, with_valence=False)


def score_labels_and_valence(
    items: Sequence[Item],
    predictions: Sequence[Prediction | None],
    labels: Sequence[str],
    settings: ScoreSettings,
) -> Scored:
    """`score_labels`, and MER2023's score for MULTI and NOISE: weighted F1 − 0.25 · MSE of valence."""
    return _score(items, predictions, labels, settings, with_valence=True)


def _score(
    items: Sequence[Item],
    predictions: Sequence[Prediction | None],
    labels: Sequence[str],
    settings: ScoreSettings,
    with_valence: bool,
) -> Scored:
    table = tabulate(items, predictions, labels)
    statistics = [class_statistic(table.truth, table.predicted, len(labels), over=settings.uar_classes)]
    statistics += _behaviour(predictions)
    statistics += [_valence(items, predictions, table)] if with_valence else []
    sliced, groups = slice_statistics(items, table, settings)
    statistics += [statistic for statistic, _, _ in sliced]
    confidence, rank, notes = score_confidence(table, settings)
    speakers = speaker_codes([item.clip.speaker for item in items])
    found = intervals(
        [*statistics, *confidence], rank, n=len(items), groups=speakers, draws=settings.draws, seed=settings.seed
    )
    return _scored(
        table, found, settings, notes + _resampling_note(speakers, settings), slice_records(sliced, found, groups)
    )


def _scored(
    table: Table, found: dict[str, Metric], settings: ScoreSettings, notes: list[str], slices: list[Slice]
) -> Scored:
    k = len(table.labels)
    counts = np.bincount(table.truth, minlength=k)
    chance, majority = guess_scores(counts, settings.uar_classes)
    metrics = {
        name: metric.model_copy(update={"chance": chance.get(name), "majority": majority.get(name)})
        for name, metric in found.items()
        if ":" not in name
    }
    metrics |= {name: NOT_GIVEN for name in ALWAYS if name not in metrics}
    probable = table.stated
    return Scored(
        n_asked=len(table.truth),
        n_scored=int((table.predicted <= k).sum()),
        metrics=metrics,
        headline=("mer2023_score", *HEADLINE) if "mer2023_score" in metrics else HEADLINE,
        chance=chance["war"],
        majority=majority["war"],
        class_counts={label: int(count) for label, count in zip(table.labels, counts, strict=True)},
        per_class=_per_class(table, found, counts),
        confusion=_confusion(table),
        reliability=reliability_bins(table, probable),
        risk_coverage=risk_curve(table, probable),
        slices=tuple(slices),
        settings={"uar_over": settings.uar_classes, "labels": list(table.labels)}
        | null_settings(table, probable, settings),
        notes=tuple(notes),
    )


def _confusion(table: Table) -> Confusion:
    k = len(table.labels)
    cells = np.bincount(table.truth * (k + 2) + table.predicted, minlength=k * (k + 2)).reshape(k, k + 2)
    return Confusion(
        labels=table.labels,
        matrix=tuple(tuple(int(x) for x in row[:k]) for row in cells),
        invalid=tuple(int(x) for x in cells[:, k]),
        missing=tuple(int(x) for x in cells[:, k + 1]),
    )


def _per_class(table: Table, found: dict[str, Metric], counts: NDArray[np.int64]) -> dict[str, ClassScores]:
    said = np.bincount(table.predicted, minlength=len(table.labels) + 2)
    return {
        label: ClassScores(
            support=int(counts[number]),
            predicted=int(said[number]),
            precision=found[f"precision:{number}"],
            recall=found[f"recall:{number}"],
            f1=found[f"f1:{number}"],
        )
        for number, label in enumerate(table.labels)
    }


def _behaviour(predictions: Sequence[Prediction | None]) -> list[Statistic]:
    """Refusals, and how much the answer depends on the order of the labels where the system says so."""
    n = len(predictions)
    refused = np.array([p is not None and p.emotion is None and _refuses(p) for p in predictions], np.float32)
    orders = [p.order_sensitivity if p is not None else None for p in predictions]
    found = [mean_statistic("refusal_rate", refused, np.ones(n, np.float32))]
    if any(value is not None for value in orders):
        given = np.array([value is not None for value in orders], np.float32)
        values = np.array([value or 0.0 for value in orders], np.float32)
        found.append(mean_statistic("order_sensitivity", values, given))
    return found


def _refuses(prediction: Prediction) -> bool:
    texts = [prediction.said or "", prediction.reasoning or "", *prediction.raw.values()]
    return any(_REFUSAL.search(text) for text in texts)


def _valence(items: Sequence[Item], predictions: Sequence[Prediction | None], table: Table) -> Statistic:
    missing = next((item.clip.clip for item in items if item.clip.valence is None), None)
    if missing is not None:
        raise ManifestError(f"clip {missing!r}: expected a valence to score against, found none in the data")
    truth = np.array([item.clip.valence for item in items], np.float64)
    said = np.array([np.nan if p is None or p.valence is None else p.valence for p in predictions], np.float64)
    return mer2023_statistic(table.truth, table.predicted, len(table.labels), truth, said)


def _resampling_note(speakers: NDArray[np.int64] | None, settings: ScoreSettings) -> list[str]:
    how = f"Intervals ({settings.draws} draws, seed {settings.seed})"
    if speakers is None:
        return [f"{how}: clips drawn with replacement (all by one speaker, each by another, or speakers not known)."]
    people = len(set(speakers.tolist()))
    few = "; with so few people they say little about others" if people < 10 else ""
    return [f"{how}: {people} speakers drawn with replacement, then their clips{few}."]

"""Calibration of one label a clip, before and after a temperature that was fitted on another side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.evaluate.records import Bin
from emotion_llama.evaluate.scorers.label_table import Table, tabulate
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.confidence import confidence_statistic, null_ece, reliability
from emotion_llama.metrics.ranking import rank_statistic, risk_coverage
from emotion_llama.metrics.statistic import RankStatistic, Statistic
from emotion_llama.metrics.temperature import apply_temperature, fit_temperature


def score_confidence(table: Table, settings: ScoreSettings) -> tuple[list[Statistic], list[RankStatistic], list[str]]:
    """Give statistics, rank statistics and notes on calibration, over the clips that have probabilities.

    Before and, where a validation side is given, after a temperature that was fitted there.
    """
    places = table.stated
    if not len(places):
        return [], [], ["No probabilities were given: calibration is not scored."]
    notes = []
    if len(places) < len(table.truth):
        notes.append(f"Calibration is over the {len(places)} of {len(table.truth)} clips that have probabilities.")
    n, probabilities, truth = len(table.truth), table.probabilities[places], table.truth[places]
    found = [_embedded(confidence_statistic(probabilities, truth), places, n)]
    best = probabilities.argmax(axis=1)
    confidence = probabilities.max(axis=1)
    rank = [_embedded_rank(rank_statistic(confidence, best == truth), places, n)]
    temperature = _temperature(table.labels, settings)
    if temperature is None:
        notes.append(
            "No validation side was given, so no temperature was fitted: fitting one on the scored side would flatter."
        )
    else:
        scaled = apply_temperature(probabilities, temperature)
        found.append(_embedded(confidence_statistic(scaled, truth, prefix="scaled_"), places, n))
        notes.append(f"scaled_…: after temperature {temperature:.3f}, fitted on the validation side only.")
    return found, rank, notes


def _temperature(labels: Sequence[str], settings: ScoreSettings) -> float | None:
    if settings.validation is None:
        return None
    table = tabulate(*settings.validation, labels)
    if not len(table.stated):
        raise UsageError("the validation predictions carry no probabilities; no temperature can be fitted on them")
    return fit_temperature(table.probabilities[table.stated], table.truth[table.stated])


def _embedded(statistic: Statistic, places: NDArray[np.int64], n: int) -> Statistic:
    """Widen a statistic over some clips to all of them; the others add nothing."""
    if len(places) == n:
        return statistic
    cells = np.full(n, -1, np.int64)
    cells[places] = statistic.cells
    columns = np.zeros((n, statistic.columns.shape[1]), np.float32)
    columns[places] = statistic.columns
    return replace(statistic, cells=cells, columns=columns)


def _embedded_rank(statistic: RankStatistic, places: NDArray[np.int64], n: int) -> RankStatistic:
    return RankStatistic(n, lambda weights: statistic.finish(weights[places]))


def reliability_bins(table: Table, places: NDArray[np.int64]) -> tuple[Bin, ...]:
    """Give the bars of the reliability diagram; none without probabilities."""
    if not len(places):
        return ()
    rows = reliability(table.probabilities[places], table.truth[places])
    return tuple(Bin(low=a, high=b, n=n, confidence=c, accuracy=r) for a, b, n, c, r in rows)


def risk_curve(table: Table, places: NDArray[np.int64]) -> tuple[tuple[float, float], ...]:
    """Give (coverage, risk) points; none without probabilities."""
    if not len(places):
        return ()
    probabilities = table.probabilities[places]
    right = probabilities.argmax(axis=1) == table.truth[places]
    return tuple(risk_coverage(probabilities.max(axis=1), right))


def null_settings(table: Table, places: NDArray[np.int64], settings: ScoreSettings) -> dict[str, object]:
    """What ECE a perfectly calibrated system with these confidences would show: the floor that small samples have."""
    if not len(places):
        return {}
    middle, low, high = null_ece(table.probabilities[places], seed=settings.seed)
    return {"null_ece": {"value": middle, "low": low, "high": high}}

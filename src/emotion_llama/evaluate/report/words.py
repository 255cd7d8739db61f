"""How reports write numbers, and what they call the scores: the same in the page, the comparison and the terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, TypeGuard

from emotion_llama.metrics.statistic import Metric

AFTER_TEMPERATURE = ("calibrated_", "scaled_")
"""What the name of a score after temperature scaling starts with."""

METRIC_NAMES: MappingProxyType[str, str] = MappingProxyType(
    {
        "war": "WAR (accuracy)",
        "uar": "UAR (mean recall)",
        "weighted_f1": "Weighted F1",
        "macro_f1": "Macro F1",
        "war_answered": "Accuracy of valid answers",
        "mer2023_score": "MER2023 score",
        "mse": "Squared error of valence",
        "valence_mse": "Squared error of valence",
        "set_accuracy": "Set accuracy (precision)",
        "set_recall": "Set recall",
        "set_avg": "Mean of set accuracy and recall",
        "ew_f1_level1": "Wheel F1, level 1",
        "ew_f1_level2": "Wheel F1, level 2",
        "micro_f1": "Micro F1",
        "ece": "ECE (15 equal-width bins)",
        "ece_mass": "ECE (equal-mass bins)",
        "ece_class": "ECE (class by class)",
        "ece_vec": "ECE as VECBench codes it",
        "null_ece": "ECE that chance alone gives",
        "brier": "Brier score",
        "nll": "Negative log-likelihood",
        "auroc": "AUROC of right against wrong",
        "mean_confidence": "Mean confidence",
        "accuracy_top": "Accuracy of the likeliest label",
        "e_aurc": "Area under risk–coverage above the best possible",
        "aurc": "Area under risk–coverage",
        "invalid_rate": "Invalid answers",
        "missing_rate": "Missing answers",
        "refusal_rate": "Refusals",
        "order_sensitivity": "Label-order sensitivity",
        "clue_overlap": "Clue overlap by a judge (1–10)",
        "label_overlap": "Label overlap by a judge (1–10)",
        "clue_alpha": "Agreement of judges on clues (alpha)",
        "label_alpha": "Agreement of judges on labels (alpha)",
        "judge_score": "Free answers by a judge (0–1)",
        "judge_invalid_rate": "Clips a judge could not rate",
        "clue_overlap_proxy": "Clue overlap (a proxy)",
        "label_overlap_proxy": "Label overlap (a proxy)",
    }
)
"""Scores in words; a score that is not listed is called by its own name."""

PROBLEM_NAMES: MappingProxyType[str, str] = MappingProxyType(
    {
        "unknown-clip": "Answers about clips that were not asked",
        "missing-clip": "Clips without an answer",
        "duplicate": "Clips answered more than once",
        "unknown-label": "Labels outside the set",
        "no-label": "Answers without a label",
        "bad-probabilities": "Probabilities that are none",
        "unreadable": "Lines that cannot be read",
        "failed-clip": "Clips that failed",
        "judge": "Judge answers that cannot be used",
        "name-match": "Clips matched by file name only",
    }
)
"""Kinds of `Problem` in words."""

_CALIBRATION = {"ece", "brier", "nll", "auroc", "aurc", "confidence", "temperature", "argmax"}
_ERRORS = {"ece", "brier", "nll", "aurc", "mse", "sensitivity"}


def metric_name(key: str) -> str:
    """A score in words; `scaled_ece` is the ECE after temperature, `FESD: war` the WAR of the part FESD.

    What stands in brackets stays: "clue_overlap (tiny)" is that of the judge tiny.
    """
    key, of = _of_whom(key)
    if of:
        return f"{metric_name(key)} ({of})"
    part, colon, name = key.rpartition(": ")
    if colon:
        return f"{part}: {metric_name(name)}"
    for prefix in AFTER_TEMPERATURE:
        if key.startswith(prefix):
            return f"{metric_name(key.removeprefix(prefix))}, after temperature"
    return METRIC_NAMES.get(key, key.replace("_", " "))


def lower_is_better(key: str) -> bool:
    """Whether less is better: of errors, of sensitivities, and of every rate but the hit rate."""
    key, _ = _of_whom(key)
    return bool(_ERRORS & set(key.split("_"))) or (key.endswith("_rate") and not key.endswith("hit_rate"))


def metric_group(key: str) -> str:
    """The table a score stands in: "recognition", "calibration" or "behaviour"."""
    key, _ = _of_whom(key)
    if _CALIBRATION & set(key.split("_")) or key == "accuracy_top":
        return "calibration"
    rate = key.endswith("_rate") and not key.endswith("hit_rate")
    return "behaviour" if rate or "sensitivity" in key or "coverage" in key else "recognition"


def _of_whom(key: str) -> tuple[str, str]:
    """Split "clue_overlap (tiny)" into the score and whose it is; "" for all of them."""
    name, bracket, rest = key.partition(" (")
    return (name, rest[:-1]) if bracket and rest.endswith(")") else (key, "")


def three(value: float | None) -> str:
    """A number with three decimals; a dash for one that is not defined."""
    return "–" if value is None else f"{value:.3f}"


def interval(metric: Metric) -> str:
    """The interval in brackets, or that there is none."""
    return "no interval" if metric.low is None or metric.high is None else f"[{metric.low:.3f}, {metric.high:.3f}]"


def with_interval(metric: Metric) -> str:
    """Value and interval as one text."""
    return f"{three(metric.value)} {interval(metric)}" if metric.value is not None else "not defined"


def p_value(p: float | None) -> str:
    """A p value; never a bare zero."""
    return "–" if p is None else "< 0.001" if p < 0.001 else f"{p:.3f}"


@dataclass(frozen=True)
class Table:
    """Rows of cells as text; `left_out` rows are not shown."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    left_out: int = 0


@dataclass(frozen=True)
class Facts:
    """Names with a text, a table or further facts."""

    rows: list[tuple[str, str | Table | Facts]] = field(default_factory=list)


def facts(record: Mapping[str, Any], most: int = 20) -> Facts:
    """Any record of a report as names and values: scores with interval, lists of records as tables of `most` rows."""
    return Facts([(_words(name), _told(value, most)) for name, value in record.items()])


def _told(value: Any, most: int) -> str | Table | Facts:
    if isinstance(value, Mapping) and not is_metric(value) and value:
        if all(is_metric(entry) for entry in value.values()):
            rows = tuple((_words(name), *_metric_cells(entry)) for name, entry in value.items())
            return Table(("", "value", "95 % interval", "n"), rows)
        return facts(value, most)
    if isinstance(value, (list, tuple)) and value and all(isinstance(row, Mapping) for row in value):
        columns = tuple(dict.fromkeys(name for row in value for name in row))
        rows = tuple(tuple(cell(row.get(name)) for name in columns) for row in value[:most])
        return Table(tuple(_words(name) for name in columns), rows, len(value) - len(rows))
    return cell(value)


def cell(value: Any) -> str:
    """One value as short text: floats with three decimals, lists joined, nothing as a dash."""
    if is_metric(value):
        text, bounds, n = _metric_cells(value)
        return f"{text} {bounds}" + (f", n {n}" if n != "–" else "")
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {cell(entry)}" for name, entry in value.items()) or "none"
    if isinstance(value, (list, tuple)):
        return ", ".join(cell(entry) for entry in value) or "none"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:g}" if value == int(value) or abs(value) < 0.001 else three(value)
    return "–" if value is None or value == "" else str(value)


def is_metric(value: Any) -> TypeGuard[Mapping[str, Any]]:
    """Whether a value read from a report is a score with its interval."""
    return isinstance(value, Mapping) and {"value", "low", "high"} <= set(value)


def _metric_cells(value: Mapping[str, Any]) -> Sequence[str]:
    metric = Metric(value=value["value"], low=value["low"], high=value["high"], n=value.get("n"))
    return three(metric.value), interval(metric), cell(metric.n)


def _words(name: object) -> str:
    return str(name).replace("_", " ")

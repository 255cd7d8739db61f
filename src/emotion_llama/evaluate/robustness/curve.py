"""From answers at several levels of damage to a curve, the area under it, and the difference to clean.

The **area** is relative to clean: with r(x) = score at level x / clean score, the trapezoid integral of r over the
levels' axis (dB, octaves of the bit rate, px, stops, shares), divided by the length of the axis. 1 means that the
damage costs nothing. The undamaged level, where the axis has one, is its first point. Levels without an order, and a
single level, have no area.

Every score of a condition comes from the same clips and the same bootstrap draws, so differences are paired.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Record
from emotion_llama.evaluate.records import FORMAT_VERSION, Prediction, Problem, Scored
from emotion_llama.evaluate.robustness.conditions import Condition, Level, level_name
from emotion_llama.evaluate.scorers.label_table import mean_statistic, tabulate
from emotion_llama.evaluate.suite import Part, ScoreSettings
from emotion_llama.metrics.classes import GUESSED, class_scores
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.metrics.statistic import Metric, Scores, Statistic

Predictions = Sequence[Prediction | None]
ScorePart = Callable[[Part, Predictions], Scored]
"""Scores one part: its items and their predictions in the same order. The first headline score is the curve's."""

FLOATS = NDArray[np.float64]


class LevelScore(Record):
    """The score at one level; `position` is its place on the condition's axis, `None` without one."""

    level: str
    position: float | None
    value: Metric


class ConditionScore(Record):
    """One condition on one part. `not_applicable` says why there is nothing else.

    `n` clips could be damaged at every level; `clean` is the score of the undamaged answers about the same clips.
    `worst` is the severest level, or the lowest-scoring one where levels have no order (then `difference`, worst level
    minus clean, was chosen by looking: its interval is too kind). `changed`: share of clips whose answer at the worst
    level is not the clean one; for label order and phrasing, whose answers are not the same at all levels.
    """

    condition: str
    title: str
    part: str
    unit: str
    metric: str
    n: int = 0
    clean: Metric | None = None
    levels: tuple[LevelScore, ...] = ()
    area: Metric | None = None
    worst: str | None = None
    difference: Metric | None = None
    changed: Metric | None = None
    lowest: float | None = None
    highest: float | None = None
    left_out: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    not_applicable: str | None = None


class RobustnessReport(Record):
    """All conditions of all parts. Damage follows from `seed` and the clips' names alone."""

    format_version: str = FORMAT_VERSION
    seed: int
    conditions: tuple[ConditionScore, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Sweep:
    """Answers about the same clips: `clean`, then one list a level. `metric` is the score of the curve."""

    condition: Condition
    levels: tuple[Level, ...]
    clean: Predictions
    answers: tuple[Predictions, ...]
    metric: str


def score_sweep(part: Part, sweep: Sweep, score: ScorePart, settings: ScoreSettings) -> ConditionScore:
    """Score one condition on the part's items, which are the clips that every list of the sweep answers.

    Scores of one label a clip (WAR, UAR, weighted and macro F1) come with intervals throughout; any other comes from
    `score`, level by level, and its area and difference are plain numbers.
    """
    if part.labels and sweep.metric in GUESSED:
        found = _label_metrics(part, sweep, settings)
    else:
        found = _other_metrics(part, sweep, score)
    found["changed"] = _changed(part, sweep, _worst(sweep, found), settings)
    return _record(part, sweep, found)


def _label_metrics(part: Part, sweep: Sweep, settings: ScoreSettings) -> dict[str, Metric]:
    k = len(part.labels)
    tables = [tabulate(part.items, answers, part.labels) for answers in (sweep.clean, *sweep.answers)]
    size = k * (k + 2)
    columns = np.zeros((len(part.items), size * len(tables)), np.float32)
    for number, table in enumerate(tables):
        columns[np.arange(len(columns)), number * size + table.truth * (k + 2) + table.predicted] = 1
    absent = k - len(np.unique(tables[0].truth)) if settings.uar_classes == "configured" else 0

    def curve(sums: FLOATS) -> list[FLOATS]:
        blocks = np.split(sums, len(tables), axis=1)
        return [class_scores(block, k, absent)[sweep.metric] for block in blocks]

    # which level is worst is decided once, on the clips as they are
    whole = curve(columns.sum(axis=0, dtype=np.float64)[None])
    worst = _worst_of(sweep, [float(value[0]) for value in whole[1:]])

    def finish(_counts: FLOATS, sums: FLOATS) -> Scores:
        scores = _curve_scores(sweep, curve(sums))
        return scores | {"difference": scores[f"level:{worst}"] - scores["clean"]}

    statistic = Statistic(np.full(len(columns), -1, np.int64), 0, columns, finish)
    speakers = speaker_codes([item.clip.speaker for item in part.items])
    return intervals([statistic], [], n=len(columns), groups=speakers, draws=settings.draws, seed=settings.seed)


def _curve_scores(sweep: Sweep, values: Sequence[FLOATS]) -> Scores:
    """Name the scores of (clean, level 0, level 1, …), each (D,), and add the area where there is one."""
    scores = {"clean": values[0]} | {f"level:{number}": one for number, one in enumerate(values[1:])}
    area = relative_area(sweep.condition, sweep.levels, values[0], np.stack(values[1:]))
    return scores if area is None else scores | {"area": area}


def relative_area(condition: Condition, levels: Sequence[Level], clean: FLOATS, values: FLOATS) -> FLOATS | None:
    """Area under the curve relative to clean (see the module), one a draw: `clean` (D,), `values` (levels, D) → (D,).

    `None` where the levels have no axis or there is only one point. NaN where the clean score is 0 or not defined.
    """
    positions = condition.positions(levels)
    if positions is None:
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.where(clean > 0, values / clean, np.nan)
    if condition.undamaged is not None:
        positions = [condition.undamaged, *positions]
        relative = np.concatenate([np.where(clean > 0, 1.0, np.nan)[None], relative])
    if len(positions) < 2:
        return None
    x = np.asarray(positions)
    return np.asarray(np.trapezoid(relative, x, axis=0) / (x[-1] - x[0]))


def _other_metrics(part: Part, sweep: Sweep, score: ScorePart) -> dict[str, Metric]:
    found = {"clean": score(part, sweep.clean).metrics[sweep.metric]}
    for number, answers in enumerate(sweep.answers):
        found[f"level:{number}"] = score(part, answers).metrics[sweep.metric]
    values = [np.array([np.nan if metric.value is None else metric.value]) for metric in found.values()]
    scores = _curve_scores(sweep, values)
    worst = _worst(sweep, found)
    scores["difference"] = scores[f"level:{worst}"] - scores["clean"]
    for name in ("area", "difference"):
        if name in scores:
            value = float(scores[name][0])
            found[name] = Metric(value=None if np.isnan(value) else value, low=None, high=None, n=len(part.items))
    return found


def _worst(sweep: Sweep, found: dict[str, Metric]) -> int:
    values = [found[f"level:{number}"].value for number in range(len(sweep.levels))]
    return _worst_of(sweep, [np.nan if value is None else value for value in values])


def _worst_of(sweep: Sweep, values: Sequence[float]) -> int:
    """The severest level, or the lowest score where levels have no order."""
    if sweep.condition.axis is not None or np.isnan(values).all():
        return len(values) - 1
    return int(np.nanargmin(values))


def _changed(part: Part, sweep: Sweep, worst: int, settings: ScoreSettings) -> Metric:
    """Share of clips whose answer is another one; an answer that is missing counts as an answer of its own."""
    every = sweep.condition.name in ("label-order", "phrasing")
    lists = sweep.answers if every else (sweep.clean, sweep.answers[worst])
    differs = np.array([len({_said(p) for p in row}) > 1 for row in zip(*lists, strict=True)], np.float32)
    statistic = mean_statistic("changed", differs, np.ones(len(differs), np.float32))
    speakers = speaker_codes([item.clip.speaker for item in part.items])
    return intervals([statistic], [], n=len(differs), groups=speakers, draws=settings.draws, seed=settings.seed)[
        "changed"
    ]


def _said(prediction: Prediction | None) -> tuple[str, ...] | None:
    if prediction is None:
        return None
    return (prediction.emotion or "", *sorted(prediction.labels or ()))


def _record(part: Part, sweep: Sweep, found: dict[str, Metric]) -> ConditionScore:
    condition = sweep.condition
    positions: Sequence[float | None] = condition.positions(sweep.levels) or [None for _ in sweep.levels]
    metrics = [found[f"level:{number}"] for number in range(len(sweep.levels))]
    values = [metric.value for metric in metrics if metric.value is not None]
    return ConditionScore(
        condition=condition.name,
        title=condition.title,
        part=part.name,
        unit=condition.unit,
        metric=sweep.metric,
        n=len(part.items),
        clean=found["clean"],
        levels=tuple(
            LevelScore(level=level_name(level), position=position, value=metric)
            for level, position, metric in zip(sweep.levels, positions, metrics, strict=True)
        ),
        area=found.get("area"),
        worst=level_name(sweep.levels[_worst(sweep, found)]),
        difference=found["difference"],
        changed=found["changed"],
        lowest=min(values, default=None),
        highest=max(values, default=None),
    )

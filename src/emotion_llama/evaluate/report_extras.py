"""The parts of a report that not every run has: damage, faithfulness of the reasons, leaks; laid out for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotion_llama.evaluate.records import Report
from emotion_llama.evaluate.report_words import Facts, Table, cell, facts, metric_name, with_interval
from emotion_llama.evaluate.robustness_curve import ConditionScore, RobustnessReport
from emotion_llama.metrics.statistic import Metric

SHOWN_EXAMPLES = 10


@dataclass(frozen=True)
class Extra:
    """One section: `say` explains it in a sentence, `figures` starts the names of its pictures."""

    title: str
    say: str
    facts: Facts
    figures: str = ""


def extra_sections(report: Report) -> list[Extra]:
    """Give the sections that this report has, in order. Records of an unknown form are shown key by key."""
    plain = report.model_dump(mode="json", include={"faithfulness", "leaks"})
    found = []
    robustness = robustness_of(report)
    if robustness is not None:
        say = "Dashed: the score on the same clips undamaged. Area 1 means that the damage costs nothing."
        found.append(Extra("Under damage", say, _robustness(robustness), "robustness-"))
    elif report.robustness:
        found.append(Extra("Under damage", "", facts(report.model_dump(mode="json")["robustness"])))
    if plain["faithfulness"]:
        say = (
            "Signs that the reasons name, compared with what was measured in the same clip. Shuffled: the same reasons "
            "against the measurements of another clip."
        )
        found.append(Extra("Do the reasons fit the measurements?", say, _faithfulness(plain["faithfulness"])))
    if plain["leaks"]:
        say = "What this data has in common with the training data."
        found.append(Extra("Leaks from training data", say, facts(plain["leaks"])))
    return found


def robustness_of(report: Report) -> RobustnessReport | None:
    """The robustness part as its record; `None` if there is none or it has another form."""
    return RobustnessReport.model_validate(report.robustness) if "conditions" in report.robustness else None


def _robustness(robustness: RobustnessReport) -> Facts:
    scored = [condition for condition in robustness.conditions if condition.levels]
    not_scored = [condition for condition in robustness.conditions if not condition.levels]
    rows: list[tuple[str, str | Table | Facts]] = []
    if scored:
        columns = ("damage", "part", "n", "clean", "worst", "worst − clean", "area", "answers changed")
        scores = ", ".join(dict.fromkeys(metric_name(condition.metric) for condition in scored))
        rows.append((scores, Table(columns, tuple(_summary(condition) for condition in scored))))
        levels = [
            (condition.title, condition.part, f"{score.level} {condition.unit}".strip(), with_interval(score.value))
            for condition in scored
            for score in condition.levels
        ]
        rows.append(("every level", Table(("damage", "part", "level", "score"), tuple(levels))))
    if not_scored:
        cells = tuple((c.title, c.part, c.not_applicable or "no level was scored") for c in not_scored)
        rows.append(("not applicable", Table(("damage", "part", "reason"), cells)))
    left_out = [
        (condition.title, problem.clip or "–", problem.message)
        for condition in robustness.conditions
        for problem in condition.left_out
    ]
    if left_out:
        shown = tuple(left_out[:SHOWN_EXAMPLES])
        rows.append(("left out", Table(("damage", "clip", "reason"), shown, len(left_out) - len(shown))))
    notes = [*robustness.notes, *(note for condition in scored for note in condition.notes)]
    rows += [("note", note) for note in dict.fromkeys(notes)]
    return Facts([*rows, ("seed", str(robustness.seed))])


def _summary(condition: ConditionScore) -> tuple[str, ...]:
    shown = [_optional(m) for m in (condition.difference, condition.area, condition.changed)]
    return (
        condition.title,
        condition.part,
        str(condition.n),
        _optional(condition.clean),
        condition.worst or "–",
        *shown,
    )


def _optional(metric: Metric | None) -> str:
    return "–" if metric is None else with_interval(metric)


def _faithfulness(found: Mapping[str, Any]) -> Facts:
    """Shares and the commonest contradictions as they are; of the clips some examples, claim by claim."""
    clips = found.get("clips")
    if not isinstance(clips, Sequence):
        return facts(found)
    rest = facts({key: value for key, value in found.items() if key != "clips"})
    examples = [(row, claim) for row in clips[:SHOWN_EXAMPLES] for claim in row.get("claims", ())]
    rows = tuple(
        (
            cell(row.get("clip")),
            cell(claim.get("text")),
            cell(claim.get("verdict")),
            _measured(claim),
            cell(claim.get("reason")),
        )
        for row, claim in examples
    )
    if rows:
        columns = ("clip", "the reason says", "verdict", "measured", "why")
        rest.rows.insert(
            len(rest.rows), (f"first {min(len(clips), SHOWN_EXAMPLES)} of {len(clips)} clips", Table(columns, rows))
        )
    return rest


def _measured(claim: Mapping[str, Any]) -> str:
    words = [cell(claim[key]) for key in ("measured", "value", "unit") if claim.get(key) is not None]
    return " ".join(words) or "–"

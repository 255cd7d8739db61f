"""The parts of a report that not every run has: damage, faithfulness of the reasons, leaks; laid out for the page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from emotion_llama.evaluate.records import Report
from emotion_llama.evaluate.report.words import Facts, Table, cell, facts, metric_name, with_interval
from emotion_llama.evaluate.robustness.curve import ConditionScore, RobustnessReport
from emotion_llama.metrics.statistic import Metric

SHOWN_EXAMPLES = 6
SHOWN_SPEAKERS = 20
VERDICTS = ("supported", "contradicted", "unverifiable")
_FAITHFULNESS = {
    "supported_above_shuffled": "supported of those checked, above the control",
    "claims_per_answer": "signs that an answer names",
    "checkable_per_answer": "of these, signs that could be checked",
    "channels_per_answer": "channels (face, voice, words) these are about",
    "without_claims": "answers that name no sign",
    "names_the_label": "answers that conclude the label given",
}
_TEXTS = {
    "supported_of_checked": "supported of those checked",
    "shuffled_supported_of_checked": "control: another clip's",
    "checkable_per_answer": "checkable signs",
    "channels_per_answer": "channels",
    "names_the_label": "concludes the label given",
}


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
            "Signs that the reasons name, compared with what was measured in the same clip. The control compares them "
            "with another clip: what it reaches, any reasons would."
        )
        found.append(Extra("Do the reasons fit the measurements?", say, _faithfulness(plain["faithfulness"])))
    if plain["leaks"]:
        say = "What this data has in common with the training data: a score on clips that were trained on says little."
        found.append(Extra("Leaks from training data", say, _leaks(plain["leaks"])))
    return found


def robustness_of(report: Report) -> RobustnessReport | None:
    """The robustness part as its record; `None` if there is none or it has another form."""
    return RobustnessReport.model_validate(report.robustness) if "conditions" in report.robustness else None


def _robustness(robustness: RobustnessReport) -> Facts:
    scored = [condition for condition in robustness.conditions if condition.levels]
    not_scored = [condition for condition in robustness.conditions if not condition.levels]
    parts = len({condition.part for condition in robustness.conditions}) > 1
    rows: list[tuple[str, str | Table | Facts]] = []
    if scored:
        columns = ("damage", "n", "clean", "worst", "worst − clean", "area", "answers changed")
        scores = ", ".join(dict.fromkeys(metric_name(condition.metric) for condition in scored))
        rows.append((scores, Table(columns, tuple(_summary(condition, parts) for condition in scored))))
        levels = [
            (_title(condition, parts), _level(condition, score.level), with_interval(score.value))
            for condition in scored
            for score in condition.levels
        ]
        rows.append(("every level", Table(("damage", "level", "score"), tuple(levels))))
    if not_scored:
        cells = tuple((_title(c, parts), c.not_applicable or "no level was scored") for c in not_scored)
        rows.append(("not applicable", Table(("damage", "reason"), cells)))
    left_out = [
        (_title(condition, parts), problem.clip or "–", problem.message)
        for condition in robustness.conditions
        for problem in condition.left_out
    ]
    if left_out:
        shown = tuple(left_out[:SHOWN_EXAMPLES])
        rows.append(("left out", Table(("damage", "clip", "reason"), shown, len(left_out) - len(shown))))
    notes = [*robustness.notes, *(note for condition in scored for note in condition.notes)]
    rows += [("note", note) for note in dict.fromkeys(notes)]
    return Facts([*rows, ("seed", str(robustness.seed))])


def _title(condition: ConditionScore, parts: bool) -> str:
    return f"{condition.title} ({condition.part})" if parts else condition.title


def _level(condition: ConditionScore, level: str | None) -> str:
    return "–" if level is None else f"{level} {condition.unit}".strip()


def _summary(condition: ConditionScore, parts: bool) -> tuple[str, ...]:
    shown = [_optional(m) for m in (condition.difference, condition.area, condition.changed)]
    return (
        _title(condition, parts),
        str(condition.n),
        _optional(condition.clean),
        _level(condition, condition.worst),
        *shown,
    )


def _optional(metric: Metric | None) -> str:
    return "–" if metric is None else with_interval(metric)


def _faithfulness(found: Mapping[str, Any]) -> Facts:
    """The shares side by side, then examples of each verdict; a record of another form key by key."""
    metrics = found.get("metrics", {})
    rows: list[tuple[str, str | Table | Facts]] = []
    if "n_checked" in found:
        rows.append(("answers", f"{found['n_checked']} of {found.get('n_answers')} have measurements beside reasons"))
    if all(verdict in metrics for verdict in VERDICTS):
        rows.append(("share of the signs", _shares(metrics)))
        rows += [(words, cell(metrics[name])) for name, words in _FAITHFULNESS.items() if name in metrics]
    else:
        rows += facts({"metrics": metrics}).rows
    if found.get("distinct_2") is not None:
        rows.append(("different pairs of words (distinct-2)", f"{found['distinct_2']:.3f}"))
    if found.get("texts"):
        rows.append(("the model's own texts, and texts composed of the clues", _texts(found["texts"])))
    if found.get("frequent_contradicted"):
        wrong = tuple(
            (row["text"], row["channel"], f"{row['n']} of {row['of']}") for row in found["frequent_contradicted"]
        )
        rows.append(("most often contradicted", Table(("the reasons say", "channel", "contradicted"), wrong)))
    rows += _examples(found.get("clips", ()))
    rows += [("note", note) for note in found.get("notes", ())]
    known = {"metrics", "clips", "notes", "frequent_contradicted", "n_answers", "n_checked", "n_without_measurements"}
    known |= {"texts", "distinct_2"}
    return Facts([*rows, *facts({key: value for key, value in found.items() if key not in known}).rows])


def _shares(metrics: Mapping[str, Any]) -> Table:
    """A row a channel, and one for the control; channels that no reason names are left out."""
    kinds = {"all signs": ("", ""), "control: another clip's measurements": ("shuffled_", "")}
    kinds |= {name: ("", f":{name}") for name in ("face", "voice", "words", "scene")}
    rows = []
    for title, (before, after) in kinds.items():
        row = [metrics.get(f"{before}{name}{after}") for name in (*VERDICTS, "supported_of_checked")]
        if any(one is not None and one["value"] is not None for one in row):
            rows.append((title, *(_share(one) for one in row)))
    return Table(("", *VERDICTS, "supported of those checked"), tuple(rows))


def _texts(found: Mapping[str, Any]) -> Table:
    """A row a kind of text."""
    rows = [
        (
            kind,
            str(one["n"]),
            *(_share(one["metrics"].get(name)) for name in _TEXTS),
            "–" if one["distinct_2"] is None else f"{one['distinct_2']:.3f}",
        )
        for kind, one in found.items()
    ]
    return Table(("text", "n", *_TEXTS.values(), "distinct-2"), tuple(rows))


def _share(metric: Mapping[str, Any] | None) -> str:
    return "–" if metric is None or metric["value"] is None else with_interval(Metric.model_validate(metric))


def _examples(clips: Sequence[Mapping[str, Any]]) -> list[tuple[str, str | Table | Facts]]:
    """Some claims of each verdict with the measurement that decided; those that are wrong first."""
    claims = [(row.get("clip"), claim) for row in clips for claim in row.get("claims", ())]
    found: list[tuple[str, str | Table | Facts]] = []
    for verdict in ("contradicted", "unverifiable", "supported"):
        rows = [
            (cell(clip), cell(claim.get("text")), cell(claim.get("reason")))
            for clip, claim in claims
            if claim.get("verdict") == verdict
        ]
        if rows:
            shown = tuple(rows[:SHOWN_EXAMPLES])
            found.append(
                (f"{verdict}: examples", Table(("clip", "the reason says", "because"), shown, len(rows) - len(shown)))
            )
    return found


def _leaks(found: Mapping[str, Any]) -> Facts:
    """Counts in a sentence, then what is shared; a record of another form key by key."""
    if "counts" not in found:
        return facts(found)
    n_test, n_train, counts = found["n_test"], found["n_train"], found["counts"]
    kinds = ", ".join(f"{kind} {count}" for kind, count in counts.items() if kind != "any" and count)
    shared = f"{counts['any']} of {n_test}" + (f" ({kinds})" if kinds else "")
    rows: list[tuple[str, str | Table | Facts]] = [("clips that are in the training data too", shared)]
    if found["speakers"]:
        speakers = tuple((row["speaker"], cell(row["n_test"]), cell(row["n_train"])) for row in found["speakers"])
        table = Table(
            ("speaker", "clips here", "clips in training"), speakers[:SHOWN_SPEAKERS], len(speakers[SHOWN_SPEAKERS:])
        )
        rows.append((f"speakers on both sides: {len(speakers)}", table))
    else:
        rows.append(("speakers on both sides", "none"))
    for key, title in (("findings", "what was found"), ("unreadable", "could not be compared")):
        if found[key]:
            rows += facts({title: found[key]}).rows
    for kind in ("sound", "picture"):
        pair = found[f"compared_{kind}"]
        told = (
            "not looked at" if pair is None else f"{pair[0]} of {n_test} clips here, {pair[1]} of {n_train} in training"
        )
        rows.append((f"{kind} compared", told))
    return Facts(rows)

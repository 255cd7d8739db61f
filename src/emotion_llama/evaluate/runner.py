"""The one runner of all suites: items and predictions in, a report out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from emotion_llama.errors import UsageError
from emotion_llama.evaluate.matching import index, match, unknown_clips
from emotion_llama.evaluate.predictions import Answers, read_predictions
from emotion_llama.evaluate.provenance import provenance
from emotion_llama.evaluate.records import Item, Prediction, Problem, Report, Scored
from emotion_llama.evaluate.scorers.faithfulness import faithfulness
from emotion_llama.evaluate.suite import Choice, Part, ScoreSettings, Suite
from emotion_llama.metrics.statistic import Metric


@dataclass(frozen=True)
class Run:
    """What one report is made of."""

    suite: Suite
    choice: Choice
    data: Path
    parts: tuple[Part, ...]
    predictions: Path
    settings: ScoreSettings
    system: str
    train: Path | None = None
    asked: Mapping[str, Any] = field(default_factory=dict)


Answered = list[tuple[Part, list[Prediction | None]]]


def read_parts(suite: Suite, data: Path, choice: Choice, limit: int | None = None) -> tuple[Part, ...]:
    """Read a suite's items. `limit` keeps that many of each part, spread evenly, for a trial run.

    Raises `UsageError` for a side or variant that the suite does not have, `ManifestError` for data that do not fit.
    """
    if choice.side not in suite.sides:
        raise UsageError(f"suite {suite.name} has no side {choice.side!r}; it has {', '.join(suite.sides)}")
    if choice.variant not in suite.variants:
        known = ", ".join(v or "(none)" for v in suite.variants)
        raise UsageError(f"suite {suite.name} has no variant {choice.variant!r}; it has {known}")
    if not data.exists():
        raise UsageError(f"{data}: no such file or folder; suite {suite.name} needs {suite.needs}")
    parts = tuple(part for part in suite.read(data, choice) if part.items)
    if not parts:
        raise UsageError(
            f"{data}: nothing to score for suite {suite.name} on side {choice.side!r}; it needs {suite.needs}"
        )
    return tuple(replace(part, items=_spread(part.items, limit)) for part in parts)


def _spread(items: tuple[Item, ...], limit: int | None) -> tuple[Item, ...]:
    if limit is None or limit >= len(items):
        return items
    return tuple(items[place] for place in np.linspace(0, len(items) - 1, limit).round().astype(int))


def score_run(run: Run) -> tuple[Report, Answered]:
    """Match, score and describe; nothing is written here. Raises as `match_file` and the parts' scorers do."""
    items = [item for part in run.parts for item in part.items]
    answered, problems = match_file(run.predictions, run.parts)
    scored = _score_parts(run, answered, problems)
    predictions = [prediction for _, found in answered for prediction in found]
    report = _report(run, scored, problems)
    return report.model_copy(
        update={
            "faithfulness": _faithfulness(items, predictions, run.settings),
            "leaks": _leaks(run, items),
            "provenance": provenance(predictions, {"predictions": run.predictions, "data": run.data}),
        }
    ), answered


def match_file(path: Path, parts: Sequence[Part]) -> tuple[Answered, list[Problem]]:
    """Read a predictions file and give each part its answers, with everything that is wrong with the file.

    Raises `ManifestError` for a file that cannot be read, `UsageError` if none of its clips was asked.
    """
    answers = read_predictions(path)
    items = [item for part in parts for item in part.items]
    asked = index(answers, items)
    problems = [*answers.problems, *asked.problems, *unknown_clips(items, answers)]
    answered: Answered = []
    for part in parts:
        matched = match(part.items, asked, part.labels)
        problems += matched.problems
        answered.append((part, matched.predictions))
    if not any(prediction is not None for _, found in answered for prediction in found):
        raise UsageError(f"{path}: {_why_none(answers, items, problems)}")
    return answered, problems


def _why_none(answers: Answers, items: Sequence[Item], problems: Sequence[Problem]) -> str:
    failed = [problem for problem in problems if problem.kind == "failed-clip"]
    if failed:
        return f"none of the asked clips has an answer, {len(failed)} failed; the first: {failed[0].message}"
    return (
        f"none of its {len(answers.predictions)} clips is one that was asked (it has {answers.predictions[0].clip!r}, "
        f"asked was {items[0].clip.clip!r}); are these predictions for other data?"
    )


def _score_parts(run: Run, answered: Answered, problems: list[Problem]) -> dict[str, Scored]:
    scored: dict[str, Scored] = {}
    for part, predictions in answered:
        if any(prediction is not None for prediction in predictions):
            scored[part.name] = part.score(part.items, predictions, part.labels, run.settings)
            problems += scored[part.name].problems
    return scored


def _report(run: Run, scored: Mapping[str, Scored], problems: Sequence[Problem]) -> Report:
    whole = next(iter(scored.values())) if len(run.parts) == 1 else _together(run, scored)
    unscored = [part.name for part in run.parts if part.name not in scored]
    notes = list(whole.notes)
    if unscored:
        notes.append(f"Parts without a single prediction are not scored: {', '.join(unscored)}.")
    return Report(
        **{name: getattr(whole, name) for name in Scored.model_fields if name not in ("problems", "settings", "notes")},
        suite=run.suite.name,
        title=run.suite.title,
        side=run.choice.side,
        system=run.system,
        parts=dict(scored) if len(run.parts) > 1 else {},
        published=run.suite.published,
        problems=tuple(problems),
        notes=tuple(notes) + ((run.suite.caution,) if run.suite.caution else ()),
        settings={
            "draws": run.settings.draws,
            "seed": run.settings.seed,
            "variant": run.choice.variant,
            "calibrated_on_validation": run.settings.validation is not None,
            **whole.settings,
            **run.asked,
        },
    )


def _together(run: Run, scored: Mapping[str, Scored]) -> Scored:
    """All parts together: counts add up; scores of one headline are averaged, each part with the same weight."""
    with_scores = [part for part in scored.values() if part.metrics]
    headlines = {part.headline for part in with_scores}
    asked, answered = sum(len(part.items) for part in run.parts), sum(part.n_scored for part in scored.values())
    if len(headlines) != 1:
        note = "The parts are scored in different ways: there is no score of all of them together."
        return Scored(n_asked=asked, n_scored=answered, metrics={}, notes=(note,))
    names = [name for name in with_scores[0].metrics if all(name in part.metrics for part in with_scores)]
    apart = _apart([part for part in run.parts if part.name in scored])
    notes = [f"The scores at the top are means over {len(with_scores)} parts, each with the same weight."]
    if not apart:
        notes.append("The parts share people or recordings, so their mean has no interval; the parts have theirs.")
    return Scored(
        n_asked=asked,
        n_scored=answered,
        metrics={name: _mean([part.metrics[name] for part in with_scores], apart) for name in names},
        headline=tuple(name for name in with_scores[0].headline if name in names),
        notes=tuple(notes),
    )


def _apart(parts: Sequence[Part]) -> bool:
    """Whether no person is in two parts, and no recording either."""
    seen: set[tuple[str, str]] = set()
    for part in parts:
        clips = [item.clip for item in part.items]
        found = {("speaker", clip.speaker) for clip in clips if clip.speaker is not None}
        found |= {("recording", str(clip.path)) for clip in clips if clip.path is not None}
        if seen & found:
            return False
        seen |= found
    return True


def _mean(metrics: Sequence[Metric], apart: bool) -> Metric:
    """The mean of parts. Parts that are `apart` are independent: the half widths of their intervals add as squares."""
    values = [metric.value for metric in metrics]
    if any(value is None for value in values):
        return Metric(value=None, low=None, high=None)
    value = float(np.mean([v for v in values if v is not None]))
    widths = [(m.value - m.low, m.high - m.value) for m in metrics if None not in (m.value, m.low, m.high)]  # type: ignore[operator]
    if len(widths) < len(metrics) or not apart:
        return Metric(value=value, low=None, high=None)
    below, above = (np.sqrt(np.square([w[side] for w in widths]).sum()) / len(widths) for side in (0, 1))
    chances = [metric.chance for metric in metrics]
    chance = float(np.mean([c for c in chances if c is not None])) if None not in chances else None
    return Metric(value=value, low=value - float(below), high=value + float(above), chance=chance)


def _faithfulness(
    items: Sequence[Item], predictions: Sequence[Prediction | None], settings: ScoreSettings
) -> dict[str, Any]:
    if not any(p is not None and p.reasoning and (p.evidence or p.action_units or p.voice) for p in predictions):
        return {}
    return faithfulness(items, predictions, draws=settings.draws, seed=settings.seed)


def _leaks(run: Run, items: Sequence[Item]) -> dict[str, Any]:
    """Compare with the training clips, where they were given."""
    if run.train is None:
        return {}
    from emotion_llama.evaluate.leaks import find_leaks
    from emotion_llama.manifest import read_manifest

    if run.train.is_dir():
        parts = run.suite.read(run.train, replace(run.choice, side="train"))
        train = [item.clip for part in parts for item in part.items]
    else:
        train = read_manifest(run.train)
    found: dict[str, Any] = find_leaks([item.clip for item in items], train).model_dump(mode="json")
    return found

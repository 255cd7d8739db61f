"""What an evaluation leaves to be read: `report.html` with its figures, `report.json`; the same for a comparison.

The pages are self-contained (figures inline, nothing asks for anything outside), dark or light as the reader's system
is, and readable on a phone and on paper. Everything taken from data or predictions is escaped.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from emotion_llama.analyze.writers import write_text
from emotion_llama.clip import Record
from emotion_llama.errors import OutputError, UsageError
from emotion_llama.evaluate.comparison import Comparison, PairedDifference
from emotion_llama.evaluate.records import Problem, Report, Scored
from emotion_llama.evaluate.report import words as report_words
from emotion_llama.evaluate.report.extras import extra_sections, robustness_of
from emotion_llama.evaluate.report.words import AFTER_TEMPERATURE, PROBLEM_NAMES, Facts, facts, metric_group
from emotion_llama.metrics.statistic import Metric

try:
    from emotion_llama.evaluate.report import figures
    from emotion_llama.evaluate.report.page_figures import (
        comparable,
        draw_robustness,
        draw_scores,
        headline,
        published_of,
        save_all,
    )
except ModuleNotFoundError as error:
    raise UsageError(f"a report with figures needs matplotlib ({error}); install emotion-llama[evaluate]") from error

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SHOWN_PROBLEMS = 10
SHOWN_CLIPS = 50
DRAWN_CLIPS = 4
_GROUPS = {"recognition": "Recognition", "behaviour": "Behaviour"}  # calibration has a section of its own
_FILTERS = ("metric_name", "lower_is_better", "three", "interval", "with_interval", "p_value")


@dataclass(frozen=True)
class ProblemKind:
    """Problems of one kind: how many, and the first of them."""

    title: str
    count: int
    first: tuple[Problem, ...]


@dataclass(frozen=True)
class View:
    """One part of a report, or all of it, laid out for the page. `part` "" = all of it."""

    part: str
    scores: Report | Scored
    headline: tuple[str, ...]
    kinds: list[ProblemKind]
    n_problems: int
    notes: tuple[str, ...]
    counts: list[tuple[str, str]]
    groups: list[tuple[str, list[str]]]
    calibration: list[tuple[str, Metric, Metric | None]]
    null_ece: Metric | None
    slice_keys: list[str]
    settings: Facts
    pictures: dict[str, Markup]


def write_report(report: Report, out: Path) -> list[Path]:
    """Write `figures/*.svg`, `figures/*.png`, `report.html` and last `report.json` into `out`; gives their paths.

    Raises `OutputError` naming the file that cannot be written, or the number that JSON cannot hold.
    """
    text = _json(report, out / "report.json")
    drawn = {"": draw_scores(report, report.published, report.system) | _drawn_extras(report)}
    for number, (name, part) in enumerate(report.parts.items(), start=1):
        drawn[name] = draw_scores(part, published_of(report.published, name), report.system)
        drawn[name] = {f"part-{number:02d}-{figure}": picture for figure, picture in drawn[name].items()}
    written, inline = [], {}
    for name, pictures in drawn.items():
        inline[name], files = save_all(pictures, out / "figures")
        written += files
    write_text(_page(report, inline), out / "report.html")
    write_text(text, out / "report.json")
    return [out / "report.html", out / "report.json", *written]


def compare_page(comparison: Comparison, out: Path) -> list[Path]:
    """Write `compare.html`, `compare.json` and ranking bars of the headline scores into `out`; gives their paths.

    Of a few clips that the systems answer differently also what each believes, where at least two gave probabilities.
    Raises `OutputError` as `write_report` does.
    """
    text = _json(comparison, out / "compare.json")
    keys = list(dict.fromkeys(key for system in comparison.systems for key in system.metrics))
    drawn = {}
    for key in comparison.headline or tuple(keys[:1]):
        ours = {s.name: s.metrics[key] for s in comparison.systems if key in s.metrics}
        if any(metric.value is not None for metric in ours.values()):
            drawn[f"ranking-{key}"] = figures.ranking_bars(ours, comparable(comparison.published, key, ours.values()))
    believed = [clip for clip in comparison.clips if len(clip.probabilities) > 1][:DRAWN_CLIPS]
    for number, clip in enumerate(believed, start=1):
        drawn[f"clip-{number:02d}"] = figures.probability_bars(clip.probabilities, clip.truth)
    pictures, written = save_all(drawn, out / "figures")
    page = _environment().get_template("compare.html.j2")
    html = page.render(
        c=comparison,
        names=[system.name for system in comparison.systems],
        keys=keys,
        kinds=_kinds(comparison.problems),
        pictures=pictures,
        clips=comparison.clips[:SHOWN_CLIPS],
        believed={f"clip-{number:02d}": clip.clip for number, clip in enumerate(believed, start=1)},
        n_differing=max(comparison.n_differing, len(comparison.clips)),
        settings=facts(comparison.settings),
        provenance=facts(comparison.provenance),
    )
    write_text(html, out / "compare.html")
    write_text(text, out / "compare.json")
    return [out / "compare.html", out / "compare.json", *written]


def _drawn_extras(report: Report) -> dict[str, Figure]:
    robustness = robustness_of(report)
    return draw_robustness(robustness) if robustness else {}


def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("emotion_llama.evaluate.report", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update({name: getattr(report_words, name) for name in _FILTERS})
    environment.tests["apart"] = _leaves_out_zero
    return environment


def _leaves_out_zero(row: PairedDifference) -> bool:
    low, high = row.difference.low, row.difference.high
    return low is not None and high is not None and (low > 0 or high < 0)


def _page(report: Report, pictures: Mapping[str, dict[str, Markup]]) -> str:
    parts = []
    for number, (name, part) in enumerate(report.parts.items(), start=1):
        named = {key.removeprefix(f"part-{number:02d}-"): picture for key, picture in pictures[name].items()}
        parts.append(_view(part, name, named, known=(report.problems, report.notes)))
    return _environment().get_template("report.html.j2").render(
        r=report,
        whole=_view(report, "", pictures[""]),
        parts=parts,
        extras=extra_sections(report),
        provenance=facts(report.model_dump(mode="json", include={"provenance"})["provenance"]),
    )  # fmt: skip


def _view(
    scores: Report | Scored,
    part: str,
    pictures: dict[str, Markup],
    known: tuple[Sequence[Problem], Sequence[str]] = ((), ()),
) -> View:
    """Lay out one part. What is `known` (problems, notes) already stands at the top and is not said again."""
    said = {(problem.kind, problem.clip, problem.line, problem.message) for problem in known[0]}
    problems = [p for p in scores.problems if (p.kind, p.clip, p.line, p.message) not in said]
    keys = list(scores.metrics)
    return View(
        part=part,
        scores=scores,
        headline=headline(scores),
        kinds=_kinds(problems),
        n_problems=len(problems),
        notes=tuple(note for note in scores.notes if note not in known[1]),
        counts=_counts(scores),
        groups=[
            (title, found)
            for group, title in _GROUPS.items()
            if (found := [key for key in keys if metric_group(key) == group])
        ],
        calibration=_calibration(scores.metrics),
        null_ece=_null_ece(scores),
        slice_keys=list(dict.fromkeys(key for row in scores.slices for key in row.metrics)),
        settings=facts(scores.model_dump(mode="json", include={"settings"})["settings"]),
        pictures=pictures,
    )


def _kinds(problems: Iterable[Problem]) -> list[ProblemKind]:
    problems = list(problems)
    found = []
    for kind, count in Counter(problem.kind for problem in problems).most_common():
        first = tuple(islice((problem for problem in problems if problem.kind == kind), SHOWN_PROBLEMS))
        found.append(ProblemKind(PROBLEM_NAMES.get(kind, kind), count, first))
    return found


def _counts(scores: Report | Scored) -> list[tuple[str, str]]:
    rows = [("asked", str(scores.n_asked)), ("scored", str(scores.n_scored))]
    for name in ("invalid", "missing"):
        count = _count(scores, name)
        rows.append((name, "not counted" if count is None else str(count)))
    return rows


def _count(scores: Report | Scored, name: str) -> int | None:
    """How many answers are invalid or missing; `None` where nothing tells."""
    if isinstance(scores, Report) and scores.parts:
        counts = [_count(part, name) for part in scores.parts.values()]
        return None if None in counts else sum(count or 0 for count in counts)
    if scores.confusion is not None:
        return sum(scores.confusion.invalid if name == "invalid" else scores.confusion.missing)
    rate = scores.metrics.get(f"{name}_rate")
    return None if rate is None or rate.value is None else round(rate.value * (rate.n or scores.n_asked))


def _calibration(metrics: Mapping[str, Metric]) -> list[tuple[str, Metric, Metric | None]]:
    """Calibration scores with their values after temperature beside them."""
    rows = []
    for key, before in metrics.items():
        if metric_group(key) == "calibration" and not key.startswith((*AFTER_TEMPERATURE, "null_")):
            after = next((metrics[prefix + key] for prefix in AFTER_TEMPERATURE if prefix + key in metrics), None)
            rows.append((key, before, after))
    return rows


def _null_ece(scores: Report | Scored) -> Metric | None:
    found = scores.metrics.get("null_ece") or scores.settings.get("null_ece")
    return Metric.model_validate(found) if isinstance(found, Mapping) else found


def _json(record: Record, path: Path) -> str:
    """A record as JSON text. JSON has no NaN and no infinity: a record that holds one is refused by its key."""
    try:
        plain = record.model_dump(mode="json")
        return json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError as error:
        where = ", ".join(islice(_not_finite(record.model_dump(), ""), 3)) or "a value of a kind that JSON has not"
        raise OutputError(f"{path}: the report cannot be written as JSON: {where} ({error})") from error


def _not_finite(value: Any, key: str) -> Iterable[str]:
    """The keys of numbers that are not finite."""
    if isinstance(value, float) and not math.isfinite(value):
        yield f"{key.lstrip('.')} is {value}"
    elif isinstance(value, Mapping):
        for name, entry in value.items():
            yield from _not_finite(entry, f"{key}.{name}")
    elif isinstance(value, (list, tuple)):
        for number, entry in enumerate(value):
            yield from _not_finite(entry, f"{key}.{number}")

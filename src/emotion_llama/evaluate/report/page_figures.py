"""Which figures a report gets, and how they become files and parts of a page."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from markupsafe import Markup
from matplotlib.figure import Figure

from emotion_llama.analyze.writers import write_text
from emotion_llama.errors import OutputError
from emotion_llama.evaluate.judge.overlap import CLUE, LABEL
from emotion_llama.evaluate.records import Published, Report, Scored
from emotion_llama.evaluate.report import figures
from emotion_llama.evaluate.report.words import metric_name
from emotion_llama.evaluate.robustness.curve import ConditionScore, RobustnessReport
from emotion_llama.metrics.statistic import Metric

BIG_PT = 420.0
"""A figure that is wider than this (in points) gets the page's whole width."""


def headline(scores: Report | Scored) -> tuple[str, ...]:
    """The scores shown large: those named, else the first three."""
    named = tuple(key for key in scores.headline if key in scores.metrics)
    return named or tuple(scores.metrics)[:3]


def draw_scores(scores: Report | Scored, published: Sequence[Published], system: str) -> dict[str, Figure]:
    """The figures of one part, by name; `system` is what stands beside printed figures."""
    drawn = {}
    if scores.confusion is not None:
        drawn["confusion"] = figures.confusion_matrix(scores.confusion)
    if scores.per_class:
        drawn["classes"] = figures.class_bars(scores.per_class)
    if any(b.n for b in scores.reliability):
        band = figures.chance_band(scores.reliability)
        drawn["reliability"] = figures.reliability_diagram(scores.reliability, null_band=band)
    if scores.risk_coverage:
        drawn["risk-coverage"] = figures.risk_coverage_curve(scores.risk_coverage)
    for key in headline(scores)[:1]:
        ours = scores.metrics[key]
        if any(key in row.metrics for row in scores.slices):
            drawn["slices"] = figures.slice_dots(scores.slices, key, overall=ours)
        others = comparable(published, key, [ours])
        if others and ours.value is not None:
            drawn["ranking"] = figures.ranking_bars({system: ours}, others)
    return drawn


def published_of(published: Sequence[Published], part: str) -> list[Published]:
    """Figures printed for one part: their metric is written "PART metric"."""
    return [
        row.model_copy(update={"metric": row.metric.removeprefix(part + " ")})
        for row in published
        if row.metric.startswith(part + " ")
    ]


def comparable(published: Sequence[Published], key: str, ours: Iterable[Metric]) -> list[Published]:
    """Printed figures of one score that can stand on the axis of ours.

    Percentages cannot stand beside shares, and another judge's opinions not beside ours.
    """
    if key in (CLUE, LABEL):
        return []
    shares = all(abs(metric.value or 0.0) <= 1 for metric in ours)
    return [row for row in published if row.metric == key and (abs(row.value) <= 1) == shares]


def save_all(drawn: Mapping[str, Figure], folder: Path) -> tuple[dict[str, Markup], list[Path]]:
    """Write each figure as SVG and PNG; also give them for the page."""
    if drawn:
        _make(folder)
    inline, written = {}, []
    for name, figure in drawn.items():
        safe = re.sub(r"[^a-z0-9-]+", "-", name.lower())
        svg = figures.svg_text(figure)
        inline[name] = _inline(svg, safe)
        paths = [folder / f"{safe}.svg", folder / f"{safe}.png"]
        write_text(figures.on_white(svg), paths[0])
        figures.save(figure, paths[1])
        written += paths
    return inline, written


def _make(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"{folder}: cannot make the folder ({error.strerror}); choose another --out") from error


def _inline(svg: str, name: str) -> Markup:
    """A figure for the page: its colours follow the page's, its ids are its own, its width follows the column."""
    body = svg[svg.index("<svg") :]
    used = set(re.findall(r"#([\w.-]+)[\")]", body))
    body = re.sub(r"<[^>]*>", lambda tag: _page_tag(tag[0], name, used), body)  # tags alone: words stay as they are
    opening = body[: body.index(">") + 1]
    view = re.search(r'viewBox="0 0 ([\d.]+) [\d.]+"', opening)
    width = float(view[1]) if view else 300.0
    style = f"min-width:{width:.0f}px;max-width:{1.5 * width:.0f}px"
    start = re.sub(r'(<svg| width="[^"]*"| height="[^"]*")', "", opening)
    label = name.replace("-", " ")
    size = ' class="big"' if width > BIG_PT else ""
    return Markup(f'<svg role="img" aria-label="{label}"{size} style="{style}"{start}{body[len(opening) :]}')


def _page_tag(tag: str, name: str, used: set[str]) -> str:
    """A tag of a figure with colours and ids of the page; ids that nothing points to are dropped."""
    tag = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{name}-{m[1]}"' if m[1] in used else "", tag)
    tag = re.sub(r"(url\(#|href=\"#)", rf"\g<1>{name}-", tag)
    for color, variable in figures.THEME.items():
        tag = tag.replace(f": {color}", f": var({variable}, {color})").replace(f'"{color}"', f'"var({variable})"')
    return tag


def draw_robustness(robustness: RobustnessReport) -> dict[str, Figure]:
    """One figure a part: a panel for each condition that was scored."""
    parts = dict.fromkeys(condition.part for condition in robustness.conditions)
    drawn = {}
    for number, part in enumerate(parts, start=1):
        scored = [
            c for c in robustness.conditions if c.part == part and any(s.value.value is not None for s in c.levels)
        ]
        if scored:
            drawn[f"robustness-{number:02d}"] = figures.robustness_curves(
                [_curve(condition) for condition in scored], y_name=metric_name(scored[0].metric)
            )
    return drawn


def _curve(condition: ConditionScore) -> figures.Curve:
    """Levels to scale where the condition has an axis, else by name."""
    positions = [score.position for score in condition.levels if score.position is not None]
    names = tuple(score.level for score in condition.levels)
    return figures.Curve(
        name=condition.title,
        levels=tuple(positions) if len(positions) == len(names) else names,
        scores=tuple(score.value for score in condition.levels),
        x_name=condition.unit,
        level_names=names,
        clean=condition.clean,
    )

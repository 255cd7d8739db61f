"""The one plotting module: every picture of a report, in one style.

Each function gives a matplotlib `Figure`; `save` writes it, `svg_text` gives it for a page. The pictures are drawn
narrow, so that their words are still readable on a phone 390 px wide and in a column of a paper; colours come from a
palette that colour-blind readers can tell apart, and no meaning rests on colour alone. The same figure gives the same
bytes. A label in a script that no installed font holds is kept as text in SVG; in PNG its signs become boxes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import nan, sqrt

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from emotion_llama.analyze.console import printable
from emotion_llama.evaluate.records import Bin, ClassScores, Confusion, Published, Slice
from emotion_llama.evaluate.report.figure_style import (
    ACCENT,
    BAR,
    INK,
    LINE,
    ON_ACCENT,
    SERIES,
    SOFT,
    THEME,
    WIDTH_IN,
    name_rows,
    new_figure,
    on_white,
    require,
    save,
    shortened,
    styled,
    svg_text,
    whisker,
)
from emotion_llama.evaluate.report.words import metric_name
from emotion_llama.metrics.statistic import Metric

__all__ = (
    "THEME",
    "Curve",
    "ablation_curves",
    "chance_band",
    "class_bars",
    "confusion_matrix",
    "on_white",
    "probability_bars",
    "ranking_bars",
    "reliability_diagram",
    "risk_coverage_curve",
    "robustness_curves",
    "save",
    "slice_dots",
    "svg_text",
)

_MARKERS, _DASHES = ("o", "s", "^", "D", "v"), ("-", "--", "-.", ":", (0, (5, 1)))


@dataclass(frozen=True)
class Curve:
    """One score over a setting. `levels` are numbers (drawn to scale, in the order given) or words (evenly spaced).

    `level_names` stand at the axis instead of the numbers; `clean` is the score without the setting's damage.
    """

    name: str
    levels: tuple[float | str, ...]
    scores: tuple[Metric, ...]
    x_name: str = ""
    level_names: tuple[str, ...] = ()
    clean: Metric | None = None


@styled
def confusion_matrix(confusion: Confusion) -> Figure:
    """Draw rows of truth and columns of answers: the count, and as shade its share of the row (paper, figure 8).

    Answers that are no label and clips without an answer get columns of their own where there are any.
    """
    columns = _columns(confusion)
    labels = [shortened(label, 18) for label in confusion.labels]
    names = [*labels, *(name for name in ("invalid", "missing") if name in columns)]
    cell_in = 0.3 if len(names) > 12 else min(0.62, max(0.42, 3.1 / len(names)))
    size = 8.5 if cell_in >= 0.4 else 6.0
    figure = new_figure(max(WIDTH_IN, 1.1 + cell_in * len(names)), 0.95 + cell_in * len(labels))
    axes = figure.add_subplot(aspect="equal")
    rows = [[*row, *(columns[name][i] for name in columns)] for i, row in enumerate(confusion.matrix)]
    for y, row in enumerate(rows):
        for x, count in enumerate(row):
            _cell(axes, (x, y), count, count / sum(row) if sum(row) else 0.0, size)
    axes.set(xlim=(-0.5, len(names) - 0.5), ylim=(len(labels) - 0.5, -0.5), xlabel="answer", ylabel="truth")
    axes.set_xticks(range(len(names)), names, rotation=45, ha="right", rotation_mode="anchor", color=INK)
    axes.set_yticks(range(len(labels)), labels)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return figure


def _columns(confusion: Confusion) -> dict[str, tuple[int, ...]]:
    extra = {"invalid": confusion.invalid, "missing": confusion.missing}
    return {name: counts for name, counts in extra.items() if any(counts)}


def _cell(axes: Axes, at: tuple[int, int], count: int, share: float, size: float) -> None:
    x, y = at
    _square(axes, x, y, LINE, 0.35)
    if not count:
        return
    _square(axes, x, y, ACCENT, share)
    color = ON_ACCENT if share > 0.55 else INK
    lines = [(0.0, str(count), size if count < 10_000 else 0.75 * size)]
    if size >= 8:
        lines = [(-0.15, _percent(share), size), (0.22, str(count), size - 2.5)]
    for offset, text, points in lines:
        shown = axes.text(x, y + offset, text, ha="center", va="center", fontsize=points, color=color)
        shown.set_in_layout(False)  # it lies inside its cell; laying out a thousand of them takes seconds


def _square(axes: Axes, x: int, y: int, color: str, alpha: float) -> None:
    square = axes.add_patch(Rectangle((x - 0.47, y - 0.47), 0.94, 0.94, facecolor=color, alpha=alpha, linewidth=0))
    square.set_in_layout(False)


@styled
def class_bars(per_class: Mapping[str, ClassScores]) -> Figure:
    """Draw recall and F1 of each class with their intervals; the class's number of clips stands beside its name."""
    names = [f"{shortened(label, 18)} ({scores.support})" for label, scores in per_class.items()]
    figure = new_figure(WIDTH_IN, 0.85 + 0.42 * len(names))
    axes = figure.add_subplot()
    kinds = (("recall", -0.19, ACCENT, [s.recall for s in per_class.values()]),
             ("F1", 0.19, BAR, [s.f1 for s in per_class.values()]))  # fmt: skip
    for name, offset, color, scores in kinds:
        heights = [offset + y for y in range(len(names))]
        axes.barh(heights, [m.value or 0.0 for m in scores], height=0.34, color=color, label=name)
        for y, metric in zip(heights, scores, strict=True):
            whisker(axes, metric, y, INK)
            if metric.value is None:
                axes.text(0.01, y, "not defined", va="center", fontsize=7, color=SOFT)
    name_rows(axes, names)
    axes.set_xlim(0, 1)
    axes.set_xlabel("score (number of clips beside the name)")
    axes.grid(axis="x")
    figure.legend(loc="outside upper right", ncols=2)
    return figure


@styled
def probability_bars(systems: Mapping[str, Mapping[str, float]], truth: str | None = None) -> Figure:
    """Draw what several systems believe of one clip, a panel a system (paper, figure 3); the truth's name is bold.

    `systems` maps a name to label probabilities. Raises `UsageError` if it is empty.
    """
    require(systems, "probability_bars", "one system's probabilities")
    labels = list(dict.fromkeys(label for probabilities in systems.values() for label in probabilities))
    figure = new_figure(WIDTH_IN, len(systems) * (0.42 + 0.23 * len(labels)) + 0.35)
    panels = figure.subplots(len(systems), 1, squeeze=False, sharex=True)[:, 0]
    for axes, (name, probabilities) in zip(panels, systems.items(), strict=True):
        top = max(probabilities, key=lambda label: probabilities[label], default=None)
        values = [probabilities.get(label) for label in labels]
        colors = [ACCENT if label == top else BAR for label in labels]
        axes.barh(range(len(labels)), [value or 0.0 for value in values], height=0.66, color=colors)
        for y, value in enumerate(values):
            axes.text((value or 0.0) + 0.015, y, "not asked" if value is None else f"{value:.2f}", va="center", size=8)
        name_rows(axes, [shortened(label, 18) for label in labels])
        for tick, label in zip(axes.get_yticklabels(), labels, strict=True):
            tick.set_fontweight("bold" if label == truth else "normal")
        axes.set_title(shortened(name, 44))
        axes.set_xlim(0, 1.12)
        axes.set_xticks((0, 0.25, 0.5, 0.75, 1))
    panels[-1].set_xlabel("probability" + (f" (truth: {shortened(truth, 24)})" if truth else ""))
    return figure


@styled
def ablation_curves(curves: Sequence[Curve], *, y_name: str, log_x: bool = False) -> Figure:
    """Draw scores over a setting with their intervals, all curves in one panel (paper, figure 9).

    Raises `UsageError` if there is no curve.
    """
    require(curves, "ablation_curves", "one curve")
    figure = new_figure(WIDTH_IN, 2.9)
    axes = figure.add_subplot()
    if log_x:
        axes.set_xscale("log")
    for number, curve in enumerate(curves):
        _draw_curve(axes, curve, number)
    axes.minorticks_off()
    axes.set(xlabel=printable(curves[0].x_name), ylabel=printable(y_name))
    axes.grid(axis="y")
    if len(curves) > 1:
        figure.legend(loc="outside upper left", ncols=2)
    return figure


@styled
def ranking_bars(ours: Mapping[str, Metric], published: Sequence[Published] = ()) -> Figure:
    """Draw systems by their score, best first: ours with intervals, printed figures hatched (paper, figure 10).

    `published` must be figures of the same metric on the same scale. Raises `UsageError` if there is nothing to rank.
    """
    entries = [(shortened(name, 26), metric, True) for name, metric in ours.items() if metric.value is not None]
    entries += [(_printed_name(row), Metric(value=row.value, low=None, high=None), False) for row in published]
    require(entries, "ranking_bars", "one system with a score")
    entries.sort(key=lambda entry: -(entry[1].value or 0.0))
    figure = new_figure(WIDTH_IN, 0.7 + (0.4 if any(row.setting for row in published) else 0.3) * len(entries))
    axes = figure.add_subplot()
    end = max(metric.high or metric.value or 0.0 for _, metric, _ in entries)
    for y, (_, metric, own) in enumerate(entries):
        bar = axes.barh(y, metric.value or 0.0, height=0.66, color=ACCENT if own else BAR, linewidth=0)
        if not own:
            bar.patches[0].set(hatch="////", edgecolor=LINE)
        whisker(axes, metric, y, INK)
        axes.text(end * 1.03, y, f"{metric.value:.3f}", va="center", fontsize=8)
    name_rows(axes, [name for name, _, _ in entries])
    for tick, (_, _, own) in zip(axes.get_yticklabels(), entries, strict=True):
        tick.set(fontweight="bold" if own and published else "normal", fontsize=8.5, linespacing=1.05)
    axes.set_xlim(min(0.0, *(m.low or m.value or 0.0 for _, m, _ in entries)), end * 1.2 or 1.0)
    axes.set_xlabel("score" + ("; hatched: printed by others" if published else " with 95 % interval"))
    return figure


def _printed_name(row: Published) -> str:
    name = shortened(row.system, 26)
    return f"{name}\n{shortened(row.setting, 26)}" if row.setting else name


@styled
def reliability_diagram(
    bins: Sequence[Bin], *, null_band: Sequence[tuple[float, float] | None] | None = None
) -> Figure:
    """Draw how often answers of each confidence are right, and below how many there are.

    `null_band` gives for each bin the (low, high) accuracy that chance alone allows a perfectly calibrated system;
    `None` for an empty bin. Raises `UsageError` if there is no bin.
    """
    require(bins, "reliability_diagram", "one bin")
    figure = new_figure(WIDTH_IN, 4.3)
    axes, counts = figure.subplots(2, 1, sharex=True, height_ratios=(3.2, 1))
    widths = [b.high - b.low for b in bins]
    axes.bar([b.low for b in bins], [b.accuracy or 0.0 for b in bins], widths, align="edge", color=BAR,
             edgecolor=ON_ACCENT, linewidth=0.8, label="answers that are right")  # fmt: skip
    for b, band in zip(bins, null_band or [None] * len(bins), strict=True):
        if band is not None:
            axes.add_patch(
                Rectangle((b.low, band[0]), b.high - b.low, band[1] - band[0], facecolor=SERIES[1], alpha=0.3)
            )
    axes.plot((0, 1), (0, 1), color=INK, linewidth=1, linestyle="--", label="perfectly calibrated")
    filled = [b for b in bins if b.n and b.confidence is not None]
    axes.plot([b.confidence for b in filled], [b.accuracy for b in filled], "o", color=ACCENT, markersize=4,
              label="mean confidence of the bin")  # fmt: skip
    axes.set(xlim=(0, 1), ylim=(0, 1), ylabel="share right")
    counts.bar([b.low for b in bins], [b.n for b in bins], widths, align="edge", color=ACCENT, edgecolor=ON_ACCENT)
    counts.set(xlabel="confidence", ylabel="clips")
    if null_band is not None:
        axes.bar([0], [0], color=SERIES[1], alpha=0.3, label="chance alone (95 %)")
    figure.legend(*axes.get_legend_handles_labels(), loc="outside upper left", ncols=1)
    return figure


def chance_band(bins: Sequence[Bin]) -> list[tuple[float, float] | None]:
    """Give for each bin the accuracies that chance alone allows (95 %) if its mean confidence is true.

    The binomial's normal form; `None` for an empty bin.
    """
    band: list[tuple[float, float] | None] = []
    for b in bins:
        if not b.n or b.confidence is None:
            band.append(None)
            continue
        half = 1.96 * sqrt(b.confidence * (1 - b.confidence) / b.n)
        band.append((max(0.0, b.confidence - half), min(1.0, b.confidence + half)))
    return band


@styled
def risk_coverage_curve(points: Sequence[tuple[float, float]]) -> Figure:
    """Draw the share of wrong answers among those kept, over the share kept when the least confident are left out."""
    require(points, "risk_coverage_curve", "one (coverage, risk) point")
    figure = new_figure(WIDTH_IN, 2.6)
    axes = figure.add_subplot()
    axes.plot([x for x, _ in points], [y for _, y in points], color=ACCENT, linewidth=2)
    axes.axhline(points[-1][1], color=SOFT, linewidth=1, linestyle="--")
    axes.text(0.01, points[-1][1], "all answers", va="bottom", fontsize=8, color=SOFT)
    axes.set(
        xlim=(0, 1),
        ylim=(0, 1.15 * max(y for _, y in points) or 1.0),
        xlabel="share of answers kept",
        ylabel="share of them wrong",
    )
    axes.grid(axis="y")
    return figure


@styled
def robustness_curves(curves: Sequence[Curve], *, y_name: str) -> Figure:
    """Draw one small panel a damage, its strength growing to the right, all on one scale.

    The dashed line is a curve's `clean` score. Raises `UsageError` if there is no curve.
    """
    require(curves, "robustness_curves", "one curve")
    rows = (len(curves) + 1) // 2
    figure = new_figure(WIDTH_IN if len(curves) > 1 else WIDTH_IN * 0.75, 0.3 + 1.75 * rows)
    panels = list(figure.subplots(rows, min(2, len(curves)), squeeze=False, sharey=True).flat)
    for axes, curve in zip(panels[: len(curves)], curves, strict=True):
        if curve.clean is not None and curve.clean.value is not None:
            axes.axhline(curve.clean.value, color=SOFT, linewidth=1, linestyle="--")
        _draw_curve(axes, curve, 0)
        axes.set_title(shortened(curve.name, 27), fontsize=8.5)
        axes.set_xlabel(printable(curve.x_name), fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(axis="y")
    for axes in panels[len(curves) :]:
        axes.set_visible(False)
    figure.supylabel(printable(y_name), fontsize=9, color=SOFT)
    return figure


@styled
def slice_dots(slices: Sequence[Slice], metric: str, *, overall: Metric | None = None) -> Figure:
    """Draw one score of each slice with its interval; the dashed line is the score of all clips.

    Raises `UsageError` if no slice has the metric.
    """
    rows = [(row, row.metrics[metric]) for row in slices if metric in row.metrics]
    require(rows, "slice_dots", f"a slice with {metric!r}")
    groups = list(dict.fromkeys(row.group for row, _ in rows))
    heights = [y + 0.8 * groups.index(row.group) for y, (row, _) in enumerate(rows)]
    figure = new_figure(WIDTH_IN, 0.7 + 0.25 * (heights[-1] + 1))
    axes = figure.add_subplot()
    if overall is not None and overall.value is not None:
        axes.axvline(overall.value, color=SOFT, linewidth=1, linestyle="--")
    for y, (_, score) in zip(heights, rows, strict=True):
        whisker(axes, score, y, ACCENT)
        if score.value is not None:
            axes.plot([score.value], [y], "o", color=ACCENT, markersize=5)
    names = [f"{shortened(f'{row.group}: {row.value}', 28)} ({row.n})" for row, _ in rows]
    axes.set_yticks(heights, names)
    axes.set_ylim(heights[-1] + 0.7, -0.7)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(printable(metric_name(metric)) + " with 95 % interval (clips)")
    axes.grid(axis="x")
    return figure


def _draw_curve(axes: Axes, curve: Curve, number: int) -> None:
    """Numbers are joined, a score that is not defined leaves a gap; words stand side by side with their intervals."""
    color, marker = SERIES[number % len(SERIES)], _MARKERS[number % 5]
    numbers = [level for level in curve.levels if not isinstance(level, str)]
    to_scale = len(numbers) == len(curve.levels)
    x = numbers if to_scale else [float(place) for place in range(len(curve.levels))]
    y, low, high = ([_plain(getattr(m, side)) for m in curve.scores] for side in ("value", "low", "high"))
    axes.plot(x, y, color=color, marker=marker, linestyle=_DASHES[number % 5] if to_scale else "none", markersize=4,
              linewidth=1.6, label=shortened(curve.name, 26))  # fmt: skip
    if to_scale:
        axes.fill_between(x, low, high, color=color, alpha=0.18, linewidth=0)
    else:
        axes.vlines(x, low, high, color=color, linewidth=1.4)
    if len(x) > 1:
        axes.set_xlim(_limits(x[0], x[-1], axes.get_xscale() == "log") if to_scale else (-0.4, len(x) - 0.6))
    names = curve.level_names or [level if isinstance(level, str) else f"{level:g}" for level in curve.levels]
    axes.set_xticks(x, [shortened(name, 12) for name in names])
    if not to_scale:
        for tick in axes.get_xticklabels():
            tick.set(rotation=35, ha="right", rotation_mode="anchor")


def _limits(first: float, last: float, log: bool) -> tuple[float, float]:
    """The span of an axis in the order of its levels, with room for the outermost marks."""
    if log:
        room = (last / first) ** 0.04
        return first / room, last * room
    return first - 0.04 * (last - first), last + 0.04 * (last - first)


def _plain(value: float | None) -> float:
    return nan if value is None else value


def _percent(share: float) -> str:
    return "<1 %" if 0 < share < 0.005 else f"{100 * share:.0f} %"

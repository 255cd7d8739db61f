"""An ablation as a picture: a row a cell, the mean with its interval, the seeds as small dots."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotion_llama.ablate.record import AblationReport, CellScores
from emotion_llama.analyze.console import printable
from emotion_llama.evaluate.report.figure_style import (
    ACCENT,
    INK,
    SERIES,
    SOFT,
    WIDTH_IN,
    name_rows,
    new_figure,
    require,
    shortened,
    styled,
    whisker,
)
from emotion_llama.evaluate.report.words import lower_is_better, metric_name

SEED_OFFSET = 0.22
"""How far below its mean a cell's seeds are drawn, in rows; its folds are as far above."""
ROW_IN = 0.36


@styled
def ablation_figure(report: AblationReport, metric: str) -> Figure:
    """Draw one score of every cell, a panel a source. The dashed line is the baseline's mean, its name is bold.

    Raises `UsageError` if no cell has scores.
    """
    require(report.scores, "ablation_figure", "one cell with scores")
    names = list(dict.fromkeys(scores.source for scores in report.scores))
    height = 1.0 + len(names) * (0.35 + ROW_IN * len(report.cells))
    figure = new_figure(WIDTH_IN, height)
    figure.suptitle(shortened(report.title, 60), x=0.02, ha="left", fontsize=9.5)
    panels = figure.subplots(len(names), 1, squeeze=False, sharex=True)[:, 0]
    for axes, source in zip(panels, names, strict=True):
        _panel(axes, report, [scores for scores in report.scores if scores.source == source], metric)
        axes.set_title(shortened(f"{source} ({max(s.n for s in report.scores if s.source == source)} clips)", 44))
    arrow = " (less is better)" if lower_is_better(metric) else ""
    panels[-1].set_xlabel(printable(metric_name(metric)) + arrow)
    kinds = {line.get_label(): line for axes in panels for line in axes.get_lines() if line.get_label()[0] != "_"}
    figure.legend(kinds.values(), kinds.keys(), loc="outside lower left", ncols=2, fontsize=7.5)
    return figure


def _panel(axes: Axes, report: AblationReport, scored: Sequence[CellScores], metric: str) -> None:
    found = {scores.cell: scores for scores in scored}
    names = [shortened(cell, 26) for cell in report.cells]
    name_rows(axes, names)
    for tick, cell in zip(axes.get_yticklabels(), report.cells, strict=True):
        tick.set_fontweight("bold" if cell == report.baseline else "normal")
    axes.grid(axis="x")
    axes.margins(x=0.06)
    base = found[report.baseline].metrics[metric].score.value if report.baseline in found else None
    if base is not None:
        axes.axvline(base, color=SOFT, linewidth=1, linestyle="--", label="baseline")
    empty = [y for y, cell in enumerate(report.cells) if cell not in found or _value(found[cell], metric) is None]
    for y, cell in enumerate(report.cells):
        if y not in empty:
            _cell(axes, y, found[cell], metric)
    for y in empty:
        word = _why_empty(report, list(report.cells)[y], found)
        axes.text(0.02, y, word, transform=axes.get_yaxis_transform(), va="center", fontsize=7.5, color=SOFT)


def _cell(axes: Axes, y: int, scores: CellScores, metric: str) -> None:
    row = scores.metrics[metric]
    whisker(axes, row.score, y, ACCENT)
    mean = [] if row.score.value is None else [row.score.value]
    axes.plot(mean, [y] * len(mean), "o", color=ACCENT, markersize=5.5, linestyle="none", label="mean, 95 % interval")
    seeds = [value for value in row.seeds.values() if value is not None]
    if len(row.seeds) > 1:
        below = [y + SEED_OFFSET] * len(seeds)
        axes.plot(seeds, below, "o", color=SERIES[1], markersize=2.6, linestyle="none", label="one seed")
    folds = [value for value in row.folds.values() if value is not None]
    if folds:
        above = [y - SEED_OFFSET] * len(folds)
        axes.plot(folds, above, "|", color=INK, markersize=6, linestyle="none", label="one fold")


def _value(scores: CellScores, metric: str) -> float | None:
    return scores.metrics[metric].score.value


def _why_empty(report: AblationReport, cell: str, found: dict[str, CellScores]) -> str:
    if cell in found:
        return "not defined"
    states = {row.state for row in report.trainings if row.cell == cell}
    return "failed" if "failed" in states else "no scores here" if states == {"finished"} else "not finished"

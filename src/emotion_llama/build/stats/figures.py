"""The figures of a data set, in the one style of our reports. Each function gives a matplotlib `Figure`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from emotion_llama.build.stats.records import Agreement, ClassStats, Durations, OtherSet, RejectCount, UnitStats
from emotion_llama.build.stats.words import unit_name
from emotion_llama.evaluate.records import Confusion
from emotion_llama.evaluate.report.figure_style import (
    ACCENT,
    BAR,
    INK,
    ON_ACCENT,
    SERIES,
    SOFT,
    WIDTH_IN,
    name_rows,
    new_figure,
    require,
    shortened,
    styled,
)
from emotion_llama.evaluate.report.figures import confusion_matrix

WIDE_IN = 7.6
PANELS = 3
MOST_PANELS = 12
MOST_ROWS = 30
MOST_REJECTS = 12
_CLUES = (("supported", ACCENT), ("not measured", BAR), ("contradicted", SERIES[1]))


@styled
def unit_bars(units: UnitStats) -> Figure:
    """Draw how often each action unit is active, at the peak frame and anywhere (paper, figure 4)."""
    shares = [{one.unit: one.share for one in counts} for counts in (units.peak, units.anywhere)]
    names = list(dict.fromkeys([*shares[0], *shares[1]]))
    require(names, "unit_bars", "one active action unit")
    kinds = [
        (f"at the peak frame (n = {units.n_peak:,})", ACCENT, shares[0]),
        (f"anywhere in the clip (n = {units.n_anywhere:,})", BAR, shares[1]),
    ]
    kinds = [kind for kind in kinds if kind[2]]
    figure = new_figure(WIDTH_IN, 0.9 + 0.22 * len(kinds) + (0.3 if len(kinds) > 1 else 0.24) * len(names))
    axes = figure.add_subplot()
    _grouped(axes, [(name, color, [share.get(unit, 0.0) for unit in names]) for name, color, share in kinds])
    name_rows(axes, [unit_name(unit) for unit in names])
    _share_axis(axes, f"share of clips (intensity {units.active_from:g} or more)")
    figure.legend(loc="outside upper left", ncols=1)
    return figure


@styled
def class_units(classes: Sequence[ClassStats]) -> Figure:
    """Draw the five commonest action units of each class, a panel a class, all on one scale (paper, figure 4)."""
    shown = [one for one in classes if one.units][:MOST_PANELS]
    require(shown, "class_units", "one class with action units")
    columns = min(PANELS, len(shown))
    rows = ceil(len(shown) / columns)
    figure = new_figure(WIDE_IN * columns / PANELS if columns < PANELS else WIDE_IN, 0.3 + 1.65 * rows)
    panels = list(figure.subplots(rows, columns, squeeze=False, sharex=True).flat)
    end = max(one.top[0].share for one in shown)
    for axes, one in zip(panels[: len(shown)], shown, strict=True):
        axes.barh(range(len(one.top)), [unit.share for unit in one.top], height=0.68, color=ACCENT)
        for y, unit in enumerate(one.top):
            axes.text(unit.share + 0.02 * end, y, f"{100 * unit.share:.0f} %", va="center", fontsize=7.5)
        axes.set_yticks(range(len(one.top)), [unit_name(unit.unit) for unit in one.top], fontsize=7.5)
        axes.set_ylim(4.6, -0.6)
        axes.tick_params(axis="y", length=0)
        axes.tick_params(axis="x", length=0, labelbottom=False)
        axes.set_xlim(0, 1.22 * end)
        axes.spines["bottom"].set_visible(False)
        axes.set_title(f"{shortened(one.label, 18)} ({one.n_units:,})")
    for axes in panels[len(shown) :]:
        axes.set_visible(False)
    return figure


@styled
def label_bars(name: str, classes: Sequence[ClassStats], against: Sequence[OtherSet] = ()) -> Figure:
    """Draw the share of each label, beside that in other lists (paper, figure 5). Numbers: clips of this data set."""
    own = {one.label: one.n for one in classes}
    labels = list(dict.fromkeys([*own, *(label for other in against for label in other.labels)]))[:MOST_ROWS]
    require(labels, "label_bars", "one label")
    sets: list[tuple[str, Mapping[str, int]]] = [(name, own), *((other.name, other.labels) for other in against)]
    drawn = []
    for number, (title, counts) in enumerate(sets):
        n = sum(counts.values())
        color = ACCENT if number == 0 else (BAR, *SERIES[1:])[(number - 1) % len(SERIES)]
        drawn.append((f"{shortened(title, 34)} (n = {n:,})", color, [counts.get(x, 0) / n if n else 0 for x in labels]))
    figure = new_figure(WIDTH_IN, 0.7 + 0.2 * len(sets) + (0.12 + 0.16 * len(sets)) * len(labels))
    axes = figure.add_subplot()
    heights = _grouped(axes, drawn)
    end = max(share for _, _, shares in drawn for share in shares)
    for label, y, share in zip(labels, heights, drawn[0][2], strict=True):
        axes.text(share + 0.01 * end, y, f"{own.get(label, 0):,}", va="center", fontsize=7.5, color=SOFT)
    name_rows(axes, [shortened(label, 18) for label in labels])
    axes.set_xlim(0, 1.12 * end or 1)
    _share_axis(axes, "share of labelled clips")
    figure.legend(loc="outside upper left", ncols=1)
    return figure


@styled
def duration_histogram(durations: Durations) -> Figure:
    """Draw how long clips are (paper, figure 7); the last bar also holds what is longer."""
    require(durations.counts, "duration_histogram", "one clip with a length")
    figure = new_figure(WIDTH_IN, 2.5)
    axes = figure.add_subplot()
    width, bins = durations.bin_s, len(durations.counts)
    end_s = bins * width
    axes.bar([width * i for i in range(bins)], durations.counts, 0.94 * width, align="edge", color=ACCENT)
    median_s = durations.median_s or 0.0
    axes.axvline(median_s, color=INK, linewidth=1, linestyle="--", label=f"median {median_s:.2f} s")
    longer = (durations.max_s or 0.0) > end_s
    axes.set_xlim(0, end_s)
    axes.set_xlabel(
        f"length in s (n = {durations.n:,}" + (f"; last bar: up to {durations.max_s:.1f} s)" if longer else ")")
    )
    axes.set_ylabel("clips")
    axes.grid(axis="y")
    figure.legend(loc="outside upper left")
    return figure


@styled
def clue_bars(classes: Sequence[ClassStats]) -> Figure:
    """Draw clues of a reason by class: supported, not measured, contradicted; the mean of a checked clip."""
    shown = [one for one in classes if one.clues.n][:MOST_ROWS]
    require(shown, "clue_bars", "one class with checked reasons")
    figure = new_figure(WIDTH_IN, 0.95 + 0.26 * len(shown))
    axes = figure.add_subplot()
    left = [0.0] * len(shown)
    for name, color in _CLUES:
        field = "unverifiable" if name == "not measured" else name
        means = [getattr(one.clues, field) / one.clues.n for one in shown]
        axes.barh(range(len(shown)), means, left=left, height=0.68, color=color, label=name,
                  hatch="////" if name == "contradicted" else None, edgecolor=ON_ACCENT, linewidth=0)  # fmt: skip
        left = [start + mean for start, mean in zip(left, means, strict=True)]
    name_rows(axes, [f"{shortened(one.label, 18)} ({one.clues.n:,})" for one in shown])
    axes.set_xlabel("clues of a reason, mean (checked clips in brackets)")
    axes.grid(axis="x")
    figure.legend(loc="outside upper left", ncols=3)
    return figure


@styled
def reject_bars(rejects: Sequence[RejectCount]) -> Figure:
    """Draw how many clips each step rejected, and for what."""
    require(rejects, "reject_bars", "one rejected clip")
    shown = list(rejects[:MOST_REJECTS])
    rest = sum(one.n for one in rejects[MOST_REJECTS:])
    names = [f"{one.step}: {shortened(one.reason, 62)}" for one in shown]
    counts = [one.n for one in shown]
    if rest:
        names.append(f"{len(rejects) - MOST_REJECTS} other reasons")
        counts.append(rest)
    figure = new_figure(WIDE_IN, 0.6 + 0.27 * len(names))
    axes = figure.add_subplot()
    axes.barh(range(len(names)), counts, height=0.68, color=[ACCENT] * len(shown) + [BAR] * bool(rest))
    for y, count in enumerate(counts):
        axes.text(count + 0.01 * max(counts), y, f"{count:,}", va="center", fontsize=8)
    name_rows(axes, names)
    axes.tick_params(axis="y", labelsize=8)
    axes.set_xlim(0, 1.12 * max(counts))
    axes.set_xlabel(f"rejected clips (n = {sum(one.n for one in rejects):,})")
    axes.grid(axis="x")
    return figure


@styled
def agreement_matrix(agreement: Agreement) -> Figure:
    """Draw pseudo-labels (rows) against the rule that fires most (columns); the shade is the share of the row."""
    require(agreement.labels, "agreement_matrix", "one clip with a pseudo-label in which a rule fires")
    none = (0,) * len(agreement.labels)
    figure = confusion_matrix(Confusion(labels=agreement.labels, matrix=agreement.matrix, invalid=none, missing=none))
    figure.axes[0].set(xlabel="rule that fires most", ylabel="pseudo-label")
    return figure


def _grouped(axes: Axes, drawn: Sequence[tuple[str, str, Sequence[float]]]) -> list[float]:
    """Draw lying bars side by side in each row; gives the heights of the first series."""
    height = 0.82 / len(drawn)
    first: list[float] = []
    for number, (name, color, values) in enumerate(drawn):
        heights = [row - 0.41 + height * (number + 0.5) for row in range(len(values))]
        axes.barh(heights, values, height=0.92 * height, color=color, label=name)
        first = first or heights
    return first


def _share_axis(axes: Axes, name: str) -> None:
    axes.xaxis.set_major_formatter(lambda share, _: f"{100 * share:g} %")
    axes.set_xlabel(name)
    axes.grid(axis="x")

"""A timeline → what the report draws of it: shapes in a box 1000 wide and 100 high, as in `charts`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from emotion_llama.analyze.charts import HEIGHT, MAX_POINTS, TimeAxis, clock
from emotion_llama.analyze.timeline.colours import all_of, emotions_of
from emotion_llama.analyze.timeline.strip import strips_of
from emotion_llama.languages import ENGLISH, Language
from emotion_llama.timeline import Expression, Stretch, Timeline, Window

MOST_UNITS = 8
MOST_STRETCHES = 60
LEAST_WIDTH = 1.5
"""Narrowest shape that can still be seen."""


@dataclass(frozen=True)
class Shape:
    """A rectangle from `x`, so wide; `title` is what a reader who points at it is told."""

    x: float
    width: float
    title: str
    colour: str = ""
    mark: float | None = None  # x of the apex


@dataclass(frozen=True)
class Row:
    """One named row of shapes."""

    name: str
    note: str
    shapes: tuple[Shape, ...]


@dataclass(frozen=True)
class Layer:
    """The area of one label in the stacked chart of probabilities."""

    label: str
    colour: str
    path: str


@dataclass(frozen=True)
class TimelinePage:
    """Everything that the section shows. `transitions`: for each emotion a row of (count, share of the largest)."""

    layers: tuple[Layer, ...]
    stretches: tuple[Row, ...]
    expressions: tuple[Row, ...]
    cuts_x: tuple[float, ...]
    emotions: tuple[str, ...]
    transitions: tuple[tuple[str, tuple[tuple[int, float], ...]], ...]
    table: tuple[Stretch, ...]
    left_out: int


def page_of(timeline: Timeline, axis: TimeAxis, unit_names: dict[int, str], words: Language = ENGLISH) -> TimelinePage:
    """Lay the timeline out on an axis; `unit_names`: action units in words. Titles and names are in a language."""
    labels = list(next((w.probabilities for w in timeline.windows if w.probabilities), {}))
    colours = all_of(labels)
    table = sorted(timeline.stretches, key=lambda one: one.start_s - one.end_s)[:MOST_STRETCHES]
    return TimelinePage(
        layers=tuple(_layers(timeline.windows, labels, colours, axis)),
        stretches=tuple(
            Row(words.tell(name), "", tuple(_stretch(one, axis, colours, words) for one in ones))
            for name, ones in strips_of(timeline.stretches)
            if ones
        ),
        expressions=tuple(_unit_rows(timeline.expressions, axis, unit_names, words)),
        cuts_x=tuple(sorted({round(axis.x(cut_s)) for cut_s in timeline.cuts_s})),
        emotions=tuple(emotions_of(timeline)),
        transitions=tuple(_transitions(timeline)),
        table=tuple(sorted(table, key=lambda one: one.start_s)),
        left_out=len(timeline.stretches) - len(table),
    )


def _layers(
    windows: Sequence[Window], labels: Sequence[str], colours: dict[str, str], axis: TimeAxis
) -> Iterable[Layer]:
    """Stacked areas, likeliest label at the foot; nothing is drawn over time in which nothing could be scored."""
    runs = [_thinned(run) for run in _unbroken(windows)]
    mean = {label: sum(w.probabilities[label] for run in runs for w in run) for label in labels}
    order = sorted(labels, key=lambda label: -mean[label])
    parts: dict[str, list[str]] = {label: [] for label in order}
    edge = 0.0  # where the run before ends
    for run in runs:
        x = [axis.x(run[0].start_s), *(axis.x((w.start_s + w.end_s) / 2) for w in run), axis.x(run[-1].end_s)]
        x = [max(edge, place) for place in x]
        edge = x[-1]
        rows = np.array([[w.probabilities[label] for label in order] for w in run])
        rows = np.vstack([rows[:1], rows, rows[-1:]])  # (P, L): flat to both ends
        tops = np.cumsum(rows, axis=1)
        for at, label in enumerate(order):
            upper = list(zip(x, HEIGHT * (1 - tops[:, at]), strict=True))
            lower = list(zip(x, HEIGHT * (1 - (tops[:, at] - rows[:, at])), strict=True))
            parts[label].append("M" + "L".join(f"{px:.1f} {py:.1f}" for px, py in [*upper, *lower[::-1]]) + "Z")
    return (Layer(label, colours[label], " ".join(parts[label])) for label in order)


def _unbroken(windows: Sequence[Window]) -> list[list[Window]]:
    """Scored windows of one person without a hole between them; of people at the same time the first one's."""
    runs: list[list[Window]] = []
    for window in sorted((w for w in windows if w.probabilities), key=lambda w: (w.start_s, w.end_s)):
        last = runs[-1][-1] if runs else None
        if last is not None and window.end_s <= last.end_s:
            continue
        if last is not None and window.start_s <= last.end_s and window.person == last.person:
            runs[-1].append(window)
        else:
            runs.append([window])
    return runs


def _thinned(run: list[Window]) -> list[Window]:
    """At most as many windows as the eye can see, evenly spread."""
    if len(run) <= MAX_POINTS:
        return run
    return [run[round(place)] for place in np.linspace(0, len(run) - 1, MAX_POINTS)]


def _stretch(one: Stretch, axis: TimeAxis, colours: dict[str, str], words: Language) -> Shape:
    title = f"{words.shown(one.emotion)} {one.confidence:.0%}, {clock(one.start_s)}–{clock(one.end_s)}"
    return _shape(one.start_s, one.end_s, axis, title, colours[one.emotion])


def _shape(
    start_s: float, end_s: float, axis: TimeAxis, title: str, colour: str = "", mark: float | None = None
) -> Shape:
    x = axis.x(start_s)
    return Shape(round(x, 1), round(max(axis.x(end_s) - x, LEAST_WIDTH), 1), title, colour, mark)


def _unit_rows(
    moves: Sequence[Expression], axis: TimeAxis, unit_names: dict[int, str], words: Language
) -> Iterable[Row]:
    """A row for each of the units that move most of the time."""
    lasts: dict[str, float] = {}
    for move in moves:
        lasts[move.unit] = lasts.get(move.unit, 0.0) + move.offset_s - move.onset_s
    for unit in sorted(lasts, key=lambda unit: -lasts[unit])[:MOST_UNITS]:
        mine = _visible([move for move in moves if move.unit == unit], axis)
        shapes = [
            _shape(move.onset_s, move.offset_s, axis, words.tell(_course(move)), mark=round(axis.x(move.apex_s), 1))
            for move in mine
        ]
        count = sum(move.unit == unit for move in moves)
        yield Row(unit_names.get(int(unit.removeprefix("AU")), unit), f"{unit}, {count}×", tuple(shapes))


def _course(move: Expression) -> str:
    times = [clock(time_s) for time_s in (move.onset_s, move.apex_s, move.offset_s)]
    return f"{move.unit}: onset {times[0]}, apex {times[1]} ({move.intensity:.1f} of 5), offset {times[2]}"


def _visible(moves: Sequence[Expression], axis: TimeAxis) -> list[Expression]:
    """Those that can be told apart on the page: of several within one shape's width the strongest."""
    found: list[Expression] = []
    for move in sorted(moves, key=lambda one: one.onset_s):
        if found and axis.x(move.offset_s) - axis.x(found[-1].onset_s) < LEAST_WIDTH:
            found[-1] = max(found[-1], move, key=lambda one: one.intensity)
        else:
            found.append(move)
    return found


def _transitions(timeline: Timeline) -> Iterable[tuple[str, tuple[tuple[int, float], ...]]]:
    counts = timeline.transitions
    if not counts:
        return
    names = emotions_of(timeline)
    largest = max(max(row.values()) for row in counts.values())
    for before in names:
        row = [counts.get(before, {}).get(after, 0) for after in names]
        yield before, tuple((count, count / largest) for count in row)

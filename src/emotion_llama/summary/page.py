"""The table as one self-contained page: drawings of shares with their intervals, means, warnings, failures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from emotion_llama.analyze.report import UNIT_NAMES, VOICE_ROWS
from emotion_llama.analyze.writers import ClipFailure, unit_number, write_text
from emotion_llama.summary.groups import LABEL
from emotion_llama.summary.table import Cell

MOST_DRAWN = 40
"""Groups in a drawing; the table has all."""

ROW_PX, NAME_PX, GAP_PX, HEAD_PX, FOOT_PX = 22, 170, 16, 26, 22
WIDE_PX = 1170
"""What a drawing may take, with its names; columns are as wide as that allows, up to `MOST_COLUMN_PX`."""

LEAST_COLUMN_PX, MOST_COLUMN_PX, ONE_COLUMN_PX = 60, 150, 480
_VOICE = {field: (name, unit) for field, name, unit in VOICE_ROWS}


@dataclass(frozen=True)
class Dot:
    """One number in a drawing: its place and the ends of its line in px, and what it says in words."""

    x: float
    y: float
    low: float
    high: float
    words: str


@dataclass(frozen=True)
class Drawing:
    """Numbers from 0 to 1: a column each label, a row each group; all in px."""

    title: str
    width: int
    height: int
    column_px: int
    columns: tuple[tuple[str, int], ...]  # name, left
    rows: tuple[tuple[str, str, int], ...]  # name, how many, middle
    dots: tuple[Dot, ...]
    left_out: int


@dataclass(frozen=True)
class Section:
    """One column of groups."""

    by: str
    drawing: Drawing | None
    shares: tuple[tuple[str, int, tuple[Cell, ...]], ...]  # group, n, a cell a label
    labels: tuple[str, ...]
    measures: tuple[tuple[str, str, tuple[Cell | None, ...]], ...]  # name, unit, a cell a group
    groups: tuple[str, ...]


def write_page(
    title: str, rows: Sequence[Cell], failures: Sequence[ClipFailure], notes: Sequence[str], path: Path
) -> None:
    """Write the page. Raises `OutputError` naming the path."""
    write_text(render_page(title, rows, failures, notes), path)


def render_page(title: str, rows: Sequence[Cell], failures: Sequence[ClipFailure], notes: Sequence[str]) -> str:
    """The page as text; everything taken from clips is escaped."""
    environment = Environment(
        loader=PackageLoader("emotion_llama.summary", "."), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(figure=figure, percent=lambda share: f"{100 * share:.0f}")
    columns = list(dict.fromkeys(row.by for row in rows))
    everything = [row for row in rows if row.by == "all"]
    return environment.get_template("page.html.j2").render(
        title=title,
        clips=next(int(row.value) for row in everything if row.quantity == "clips"),
        failed=next((row for row in everything if row.quantity == "failure"), None),
        sections=[_section(by, [row for row in rows if row.by == by]) for by in columns],
        warnings=[row for row in everything if row.quantity == "warning"],
        failures=failures,
        notes=notes,
    )


def figure(value: float) -> str:
    """A number in three figures, without a power of ten."""
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _section(by: str, rows: Sequence[Cell]) -> Section:
    groups = tuple(dict.fromkeys(row.group for row in rows))
    of_group = {group: [row for row in rows if row.group == group] for group in groups}
    shares = {group: tuple(row for row in of_group[group] if row.quantity == "share") for group in groups}
    sizes = {group: next(int(r.value) for r in of_group[group] if r.quantity == "clips") for group in groups}
    labels = tuple(row.name for row in shares[groups[0]])
    return Section(
        by=by,
        drawing=_drawn(by, rows, groups, sizes),
        shares=tuple((group, sizes[group], shares[group]) for group in groups if labels),
        labels=labels,
        measures=tuple(_measures(rows, groups)),
        groups=groups,
    )


def _drawn(by: str, rows: Sequence[Cell], groups: Sequence[str], sizes: Mapping[str, int]) -> Drawing | None:
    """Shares; by label, where those say nothing, mean probabilities; of everything one column, a row each label."""
    drawn = [row for row in rows if row.quantity == ("probability" if by == LABEL else "share")]
    if not drawn:
        return None
    names = tuple(dict.fromkeys(row.name for row in drawn))
    places = {(row.group, row.name): row for row in drawn}
    if by == "all":
        lines = [(name, f"{places['all', name].count} of {sizes['all']}", [places["all", name]]) for name in names]
        return _drawing("Share of each label, with its 95 % interval", lines, ("",))
    title = (
        "Mean probability of each label where one was given, and one standard deviation"
        if by == LABEL
        else "Share of each label, with its 95 % interval"
    )
    cells = [(group, f"n={sizes[group]}", [places.get((group, name)) for name in names]) for group in groups]
    return _drawing(title, cells, names)


def _measures(rows: Sequence[Cell], groups: Sequence[str]) -> list[tuple[str, str, tuple[Cell | None, ...]]]:
    """Means as lines of a table: confidence, probabilities, action units, voice."""
    found = []
    for quantity in ("confidence", "probability", "action_unit", "voice", "claim"):
        for name in dict.fromkeys(row.name for row in rows if row.quantity == quantity):
            cells = {row.group: row for row in rows if row.quantity == quantity and row.name == name}
            found.append((*_words(quantity, name), tuple(cells.get(group) for group in groups)))
    return found


def _words(quantity: str, name: str) -> tuple[str, str]:
    """What a measure is called, and its unit."""
    if quantity == "confidence":
        return "Confidence", "0–1"
    if quantity == "probability":
        return f"Probability of {name}", "0–1"
    if quantity == "claim":
        return f"Signs in reasons: {name}", "share"
    if quantity == "action_unit":
        return f"{name} {UNIT_NAMES.get(unit_number(name), '')}".strip(), "0–5"
    return _VOICE[name]


def _drawing(title: str, lines: Sequence[tuple[str, str, Sequence[Cell | None]]], names: Sequence[str]) -> Drawing:
    room = (WIDE_PX - NAME_PX) // len(names) - GAP_PX
    column_px = ONE_COLUMN_PX if len(names) == 1 else min(MOST_COLUMN_PX, max(LEAST_COLUMN_PX, room))
    lefts = [NAME_PX + place * (column_px + GAP_PX) for place in range(len(names))]
    drawn = lines[:MOST_DRAWN]
    middles = [HEAD_PX + place * ROW_PX + ROW_PX // 2 for place in range(len(drawn))]
    dots = [
        _dot(cell, left, middle, column_px)
        for (_, _, cells), middle in zip(drawn, middles, strict=True)
        for cell, left in zip(cells, lefts, strict=True)
        if cell is not None
    ]
    return Drawing(
        title=title,
        width=NAME_PX + len(names) * (column_px + GAP_PX),
        height=HEAD_PX + len(drawn) * ROW_PX + FOOT_PX,
        column_px=column_px,
        columns=tuple(zip(names, lefts, strict=True)),
        rows=tuple((name, many, middle) for (name, many, _), middle in zip(drawn, middles, strict=True)),
        dots=tuple(dots),
        left_out=len(lines) - len(drawn),
    )


def _dot(cell: Cell, left: int, middle: int, column_px: int) -> Dot:
    deviation = cell.deviation or 0.0
    low = max(0.0, cell.value - deviation) if cell.low is None else cell.low
    high = min(1.0, cell.value + deviation) if cell.high is None else cell.high
    many = f"{cell.count} of {cell.n}, " if cell.count is not None else ""
    words = f"{cell.group}, {cell.name}: {many}{cell.value:.0%} ({low:.0%} to {high:.0%})"
    x, x_low, x_high = (round(left + column_px * share, 1) for share in (cell.value, low, high))
    return Dot(x, middle, x_low, x_high, words)

"""Praat's TextGrid (long text form, UTF-8)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_llama.analyze.tiers import Interval, Tier, Tiers, tiers_of
from emotion_llama.analyze.writers import write_text

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import Result


def write_textgrid(result: Result, path: Path) -> None:
    """Write one clip's tiers; a tier has no gaps, as Praat wants it. Raises `OutputError` naming the path."""
    write_text(render_textgrid(tiers_of(result)), path)


def render_textgrid(tiers: Tiers) -> str:
    """The file as text. Tiers without an entry are written too: an interval tier is then one empty interval."""
    end = _seconds(tiers.end_s)
    shown = [*tiers.interval_tiers, *(tier for tier in tiers.point_tiers if tier.points)]
    lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", f"xmax = {end}"]
    lines += ["tiers? <exists>", f"size = {len(shown)}", "item []:"]
    for number, tier in enumerate(shown, start=1):
        lines += [f"    item [{number}]:", *(f"        {line}" for line in _tier(tier, tiers.end_s))]
    return "\n".join(lines) + "\n"


def _tier(tier: Tier, end_s: float) -> Iterator[str]:
    yield f'class = "{"TextTier" if tier.points else "IntervalTier"}"'
    yield f"name = {_quoted(tier.name)}"
    yield "xmin = 0"
    yield f"xmax = {_seconds(end_s)}"
    if tier.points:
        yield f"points: size = {len(tier.points)}"
        for number, point in enumerate(tier.points, start=1):
            yield f"points [{number}]:"
            yield f"    number = {_seconds(point.time_s)}"
            yield f"    mark = {_quoted(point.text)}"
        return
    filled = list(without_gaps(tier.intervals, end_s))
    yield f"intervals: size = {len(filled)}"
    for number, interval in enumerate(filled, start=1):
        yield f"intervals [{number}]:"
        yield f"    xmin = {_seconds(interval.start_s)}"
        yield f"    xmax = {_seconds(interval.end_s)}"
        yield f"    text = {_quoted(interval.text)}"


def without_gaps(intervals: tuple[Interval, ...], end_s: float) -> Iterator[Interval]:
    """The intervals with empty ones between them, before the first and behind the last."""
    at_s = 0.0
    for interval in intervals:
        if interval.start_s > at_s:
            yield Interval(at_s, interval.start_s, "")
        yield interval
        at_s = interval.end_s
    if end_s > at_s:
        yield Interval(at_s, end_s, "")


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _seconds(value: float) -> str:
    return f"{value:.6f}".rstrip("0").rstrip(".")

"""A timeline in the terminal: strips of coloured blocks with a time axis and a legend, and a table of stretches."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise

from rich.cells import cell_len
from rich.console import Console
from rich.text import Text

from emotion_llama.analyze.console import printable
from emotion_llama.analyze.timeline.colours import colours_of, marks_of
from emotion_llama.analyze.timeline.journal import minutes
from emotion_llama.languages import ENGLISH, Language
from emotion_llama.timeline import Stretch, Timeline

MOST_ROWS = 20
MOST_STRIPS = 6
NARROWEST = 20
TICK_COLUMNS = 12
STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200)


def show_timeline(timeline: Timeline, span_s: tuple[float, float], console: Console, words: Language = ENGLISH) -> None:
    """Print strips, axis, legend and stretches; `span_s`: from when to when was looked at."""
    console.print()
    console.print(Text(words.tell("Over time"), style="bold"))
    if not timeline.stretches:
        console.print(
            Text("  " + words.tell("no emotion lasts: nobody is seen or heard, or no window was sure enough"))
        )
        return
    colours, marks = colours_of(timeline), marks_of(timeline)
    strips = [(words.tell(name), stretches) for name, stretches in strips_of(timeline.stretches)]
    head = max(cell_len(name) for name, _ in strips)
    width = max(NARROWEST, console.width - 4 - head)
    for name, stretches in strips:
        row = Text("  " + " " * (head - cell_len(name)) + name + " ").append(
            strip(stretches, span_s, width, colours, marks)
        )
        console.print(row, no_wrap=True, overflow="crop")
    console.print(Text("  " + " " * head + " " + axis(span_s, width), style="dim"), no_wrap=True, overflow="crop")
    legend = Text(" ")
    for name, colour in colours.items():
        legend.append(" ").append(f" {marks[name]} ", style=f"black on {colour}").append(
            f" {printable(words.shown(name))} "
        )
    console.print(legend)
    _show_table(timeline, console, words)


def strips_of(stretches: Sequence[Stretch]) -> list[tuple[str, list[Stretch]]]:
    """A strip for all while people take turns; where they are there at the same time, one for each of the first few."""
    ordered = sorted(stretches, key=lambda one: one.start_s)
    if all(before.end_s <= after.start_s + 1e-6 for before, after in pairwise(ordered)):
        return [("", ordered)]
    lasts: dict[int | None, float] = {}
    for one in ordered:
        lasts[one.person] = lasts.get(one.person, 0.0) + one.end_s - one.start_s
    shown = sorted(lasts, key=lambda person: -lasts[person])[:MOST_STRIPS]
    return [
        ("" if person is None else f"person {person}", [one for one in ordered if one.person == person])
        for person in sorted(shown, key=lambda person: -1 if person is None else person)
    ]


def strip(
    stretches: Iterable[Stretch],
    span_s: tuple[float, float],
    width: int,
    colours: dict[str, str],
    marks: dict[str, str],
) -> Text:
    """`width` blocks over the span, each coloured and marked by what lasts longest in it; a dot where nothing does."""
    step_s = max(span_s[1] - span_s[0], 1e-6) / width
    lasts: list[dict[str, float]] = [{} for _ in range(width)]
    for one in stretches:
        first = max(0, int((one.start_s - span_s[0]) / step_s))
        last = min(width - 1, int((one.end_s - span_s[0]) / step_s))
        for place in range(first, last + 1):
            start_s = span_s[0] + place * step_s
            inside = min(one.end_s, start_s + step_s) - max(one.start_s, start_s)
            lasts[place][one.emotion] = lasts[place].get(one.emotion, 0.0) + inside
    text = Text()
    for there in lasts:
        emotion = max(there, key=there.__getitem__) if there and max(there.values()) > 0 else None
        if emotion is None:
            text.append(".", style="dim")
        else:
            text.append(marks[emotion], style=f"black on {colours[emotion]}")
    return text


def axis(span_s: tuple[float, float], width: int) -> str:
    """Times under a strip of so many columns, each beginning where it is: "0:00      0:30      1:00"."""
    length_s = max(span_s[1] - span_s[0], 1e-6)
    fitting = (step for step in STEPS_S if step / length_s * width >= TICK_COLUMNS)
    step_s = next(fitting, length_s)
    line, tick_s = "", -(-span_s[0] // step_s) * step_s
    while tick_s < span_s[1]:
        column = int((tick_s - span_s[0]) / length_s * width)
        label = "|" + minutes(tick_s)
        if len(line) <= column and column + len(label) <= width:
            line = line.ljust(column) + label
        tick_s += step_s
    return line


def _show_table(timeline: Timeline, console: Console, words: Language) -> None:
    people = len({one.person for one in timeline.stretches}) > 1
    ranked = sorted(timeline.stretches, key=lambda one: one.start_s)
    rows = ranked if len(ranked) <= MOST_ROWS else _longest(ranked)
    console.print()
    for one in rows:
        when = f"{minutes(one.start_s)}–{minutes(one.end_s)}"
        text = (
            Text(f"  {when:>15}  ")
            .append(printable(words.shown(one.emotion)).ljust(10), style="bold")
            .append(f" {one.confidence:4.0%}")
        )
        text.append("  " + words.tell(f"surest at {minutes(one.peak_s)}"), style="dim")
        if people and one.person is not None:
            text.append("  " + words.tell(f"person {one.person}"), style="dim")
        console.print(text, no_wrap=True, overflow="crop")
    if len(rows) < len(ranked):
        left_out = words.tell(f"the {len(rows)} longest of {len(ranked)} stretches; all are in the JSON")
        console.print(Text("  " + left_out, style="dim"))


def _longest(stretches: Sequence[Stretch]) -> list[Stretch]:
    longest = sorted(stretches, key=lambda one: one.start_s - one.end_s)[:MOST_ROWS]
    return sorted(longest, key=lambda one: one.start_s)

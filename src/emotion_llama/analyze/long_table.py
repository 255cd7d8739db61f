"""The long table: one row a measurement, for pandas (`groupby`, `pivot`) and R."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

from emotion_llama.analyze.report import VOICE_ROWS
from emotion_llama.analyze.writers import ClipFailure, spreadsheet_cell, write_text
from emotion_llama.clip import Analysis
from emotion_llama.timeline import Timeline

What = Literal[
    "emotion", "probability", "valence", "person", "person_span", "action_unit", "voice", "observation", "claim",
    "segment", "window", "window_probability", "stretch", "expression", "cut", "error",
]  # fmt: skip

_PROBABILITY = "probability"
_OF_FIVE = "of 5"


class Row(NamedTuple):
    """One row; the fields are the columns. `None` is an empty cell; times are seconds of the recording."""

    clip: str
    what: What
    name: str | None = None
    start_s: float | None = None
    end_s: float | None = None
    value: float | None = None
    unit: str | None = None
    text: str | None = None
    person: int | None = None


def write_long_csv(rows: Iterable[Analysis | ClipFailure], path: Path) -> None:
    """Write the long table of clips, UTF-8 with a header. Raises `OutputError` naming the path.

    An empty cell is a value that is not there. A text that a spreadsheet would run as a formula gets a leading
    apostrophe.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text)
    table.writerow(Row._fields)
    for row in rows:
        table.writerows([spreadsheet_cell(value) for value in found] for found in long_rows(row))
    write_text(text.getvalue(), path)


def long_rows(row: Analysis | ClipFailure) -> Iterator[Row]:
    """Give the rows of one clip; of a clip that failed a single one, with its error."""
    clip = row.clip
    if isinstance(row, ClipFailure):
        yield Row(clip, "error", row.error.type, text=row.error.message)
        return
    yield from _answer(row)
    peak_s = row.peak_frame.time_s if row.peak_frame else None
    for name, size in row.action_units.items():
        yield Row(clip, "action_unit", name, peak_s, peak_s, size, _OF_FIVE)
    for field, _, unit in VOICE_ROWS if row.voice else ():
        value = getattr(row.voice, field)
        if value is not None:
            yield Row(clip, "voice", field, value=float(value), unit=unit or None)
    for o in row.evidence:
        yield Row(clip, "observation", o.name or o.channel, o.start_s, o.end_s, o.value, o.unit, o.text)
    for o in row.claims:
        yield Row(clip, "claim", o.verdict, o.start_s, o.end_s, o.value, o.unit, o.text)
    for segment in row.transcript.segments:
        yield Row(clip, "segment", None, segment.start_s, segment.end_s, text=segment.text)
    if row.timeline is not None:
        yield from _timeline(clip, row.timeline)


def _answer(row: Analysis) -> Iterator[Row]:
    clip = row.clip
    yield Row(clip, "emotion", row.emotion, value=row.confidence, unit=_PROBABILITY, text=", ".join(row.labels) or None)
    for label, p in row.probabilities.items():
        yield Row(clip, "probability", label, value=p, unit=_PROBABILITY)
    if row.valence is not None:
        yield Row(clip, "valence", value=row.valence.value, unit="from -1 to 1", text=row.valence.source)
    for one in row.people:
        yield Row(clip, "person", one.emotion, None, None, one.confidence, _PROBABILITY, one.role, one.person)
        for start_s, end_s in one.spans_s:
            yield Row(clip, "person_span", one.emotion, start_s, end_s, text=one.role, person=one.person)


def _timeline(clip: str, timeline: Timeline) -> Iterator[Row]:
    for w in timeline.windows:
        yield Row(clip, "window", w.emotion, w.start_s, w.end_s, w.confidence, _PROBABILITY, w.text, w.person)
        for label, p in w.probabilities.items():
            yield Row(clip, "window_probability", label, w.start_s, w.end_s, p, _PROBABILITY, None, w.person)
    for s in timeline.stretches:
        yield Row(clip, "stretch", s.emotion, s.start_s, s.end_s, s.confidence, _PROBABILITY, None, s.person)
    for e in timeline.expressions:
        apex = f"apex {e.apex_s:.3f} s"
        yield Row(clip, "expression", e.unit, e.onset_s, e.offset_s, e.intensity, _OF_FIVE, apex, e.person)
    for time_s in timeline.cuts_s:
        yield Row(clip, "cut", None, time_s, time_s)

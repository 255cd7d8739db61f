"""An analysis as tiers over time, as Praat and ELAN show them: what both writers write.

Interval tiers: `emotion`, `words`, `transcript`, and one for each action unit that moves ("AU12"); where several people
are followed, emotion and action units have a tier a person ("emotion person 1"). Point tiers: `apex` (where each
movement is largest) and `peak frame`. A tier's intervals are in order, at least a millisecond long, do not overlap and
lie within the recording.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.captions import LEAST_S, span_s
from emotion_llama.analyze.console import headline
from emotion_llama.analyze.writers import one_line
from emotion_llama.languages import language
from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries
from emotion_llama.perception.describe import MIN_CONFIDENCE, word_table
from emotion_llama.timeline import Expression, Stretch

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import Result


@dataclass(frozen=True)
class Interval:
    """A text from one time to another, seconds of the recording."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class Point:
    """A text at one time, seconds of the recording."""

    time_s: float
    text: str


@dataclass(frozen=True)
class Tier:
    """Intervals or points under one name; the other of the two is empty."""

    name: str
    intervals: tuple[Interval, ...] = ()
    points: tuple[Point, ...] = ()


@dataclass(frozen=True)
class Tiers:
    """All tiers of one recording; `end_s` is its end, and it starts at 0."""

    end_s: float
    interval_tiers: tuple[Tier, ...]
    point_tiers: tuple[Tier, ...]


def tiers_of(result: Result) -> Tiers:
    """Put the tiers of one clip together. A text or a picture, which has no time, is given a few seconds."""
    end_s = math.ceil(max(span_s(result)[1], result.material.recording_s or 0.0) * 1000) / 1000
    analysis = result.analysis
    segments = analysis.transcript.segments
    spoken = [Interval(word.start_s, word.end_s, word.text) for segment in segments for word in segment.words]
    said = [Interval(segment.start_s, segment.end_s, segment.text) for segment in segments]
    if not said and analysis.transcript.text:
        said = [Interval(*span_s(result), analysis.transcript.text)]
    moves = _movements(result)
    intervals = {**_emotions(result), "words": spoken, "transcript": said, **_units(moves)}
    points = {"apex": _apexes(moves), "peak frame": _peak_frame(result)}
    return Tiers(
        end_s,
        tuple(Tier(name, intervals=apart(found, end_s)) for name, found in intervals.items()),
        tuple(Tier(name, points=_points_apart(found, end_s)) for name, found in points.items()),
    )


def _emotions(result: Result) -> dict[str, list[Interval]]:
    timeline = result.analysis.timeline
    if timeline is None or not timeline.stretches:
        sure = result.analysis.confidence
        text = headline(result.analysis) + ("" if sure is None else f" {sure:.2f}")
        return {"emotion": [Interval(*span_s(result), text)]}
    words = language(result.analysis.language)
    several = len({stretch.person for stretch in timeline.stretches}) > 1
    found: dict[str, list[Interval]] = {}
    for stretch in timeline.stretches:
        text = f"{words.shown(stretch.emotion)} {stretch.confidence:.2f}"
        found.setdefault(_name("emotion", stretch, several), []).append(Interval(stretch.start_s, stretch.end_s, text))
    return dict(sorted(found.items()))


def _name(what: str, of: Stretch | Expression, several: bool) -> str:
    return f"{what} person {of.person}" if several and of.person is not None else what


def _movements(result: Result) -> tuple[Expression, ...]:
    """Movements of the face: the timeline's, or those of the measured series where there is no timeline."""
    if result.analysis.timeline is not None:
        return result.analysis.timeline.expressions
    series = result.material.action_units
    return () if series is None else movements(series)


def movements(series: ActionUnitSeries) -> tuple[Expression, ...]:
    """Where each action unit is at least slightly there: from its first sample to its last, half a step around both.

    A sample that is less sure than a description needs does not count. Sorted by unit, then by time.
    """
    if not len(series.time_s):
        return ()
    times = series.time_s.astype(np.float64)
    step_s = float(np.median(np.diff(times))) if len(times) > 1 else LEAST_S
    there = (series.intensity >= word_table().action_unit_steps[0]) & (series.confidence >= MIN_CONFIDENCE)
    found = []
    for unit in series.measured:
        column = ACTION_UNITS.index(unit)
        for first, last in _runs(there[:, column], times, 2 * step_s):
            apex = first + int(np.argmax(series.intensity[first : last + 1, column]))
            found.append(
                Expression(
                    unit=f"AU{unit:02d}",
                    onset_s=max(0.0, float(times[first]) - step_s / 2),
                    apex_s=float(times[apex]),
                    offset_s=float(times[last]) + step_s / 2,
                    intensity=min(5.0, float(series.intensity[apex, column])),
                )
            )
    return tuple(found)


def _runs(there: NDArray[np.bool_], times: NDArray[np.float64], longest_gap_s: float) -> list[tuple[int, int]]:
    """First and last index of each run of true samples; a gap in time ends a run."""
    runs: list[tuple[int, int]] = []
    for place in np.flatnonzero(there):
        if runs and place == runs[-1][1] + 1 and times[place] - times[runs[-1][1]] <= longest_gap_s:
            runs[-1] = (runs[-1][0], int(place))
        else:
            runs.append((int(place), int(place)))
    return runs


def _units(moves: Sequence[Expression]) -> dict[str, list[Interval]]:
    several = len({move.person for move in moves}) > 1
    found: dict[str, list[Interval]] = {}
    for move in moves:
        interval = Interval(move.onset_s, move.offset_s, f"{move.intensity:.1f}")
        found.setdefault(_name(move.unit, move, several), []).append(interval)
    return dict(sorted(found.items()))


def _apexes(moves: Sequence[Expression]) -> list[Point]:
    several = len({move.person for move in moves}) > 1
    return [Point(move.apex_s, f"{_name(move.unit, move, several)} {move.intensity:.1f}") for move in moves]


def _peak_frame(result: Result) -> list[Point]:
    frame = result.analysis.peak_frame
    return [] if frame is None else [Point(frame.time_s, f"{frame.policy} frame {frame.index}")]


def apart(intervals: Iterable[Interval], end_s: float) -> tuple[Interval, ...]:
    """Put intervals in order so that none overlap, none is empty and none leaves the recording; nothing is lost.

    Where two overlap, the earlier ends where the later starts. What starts in the same millisecond, or has no room
    left before the end, becomes one interval with both texts. An interval without a text is none.
    """
    found: list[tuple[int, int, str]] = []  # milliseconds
    last_ms = max(1, math.floor(round(end_s * 1000, 6)))  # rounded first: .57 * 1000 lies below 570
    for interval in sorted(intervals, key=lambda one: (one.start_s, one.end_s)):
        text = one_line(interval.text)
        if not text:
            continue
        start = min(max(0, round(interval.start_s * 1000)), last_ms - 1)
        end = min(max(round(interval.end_s * 1000), start + 1), last_ms)
        if found and start <= found[-1][0]:
            before = found.pop()
            start, end, text = before[0], max(before[1], end), f"{before[2]} {text}"
        elif found and start < found[-1][1]:
            found[-1] = (found[-1][0], start, found[-1][2])
        found.append((start, end, text))
    return tuple(Interval(start / 1000, end / 1000, text) for start, end, text in found)


def _points_apart(points: Iterable[Point], end_s: float) -> tuple[Point, ...]:
    """Points in order; those of the same millisecond become one with all their texts."""
    found: dict[int, list[str]] = {}
    for point in sorted(points, key=lambda one: one.time_s):
        found.setdefault(round(min(max(point.time_s, 0.0), end_s) * 1000), []).append(one_line(point.text))
    return tuple(Point(ms / 1000, ", ".join(texts)) for ms, texts in found.items())

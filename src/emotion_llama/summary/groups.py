"""Which group of which column an analysis, or a moment of it, belongs to."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import PurePath

import numpy as np

from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import UsageError
from emotion_llama.timeline import Window

LABEL, TIME, PERSON = "label", "time", "person"
NO_LABEL = "(none)"
"""The group of what was given no emotion: that too is an answer, and counts."""

MOST_VALUES = 6
"""A column of more different numbers than this is cut into `BINS` of about the same size."""

BINS = 3
TIME_BINS = 10
"""Parts of a recording, each as long as the others: recordings of any length can be laid on one another."""


@dataclass(frozen=True)
class Sample:
    """One thing that is counted: an analysis, or one window of its timeline.

    `verdicts`: of each sign that the reasoning names.
    """

    labels: tuple[str, ...]
    probabilities: Mapping[str, float]
    confidence: float | None
    action_units: Mapping[str, float]
    voice: Mapping[str, float]
    warnings: tuple[str, ...]
    verdicts: tuple[str, ...] = ()


def sample_of(analysis: Analysis) -> Sample:
    """An analysis as it is counted; with open labels each of its words counts."""
    voice = {} if analysis.voice is None else analysis.voice.model_dump()
    return Sample(
        labels=(analysis.emotion,) if analysis.emotion is not None else analysis.labels or (NO_LABEL,),
        probabilities=analysis.probabilities,
        confidence=analysis.confidence,
        action_units=analysis.action_units,
        voice={name: float(value) for name, value in voice.items() if value is not None},
        warnings=tuple(general(text, analysis.probabilities) for text in analysis.warnings),
        verdicts=tuple(claim.verdict for claim in analysis.claims if claim.verdict is not None),
    )


def general(warning: str, labels: Iterable[str]) -> str:
    """A warning without what differs from clip to clip, so that it can be counted: numbers and asked labels."""
    named = "|".join(re.escape(label) for label in labels)
    text = re.sub(rf"(?<!\w)(?:{named})(?!\w)", "…", warning) if named else warning
    return re.sub(r"\d+(?:[.,]\d+)*", "#", text)


def annotated_by(analyses: Sequence[Analysis], clips: Sequence[Clip]) -> dict[str, Clip]:
    """Result's name → row of the manifest: the same name, or the same end of the path where only one row has it.

    Raises `UsageError` where no result is in the manifest.
    """
    rows: dict[str, list[Clip]] = {}
    for clip in clips:
        for end in _ends(clip.clip):
            rows.setdefault(end, []).append(clip)
    found = {}
    taken = Counter(end for row in analyses for end in _ends(row.clip))
    exact = {clip.clip: clip for clip in clips}
    for row in analyses:
        # else the longest end that both have; a shorter one may be another recording's
        shared = next((end for end in _ends(row.clip) if end in rows), None)
        if row.clip in exact:
            found[row.clip] = exact[row.clip]
        elif shared is not None and len(rows[shared]) == 1 and taken[shared] == 1:
            found[row.clip] = rows[shared][0]
    if clips and not found:
        raise UsageError(
            f"--manifest: none of its {len(clips)} clips ({clips[0].clip}, …) is among the {len(analyses)} analyses "
            f"({analyses[0].clip}, …), or the ends of their paths fit several; give the list that was analysed"
        )
    return found


def _ends(clip: str) -> list[str]:
    """A path and what is left of it without its first folders, longest first."""
    parts = PurePath(clip.replace("\\", "/")).parts
    return ["/".join(parts[at:]) for at in range(len(parts))]


def columns(analyses: Sequence[Analysis], rows: Mapping[str, Clip]) -> list[str]:
    """Names of all columns that these analyses can be grouped by, the built-in ones first."""
    names = [LABEL]
    if any(row.timeline is not None and row.timeline.windows for row in analyses):
        names.append(TIME)
    if any(row.people for row in analyses):
        names.append(PERSON)
    clips = rows.values()
    for field in ("speaker", "emotion"):
        if any(getattr(clip, field) is not None for clip in clips):
            names.append(field)
    return [*names, *sorted({name for clip in clips for name in clip.groups} - set(names))]


def check_columns(wanted: Sequence[str], known: Sequence[str], has_manifest: bool) -> None:
    """Raise `UsageError` for a column that is not there, naming those that are."""
    for name in wanted:
        if name in known:
            continue
        near = get_close_matches(name, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        more = "" if has_manifest else "; columns of your own come with --manifest"
        if name == TIME:
            more = "; time needs analyses with a timeline"
        raise UsageError(f"--by: no column {name!r}{hint} There are: {', '.join(known)}{more}")


def grouped(column: str, analyses: Sequence[Analysis], rows: Mapping[str, Clip]) -> dict[str, list[Sample]]:
    """The samples of each group of a column, groups in their natural order."""
    if column == TIME:
        return _by_time(analyses)
    if column == PERSON:
        return _by_person(analyses)
    pairs = [(_value(column, row, rows.get(row.clip)), sample_of(row)) for row in analyses]
    numbers = [value for value, _ in pairs if isinstance(value, float)]
    name = _binned(numbers) if len(set(numbers)) > MOST_VALUES else _plain
    found: dict[str, list[Sample]] = {}
    for value, sample in sorted(pairs, key=lambda pair: _order(pair[0])):
        for one in sample.labels if column == LABEL else (name(value),):
            found.setdefault(one, []).append(sample)
    if column == LABEL:
        return dict(sorted(found.items(), key=lambda pair: (-len(pair[1]), pair[0])))
    return found


def _value(column: str, analysis: Analysis, clip: Clip | None) -> str | float | None:
    if column == LABEL:
        return analysis.emotion
    if clip is None:
        return None
    value = getattr(clip, column) if column in ("speaker", "emotion") else clip.groups.get(column)
    return float(value) if isinstance(value, int | float) else value


def _plain(value: str | float | None) -> str:
    if value is None:
        return "(not known)"
    return f"{value:g}" if isinstance(value, float) else value


def _order(value: str | float | None) -> tuple[int, float, str]:
    if isinstance(value, float):
        return 0, value, ""
    return (2, 0.0, "") if value is None else (1, 0.0, value)


class _binned:
    """Names the part of the range that a number lies in; parts hold about equally many numbers."""

    def __init__(self, numbers: Sequence[float]) -> None:
        cuts = np.quantile(numbers, np.arange(1, BINS) / BINS)
        self._edges = sorted({min(numbers), *map(float, cuts), max(numbers)})

    def __call__(self, value: str | float | None) -> str:
        if not isinstance(value, float):
            return _plain(value)
        place = min(max(1, sum(edge <= value for edge in self._edges)), len(self._edges) - 1)
        last = place == len(self._edges) - 1
        return f"{self._edges[place - 1]:.3g} to {'' if last else 'below '}{self._edges[place]:.3g}"


def _by_time(analyses: Sequence[Analysis]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {_part(at): [] for at in range(TIME_BINS)}
    for row in analyses:
        windows = row.timeline.windows if row.timeline is not None else ()
        if windows:
            start_s, end_s = min(w.start_s for w in windows), max(w.end_s for w in windows)
            for window in windows:
                share = ((window.start_s + window.end_s) / 2 - start_s) / max(end_s - start_s, 1e-9)
                found[_part(min(TIME_BINS - 1, math.floor(share * TIME_BINS)))].append(_of_window(window))
    return {name: samples for name, samples in found.items() if samples}


def _part(at: int) -> str:
    return f"{100 * at // TIME_BINS}–{100 * (at + 1) // TIME_BINS} %"


def _of_window(window: Window) -> Sample:
    return Sample((window.emotion or NO_LABEL,), window.probabilities, window.confidence, {}, {}, ())


def _by_person(analyses: Sequence[Analysis]) -> dict[str, list[Sample]]:
    found: dict[str, list[Sample]] = {}
    for name, sample in sorted(_people(analyses), key=lambda pair: pair[0]):
        found.setdefault(name, []).append(sample)
    return found


def _people(analyses: Sequence[Analysis]) -> Iterator[tuple[str, Sample]]:
    """People of each recording in each role; person 1 of one recording is nobody of another."""
    for row in analyses:
        for one in row.people:
            name = one.role if len(analyses) > 1 else f"person {one.person}, {one.role}"
            yield name, Sample((one.emotion or NO_LABEL,), one.probabilities, one.confidence, {}, {}, ())

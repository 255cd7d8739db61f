"""Captions with emotion: WebVTT and SubRip, one cue a stretch of the timeline or of speech.

A cue reads `[angry 0.82] I told you so`: the emotion, how sure it is, and what was said. Where the course of time was
looked at, the emotion is the stretch's; otherwise that of the whole recording. Words outside of every stretch are shown
without an emotion.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_llama.analyze.console import headline
from emotion_llama.analyze.writers import one_line, write_text
from emotion_llama.clip import Analysis, Transcript
from emotion_llama.languages import ENGLISH, Language, language
from emotion_llama.timeline import Stretch, Timeline

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import Result

UNTIMED_S = 5.0
"""How long a text or a still picture lasts in files that need a time."""

PAUSE_S = 1.0
"""Words that are this far apart are not shown as one."""

LEAST_S = 0.001
"""The shortest cue: these formats count milliseconds."""


@dataclass(frozen=True)
class Cue:
    """What is shown from when to when, seconds of the recording; one line of plain text."""

    start_s: float
    end_s: float
    text: str


@dataclass(frozen=True)
class _Said:
    """Words with the time they were spoken."""

    start_s: float
    end_s: float
    text: str

    @property
    def middle_s(self) -> float:
        return (self.start_s + self.end_s) / 2


def span_s(result: Result) -> tuple[float, float]:
    """Start and end of what was looked at, seconds of the recording; `UNTIMED_S` long where there is no time."""
    start_s = result.material.start_s
    length_s = result.analysis.duration_s
    return start_s, start_s + (UNTIMED_S if length_s is None else max(length_s, LEAST_S))


def cues(result: Result) -> list[Cue]:
    """The captions of one clip, at least one, in the order of time; those of several people may overlap."""
    analysis = result.analysis
    timeline = analysis.timeline
    if timeline is not None and timeline.stretches:
        found = _of_stretches(timeline, analysis.transcript, span_s(result), language(analysis.language))
    else:
        found = _of_speech(analysis, span_s(result))
    return sorted(found, key=lambda cue: (cue.start_s, cue.end_s))


def _of_speech(analysis: Analysis, span: tuple[float, float]) -> list[Cue]:
    """A cue a stretch of speech; a single one where nothing is said or it is not known when."""
    mark = _mark(headline(analysis), analysis.confidence)
    parts = [(s.start_s, s.end_s, s.text) for s in analysis.transcript.segments if one_line(s.text)]
    return [_cue(start, end, mark, text) for start, end, text in parts or [(*span, analysis.transcript.text or "")]]


def _of_stretches(timeline: Timeline, transcript: Transcript, span: tuple[float, float], words: Language) -> list[Cue]:
    several = len({stretch.person for stretch in timeline.stretches}) > 1
    said = _said(transcript)
    spoken: dict[int | None, list[_Said]] = {}
    for one in said:
        spoken.setdefault(_stretch_of(one, timeline), []).append(one)
    found = []
    for place, stretch in enumerate(timeline.stretches):
        text = " ".join(one.text for one in spoken.get(place, ()))
        mark = _mark(words.shown(stretch.emotion), stretch.confidence, stretch.person if several else None, words)
        found.append(_cue(stretch.start_s, stretch.end_s, mark, text))
    found += _without_emotion(spoken.get(None, []))
    if not said and transcript.text:  # it is not known when: the words stand below the emotion all the time
        found.append(_cue(*span, "", transcript.text))
    return found


def _said(transcript: Transcript) -> list[_Said]:
    """Every word with its time; where a stretch of speech has no words of its own, all of it."""
    found = []
    for segment in transcript.segments:
        found += [_Said(part.start_s, part.end_s, one_line(part.text)) for part in segment.words or (segment,)]
    return [said for said in found if said.text]


def _stretch_of(said: _Said, timeline: Timeline) -> int | None:
    """The stretch that some words are shown with: of those at that time the one whose person speaks, else the first."""
    near = [n for n, s in enumerate(timeline.stretches) if s.start_s <= said.middle_s < s.end_s]
    return next((n for n in near if _speaks(timeline.stretches[n], said.middle_s, timeline)), next(iter(near), None))


def _speaks(stretch: Stretch, time_s: float, timeline: Timeline) -> bool:
    near = [w for w in timeline.windows if w.person == stretch.person and w.start_s <= time_s < w.end_s]
    # windows overlap: the one whose middle is nearest knows best
    nearest = min(near, key=lambda w: abs((w.start_s + w.end_s) / 2 - time_s), default=None)
    return nearest is not None and nearest.speaking is True


def _without_emotion(said: Sequence[_Said]) -> list[Cue]:
    """Words outside of every stretch as cues of their own; a pause ends a cue."""
    together: list[list[_Said]] = []
    for words in said:
        if not together or words.start_s - together[-1][-1].end_s > PAUSE_S:
            together.append([])
        together[-1].append(words)
    return [_cue(group[0].start_s, group[-1].end_s, "", " ".join(words.text for words in group)) for group in together]


def _mark(emotion: str, confidence: float | None, person: int | None = None, words: Language = ENGLISH) -> str:
    who = "" if person is None else words.tell(f"person {person}") + ": "
    sure = "" if confidence is None else f" {confidence:.2f}"
    return f"[{who}{emotion}{sure}]"


def _cue(start_s: float, end_s: float, mark: str, text: str) -> Cue:
    start_s = max(0.0, start_s)
    return Cue(start_s, max(end_s, start_s + LEAST_S), one_line(f"{mark} {text}"))


def write_vtt(result: Result, path: Path) -> None:
    """Write WebVTT, for video players and web pages. Raises `OutputError` naming the path."""
    blocks = [f"{_times(cue, '.')}\n{_vtt_text(cue.text)}\n" for cue in cues(result)]
    write_text("\n".join(["WEBVTT\n", *blocks]), path)


def write_srt(result: Result, path: Path) -> None:
    """Write SubRip, for video players. Raises `OutputError` naming the path."""
    blocks = [
        f"{number}\n{_times(cue, ',')}\n{_srt_text(cue.text)}\n" for number, cue in enumerate(cues(result), start=1)
    ]
    write_text("\n".join(blocks), path)


def _vtt_text(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _srt_text(text: str) -> str:
    """SubRip cannot escape: what a reader would take for a line of times or for markup is written with look-alikes."""
    return text.replace("-->", "→").replace("<", "‹").replace(">", "›")


def _times(cue: Cue, point: str) -> str:
    start_ms = round(cue.start_s * 1000)
    end_ms = max(round(cue.end_s * 1000), start_ms + 1)
    return f"{_clock(start_ms, point)} --> {_clock(end_ms, point)}"


def _clock(ms: int, point: str) -> str:
    return f"{ms // 3_600_000:02d}:{ms // 60_000 % 60:02d}:{ms // 1000 % 60:02d}{point}{ms % 1000:03d}"

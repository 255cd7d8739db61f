"""Captions are read back by webvtt-py, and tell the emotion, how sure it is, and what was said."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import webvtt

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.captions import UNTIMED_S, cues, write_srt, write_vtt
from emotion_llama.clip import Segment, Transcript

Write = Callable[[Result, Path], None]
Captions = list[tuple[float, float, str]]


def read(path: Path) -> Captions:
    """What the tool's own reader finds: start, end, text."""
    found = webvtt.read(str(path)) if path.suffix == ".vtt" else webvtt.from_srt(str(path))
    return [(one.start_in_seconds, one.end_in_seconds, one.text) for one in found.captions]


def seconds(path: Path) -> Captions:
    """The same with the milliseconds, which the reader keeps in words."""

    def clock(text: str) -> float:
        hours, minutes, rest = text.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(rest)

    found = webvtt.read(str(path)) if path.suffix == ".vtt" else webvtt.from_srt(str(path))
    return [(clock(one.start), clock(one.end), one.text) for one in found.captions]


@pytest.fixture(params=["vtt", "srt"])
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Result], Captions]:
    """Write captions of one form and give what its reader reads."""
    write = write_vtt if request.param == "vtt" else write_srt
    path = tmp_path / f"a.{request.param}"

    def go(result: Result) -> Captions:
        write(result, path)
        return seconds(path)

    return go


def test_a_cue_for_each_stretch_of_speech(result: Result, written: Callable[[Result], Captions]) -> None:
    assert written(result) == [(0.2, 1.0, "[happy 0.70] I told you so."), (2.4, 3.0, "[happy 0.70] Fine!")]


def test_a_cue_for_each_stretch_of_the_timeline(timed_result: Result, written: Callable[[Result], Captions]) -> None:
    """The first words go to the person who speaks, the last to the only one who is there."""
    assert written(timed_result) == [
        (0.0, 2.0, "[person 1: angry 0.82]"),
        (0.0, 2.2, "[person 2: happy 0.70] I told you so"),
        (2.0, 3.5, "[person 1: neutral 0.60] Fine!"),
    ]


def test_one_person_is_not_numbered_and_no_words_are_lost(
    timed_result: Result, written: Callable[[Result], Captions]
) -> None:
    timeline = timed_result.analysis.timeline
    assert timeline is not None
    one = timeline.model_copy(update={"stretches": (timeline.stretches[0].model_copy(update={"end_s": 0.6}),)})
    changed = timed_result.analysis.model_copy(update={"timeline": one})
    assert written(replace(timed_result, analysis=changed)) == [
        (0.0, 0.6, "[angry 0.82] I told"), (0.5, 1.0, "you so"), (2.4, 3.0, "Fine!"),
    ]  # fmt: skip


def test_words_without_times_stand_below_the_stretches(timed_result: Result) -> None:
    given = Transcript(text="I told you so", source="given")
    changed = timed_result.analysis.model_copy(update={"transcript": given})
    found = [(cue.start_s, cue.end_s, cue.text) for cue in cues(replace(timed_result, analysis=changed))]
    assert (0.0, 4.0, "I told you so") in found and len(found) == 4


@pytest.mark.parametrize(("text", "said"), [(None, ""), ("", ""), ("hello", " hello")])
def test_where_nothing_is_said_the_emotion_still_shows(
    result: Result, text: str | None, said: str, written: Callable[[Result], Captions]
) -> None:
    changed = result.analysis.model_copy(update={"transcript": Transcript(text=text, source="given")})
    assert written(replace(result, analysis=changed)) == [(0.0, 4.0, f"[happy 0.70]{said}")]


def test_a_span_of_a_recording_keeps_the_recordings_times(
    result: Result, written: Callable[[Result], Captions]
) -> None:
    changed = result.analysis.model_copy(update={"transcript": Transcript(text=None, source="none")})
    material = replace(result.material, start_s=3_723.5)
    assert written(replace(result, analysis=changed, material=material)) == [(3_723.5, 3_727.5, "[happy 0.70]")]


def test_what_has_no_time_gets_a_nominal_one(bare_result: Result, written: Callable[[Result], Captions]) -> None:
    assert written(bare_result) == [(0.0, UNTIMED_S, "[no emotion could be named]")]


@pytest.mark.parametrize(("length_s", "end_s"), [(0.0, 0.001), (0.2, 0.2)])
def test_very_short_recordings(
    result: Result, length_s: float, end_s: float, written: Callable[[Result], Captions]
) -> None:
    update = {"duration_s": length_s, "transcript": Transcript(text=None, source="none")}
    assert written(replace(result, analysis=result.analysis.model_copy(update=update))) == [
        (0.0, end_s, "[happy 0.70]")
    ]


def test_two_candidates_are_told(result: Result) -> None:
    unsure = result.analysis.model_copy(update={"emotion": None, "candidates": ("happy", "sad")})
    assert cues(replace(result, analysis=unsure))[0].text == "[not sure: happy or sad 0.70] I told you so."


def test_odd_characters_come_back(odd_result: Result, tmp_path: Path) -> None:
    write_vtt(odd_result, tmp_path / "a.vtt")
    ((start_s, end_s, text),) = seconds(tmp_path / "a.vtt")
    assert (start_s, end_s) == (0.5, 0.501)
    raw = (tmp_path / "a.vtt").read_text(encoding="utf-8")
    assert raw.count("-->") == 1 and "&lt;c&gt; &amp; {d}" in raw
    shown = text.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
    assert shown == (
        '[so-so & <odd> 0.70] a "b" --> <c> & {d} line two 👨‍👩‍👧 \\udce9 你好 =1+1'
    )  # fmt: skip
    write_srt(odd_result, tmp_path / "a.srt")
    ((start_s, end_s, text),) = seconds(tmp_path / "a.srt")
    assert (start_s, end_s) == (0.5, 0.501) and 'a "b" → ‹c› & {d} line two 👨‍👩‍👧' in text


def test_hundreds_of_cues_are_numbered_and_in_order(result: Result, tmp_path: Path) -> None:
    segments = tuple(Segment(text=f"part {at}", start_s=at * 30.0, end_s=at * 30 + 29.9999) for at in range(300, 0, -1))
    said = Transcript(text="many", source="given", segments=segments)
    changed = replace(result, analysis=result.analysis.model_copy(update={"transcript": said}))
    write_srt(changed, tmp_path / "a.srt")
    found = read(tmp_path / "a.srt")
    assert len(found) == 300 and found == sorted(found)
    assert (tmp_path / "a.srt").read_text().split("\n\n")[-1].startswith("300\n02:30:00,000 --> 02:30:30,000\n")

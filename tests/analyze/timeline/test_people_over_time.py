"""Two people who speak in turn, 30 s long: whom windows are about, what each has, and what people show in all."""

from __future__ import annotations

from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest

from emotion_llama.analyze.timeline.people import joined_spans, people_over_time, seen_spans
from emotion_llama.analyze.timeline.smoothing import Lanes, Scored
from emotion_llama.analyze.timeline.watch import Watcher
from emotion_llama.settings import AnalyzeSettings, Person
from emotion_llama.timeline import Window
from tests.analyze.timeline.duet import FIRST, LENGTH_S, SECOND, Duet
from tests.analyze.timeline.films import LABELS
from tests.analyze.timeline.windows import of, window


@lru_cache(maxsize=5)
def run(person: Person | int, second_from_s: float = 0.0) -> tuple[Watcher, list[Scored], Duet]:
    film = Duet(LENGTH_S, happy=lambda middle_s: 0.9 if middle_s < 13 else 0.2, second_from_s=second_from_s)
    watcher = film.watcher(AnalyzeSettings(labels=LABELS, timeline=True, person=person))
    return watcher, list(watcher.windows(film.judge())), film


def within(scored: list[Scored], spans: list[tuple[float, float]]) -> list[Window]:
    """Windows whose middle lies between the first and the last of these spans."""
    return [w.window for w in scored if spans[0][0] < w.span.middle_s < spans[-1][1]]


def test_a_window_of_the_main_person_has_all_the_sound_and_tells_who_speaks() -> None:
    _, scored, _ = run("main")
    assert {one.window.person for one in scored} == {0} and all(one.main for one in scored)
    assert {w.speaking for w in within(scored, FIRST) if w.text} == {True}
    later = [w for w in within(scored, SECOND) if w.text]
    assert later and {w.speaking for w in later} == {False} and all("audio" in w.inputs for w in later)


def test_active_windows_are_about_who_speaks() -> None:
    _, scored, _ = run("active")
    assert {w.person for w in within(scored, FIRST)} == {0}
    later = within(scored, SECOND)
    assert {w.person for w in later} == {0, 1} or {w.person for w in later} == {1}
    assert all(w.speaking and w.inputs == ("video", "audio", "text") for w in later if w.person == 1)
    assert sum(w.person == 1 for w in later) >= len(later) - 1


def test_all_is_a_window_for_each_and_who_listens_is_seen_only() -> None:
    _, scored, film = run("all")
    assert [one.window.person for one in scored] == [0, 1] * (len(scored) // 2)
    assert [one.main for one in scored] == [True, False] * (len(scored) // 2)
    for one, percept in zip(scored, film.percepts, strict=True):
        assert percept.faces is not None and percept.faces.tracks[0].track == one.window.person
        if one.window.speaking is False and not one.speech_s:
            assert one.window.inputs == ("video",) and one.window.text is None and percept.waveform is None
    heard = [one.window for one in scored if "audio" in one.window.inputs and one.window.speaking is not None]
    assert {w.person for w in heard if w.end_s < 13} == {0} and {w.person for w in heard if w.start_s > 13} == {1}
    assert {w.text for w in heard if w.start_s > 13} >= {"word18 word20", "word25"}


def test_a_number_gives_that_person_s_windows_only() -> None:
    _, scored, _ = run(1, second_from_s=12.0)
    assert {one.window.person for one in scored} == {1} and scored[0].window.end_s > 12 and scored[0].main
    watcher, none, _ = run(7)
    assert none == [] and list(watcher.numbers) == [0, 1]


def test_what_each_shows_in_all_speaking_and_listening() -> None:
    watcher, scored, _ = run("all")
    people = people_over_time(scored, watcher.boxes(0), watcher.record.turns, lambda inputs: 0.0)
    found = {(one.person, one.role): one for one in people}
    assert list(found) == [(person, role) for person in (0, 1) for role in ("all", "speaking", "listening")]
    for person, spoken in ((0, FIRST), (1, SECOND)):
        assert found[person, "all"].seconds == pytest.approx(LENGTH_S, abs=0.2)
        assert found[person, "speaking"].seconds == pytest.approx(sum(b - a for a, b in spoken), rel=0.15)
    assert found[0, "speaking"].emotion == "happy" and found[0, "listening"].emotion == "sad"
    assert found[1, "speaking"].emotion == "sad" and found[1, "listening"].probabilities["happy"] == pytest.approx(0.9)
    unsure = people_over_time(scored, watcher.boxes(0), watcher.record.turns, lambda inputs: 0.95)
    assert {one.emotion for one in unsure} == {None} and all(one.confidence for one in unsure)


def test_the_turns_of_blocks_are_put_together_without_gap_or_overlap() -> None:
    turns = run("main")[0].record.turns
    assert all(one.end_s <= other.start_s + 1e-6 for one, other in pairwise(turns))
    spoken = joined_spans([(turn.start_s, turn.end_s) for turn in turns])
    assert np.allclose(spoken, sorted(FIRST + SECOND), atol=1e-6)


def test_boxes_are_those_of_every_picture_once() -> None:
    first, second = run("main", second_from_s=12.0)[0].boxes(0)
    assert (first.main, second.main) == (True, False)
    assert np.allclose(first.time_s, np.arange(450) / 15, atol=1e-4) and len(second.time_s) == pytest.approx(270, abs=9)
    assert first.corners_px.shape == (450, 4) and (first.corners_px[:, 2] < second.corners_px[:, 0].min()).all()


def test_people_at_one_time_are_smoothed_each_on_their_own() -> None:
    lanes, found = Lanes(), list[Window]()
    for at in range(6):
        for person, happy in ((0, 0.9), (1, 0.1)):
            if person == 0 or at < 2:
                found += lanes.add(Scored(window(3.0 * at, of(happy), person), 0.0, 0.0))
    assert [w.start_s for w in found if w.person == 1] == [0.0, 3.0]  # is gone: nothing is held back
    found += lanes.finish()
    assert {(w.person, round(w.probabilities["happy"], 6)) for w in found} == {(0, 0.9), (1, 0.1)} and len(found) == 8


@pytest.mark.parametrize(("times", "spans"), [([], ()), ([1.0], ((1.0, 1.0),)), ([0, 0.5, 3, 4], ((0, 0.5), (3, 4)))])
def test_when_a_face_is_seen(times: list[float], spans: tuple[tuple[float, float], ...]) -> None:
    assert seen_spans(times) == spans

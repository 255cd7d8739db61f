"""One pass over films with known content: what windows are about, what they hold, and what is remembered."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.analyze.timeline.watch import Scorer
from emotion_llama.measurements import ACTION_UNITS
from tests.analyze.timeline.films import Film


def test_windows_cover_a_film_and_carry_what_is_in_them() -> None:
    film = Film(40.0, face_s=((0, 40),), speech_s=((2.0, 3.0), (29.0, 31.0), (36.0, 39.0)))
    scored = film.scored()
    assert scored[0].window.start_s == 0 and scored[-1].window.end_s == pytest.approx(40.0, abs=0.11)
    assert {one.window.person for one in scored} == {0}  # also across the blocks of sound
    first, last = scored[0], scored[-1]
    assert (first.window.text, first.speech_s) == ("word2", 1.0) and last.window.text == "word36"
    assert first.window.inputs == ("video", "audio", "text")
    for percept in film.percepts:
        span = (percept.clip.start_s or 0.0, percept.clip.end_s or 0.0)
        assert percept.faces is not None and percept.faces.action_units is not None and percept.waveform is not None
        times = percept.faces.action_units.time_s
        assert span[0] - 0.01 <= times[0] and times[-1] < span[1] and len(times) == percept.faces.frames_seen
        assert percept.waveform.duration_s == pytest.approx(span[1] - span[0], abs=0.12)
        assert percept.frame is not None and abs(percept.frame.time_s - float(np.mean(span))) <= 3.2
        assert percept.frame.rgb.shape == (64, 64, 3)


def test_no_face_for_minutes_is_no_emotion_unless_somebody_speaks() -> None:
    film = Film(240.0, face_s=((0, 20),), speech_s=((200.0, 201.0),))
    scored = film.scored()
    there = [one.window for one in scored if one.window.probabilities]
    assert max(w.end_s for w in there if w.person is not None) < 27
    spoken = [w for w in there if w.person is None]
    assert spoken and all(w.start_s < 201 and w.end_s > 200 and "audio" in w.inputs for w in spoken)
    nobody = [one.window for one in scored if not one.window.probabilities]
    assert len(nobody) > 50 and all(w.inputs == () and w.emotion is None and w.person is None for w in nobody)


def test_a_silent_window_is_held_to_the_curve_of_risk_without_words() -> None:
    film, asked = Film(12.0, face_s=((0, 12),), speech_s=((0.0, 2.0),)), list[tuple[str, ...]]()
    judge = film.judge()
    least = Scorer(judge.probabilities, lambda settings, there: asked.append(there) or 0.0)  # type: ignore[func-returns-value]
    scored = list(film.watcher().windows(least))
    assert asked[0] == ("video", "audio", "text") and asked[-1] == ("video",)
    assert scored[-1].window.inputs == ("video", "text") and scored[-1].window.text == ""


def people_by_shot(film: Film) -> list[set[int | None]]:
    watcher = film.watcher()
    bounds = [*film.cuts_s, film.length_s + 1]
    people: list[set[int | None]] = [set() for _ in bounds]
    for one in watcher.windows(film.judge()):
        people[next(at for at, end in enumerate(bounds) if one.window.start_s < end)].add(one.window.person)
    assert watcher.cuts_s == film.cuts_s
    return people


def test_after_a_cut_a_face_at_the_same_place_is_who_looks_the_same() -> None:
    film = Film(60.0, face_s=((0, 60),), cuts_s=(10.0, 25.0, 45.0), light=lambda at: 200 if at < 10 or at >= 45 else 90)
    assert people_by_shot(film) == [{0}, {1}, {1}, {0}]


def test_cuts_every_second_are_survived() -> None:
    film = Film(40.0, face_s=((0, 40),), cuts_s=tuple(map(float, range(1, 40))))
    scored = film.scored()
    assert len(scored) <= 21 and all(one.window.probabilities for one in scored)


def test_a_face_that_comes_back_after_minutes_keeps_its_number() -> None:
    film = Film(240.0, face_s=((0, 20), (100, 120), (220, 240)), light=lambda at: 90 if 100 <= at < 120 else 200)
    people = [one.window.person for one in film.scored()]
    assert people[0] == 0 and people[-1] == 0 and set(people) == {0, 1, None}


def test_sound_shorter_than_the_pictures_and_the_other_way_round() -> None:
    short = Film(50.0, face_s=((0, 50),), speech_s=((1.0, 5.0),), sound_s=10.0).scored()
    assert short[-1].window.end_s == pytest.approx(50.0, abs=0.2) and "audio" not in short[-1].window.inputs
    long = Film(10.0, face_s=((0, 10),), speech_s=((45.0, 47.0),), sound_s=50.0).scored()
    assert long[-1].window.end_s == 50.0 and long[-1].window.person is None
    assert [one.window.text for one in long if one.window.probabilities][-1] == "word45"


def test_a_variable_frame_rate_keeps_true_times() -> None:
    times = np.concatenate([np.arange(0, 20, 0.5), np.arange(20, 40, 1 / 15)])
    film = Film(40.0, face_s=((0, 40),), times_s=times)
    scored = film.scored()
    assert scored[-1].window.end_s == pytest.approx(40.0, abs=0.1)
    counts = [percept.faces.frames_seen for percept in film.percepts if percept.faces is not None]
    assert counts[0] == 12 and counts[-2] == pytest.approx(90, abs=2)


def test_a_film_shorter_than_a_window_is_one() -> None:
    scored = Film(1.5, face_s=((0, 2),)).scored()
    assert len(scored) == 1 and scored[0].window.end_s == pytest.approx(1.5, abs=0.11)


def test_what_is_measured_of_the_face_is_kept_once_and_whole() -> None:
    film = Film(100.0, face_s=((0, 100),))
    watcher = film.watcher()
    list(watcher.windows(film.judge()))
    faces = watcher.record.faces()
    assert faces is not None
    assert np.allclose(faces.series.time_s, np.arange(0, 100, 0.1), atol=1e-3)
    assert len(faces.frame_indices) == len(faces.expressions) == len(faces.mesh_scores) == 1000
    assert faces.series.intensity.shape == (1000, len(ACTION_UNITS))


def test_what_went_by_is_forgotten() -> None:
    film = Film(300.0, face_s=((0, 300),), speech_s=tuple((float(a), a + 2.0) for a in range(0, 300, 5)))
    watcher = film.watcher()
    eye = watcher._eye
    assert eye is not None
    most = 0
    for _ in watcher.windows(film.judge()):
        film.percepts.clear()
        most = max(most, sum(len(track.samples) for track in eye.tracks()), len(eye.pictures), len(eye.times_s))
        assert watcher._waveform.duration_s < 70
    assert most <= 45 * 10  # of 3,000 frames

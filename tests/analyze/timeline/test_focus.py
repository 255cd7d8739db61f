"""The window that is looked at closely: its people have the numbers of the whole recording."""

from __future__ import annotations

from dataclasses import replace

from emotion_llama.analyze.baseline import Beside
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.analyze.timeline.focus import Focus, focus_window, numbers_of, renumbered
from emotion_llama.analyze.timeline.places import Places
from emotion_llama.analyze.timeline.stretches import stretches_of
from emotion_llama.measurements import FaceBoxes, FaceMeasures, FaceTrack
from tests.analyze.timeline.windows import of, window
from tests.perception.talking import still, talker


def whole() -> tuple[FaceBoxes, ...]:
    places = Places()
    places.add([talker(2, still, 20.0, 100), talker(5, still, 20.0, 300), talker(6, still, 20.0, 500, begin_s=15.0)])
    return places.of(2)


def part() -> list[FaceTrack]:
    """Three people of a window from 5 s on, numbered from the right; the third was not there before."""
    return [talker(number, still, 8.0, place, begin_s=5.02) for number, place in ((0, 300), (1, 104), (2, 500))]


def test_tracks_of_a_part_are_found_again_by_their_place() -> None:
    assert numbers_of(part(), whole()) == {0: 5, 1: 2, 2: 7}
    assert numbers_of(part(), ()) == {0: 0, 1: 1, 2: 2}
    both = [talker(0, still, 8.0, 100), talker(1, still, 8.0, 110)]  # one of them is a slip
    assert numbers_of(both, whole()) == {0: 2, 1: 7}


def test_a_window_is_about_the_person_at_that_place() -> None:
    beside = Beside()
    assert Focus(beside, whole()[0]).person_in(part()) == 1 and Focus(beside, whole()[1]).person_in(part()) == 0
    assert Focus(beside, whole()[2]).person_in(part()) is None and Focus(beside).person_in(part()) is None


def test_faces_get_the_numbers_of_the_recording() -> None:
    faces = FaceMeasures(9, tuple(part()), 0, None, None, None, None)
    found = renumbered(replace(ReportMaterial(), faces=faces), {0: 5, 1: 2, 2: 7})
    assert found.faces is not None and [track.track for track in found.faces.tracks] == [5, 2, 7]


def test_the_surest_window_of_the_strongest_stretch_of_the_emotion() -> None:
    windows = [window(3.0 * at, of(happy)) for at, happy in enumerate((0.9, 0.99, 0.9, 0.3, 0.2, 0.25))]
    stretches = stretches_of(windows)
    assert focus_window(windows, stretches, "happy").start_s == 3.0
    assert focus_window(windows, stretches, "sad").start_s == 12.0
    assert focus_window(windows, (), None).start_s == 3.0
    assert focus_window([window(0.0, {}), window(3.0, {}), window(6.0, {})], (), None).start_s == 3.0

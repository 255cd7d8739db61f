"""What is drawn: bars of the moment, words as they are said, plates that fit and leave faces free."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.render.course import FaceAt, FaceCourse
from emotion_llama.analyze.render.draw import Painter, window_at
from emotion_llama.analyze.render.fonts import font_for
from emotion_llama.analyze.render.plates import Bar, bars_plate, lay, text_plate, text_px
from emotion_llama.analyze.render.subtitles import cue_at, subtitles
from emotion_llama.clip import Segment, Transcript, Word

NOBODY = FaceCourse(None)


def painted(
    result: Result, size: tuple[int, int], time_s: float, grey: int = 90, faces: tuple[FaceAt, ...] = ()
) -> np.ndarray:
    rgb = np.full((size[1], size[0], 3), grey, np.uint8)
    Painter(result, size, NOBODY).paint(rgb, time_s, faces)
    return rgb


@pytest.mark.parametrize("size", [(320, 240), (1280, 720), (720, 1280), (200, 200)])
@pytest.mark.parametrize("grey", [0, 255])
def test_letters_stand_out_on_dark_and_on_bright(result: Result, size: tuple[int, int], grey: int) -> None:
    rgb = painted(result, size, 0.5, grey)
    letter = text_px(*size)
    panel = rgb[: 4 * letter, : 8 * letter].mean(axis=-1)
    assert panel.max() > 225 and np.percentile(panel, 30) < 120
    assert (rgb[size[1] // 2 :, -3:] == grey).all()


def test_a_tiny_picture_gets_no_text(result: Result) -> None:
    assert (painted(result, (64, 48), 0.5) == 90).all()
    assert (painted(result, (16, 2000), 0.5) == 90).all()


def test_words_are_shown_while_they_are_said(result: Result) -> None:
    said, silent = painted(result, (640, 360), 0.5), painted(result, (640, 360), 2.0)
    assert (said[-60:] != 90).any() and (silent[-60:] == 90).all()


def test_action_units_are_shown_while_the_face_is_measured(result: Result) -> None:
    assert (painted(result, (640, 360), 1.5)[:90, -120:] != 90).any()
    assert (painted(result, (640, 360), 4.4)[:90, -120:] == 90).all()


def test_a_face_without_a_mesh_is_a_box(result: Result) -> None:
    face = FaceAt(0, True, np.array([300, 100, 360, 180], np.float32), None)
    rgb = painted(result, (640, 360), 30.0, faces=(face,))
    assert (rgb[100, 300:360] == 255).all() and (rgb[110:170, 310:350] == 90).all()


def test_a_plate_leaves_a_face_at_the_top_free(result: Result, make_faces) -> None:  # type: ignore[no-untyped-def]
    faces = make_faces(3)
    corners = np.array([10, 10, 150, 150], np.float32)
    samples = tuple(replace(s, box=replace(s.box, corners_px=corners)) for s in faces.tracks[0].samples)
    course = FaceCourse(replace(faces, tracks=(replace(faces.tracks[0], samples=samples),)))
    rgb = np.full((480, 640, 3), 90, np.uint8)
    Painter(result, (640, 480), course).paint(rgb, 2.0, [])
    assert (rgb[:150, :150] == 90).all() and (rgb[200:, :150] != 90).any()


def test_the_window_of_the_one_who_speaks(timed_result: Result) -> None:
    window = window_at(timed_result.analysis, 1.0)
    assert window is not None and (window.person, window.emotion) == (2, "happy")
    later = window_at(timed_result.analysis, 3.0)
    assert later is not None and later.emotion == "neutral"
    assert window_at(timed_result.analysis, 99.0) is None


def test_a_timeline_changes_the_bars(timed_result: Result) -> None:
    one, two = painted(timed_result, (640, 360), 1.0), painted(timed_result, (640, 360), 3.9)
    assert (one[:100, :100] != two[:100, :100]).any()


def test_everything_missing(bare_result: Result) -> None:
    painted(bare_result, (640, 360), 0.0)


def test_subtitles_follow_the_words() -> None:
    words = tuple(Word(text=f"w{n}", start_s=n / 2, end_s=n / 2 + 0.4, probability=1) for n in range(8))
    transcript = Transcript(text="x", source="x", segments=(Segment(text="x", start_s=0, end_s=4, words=words),))
    cues = subtitles(transcript, (0, 4), 11)
    assert [cue.text for cue in cues] == ["w0 w1 w2 w3", "w4 w5 w6 w7"]
    assert cue_at(cues, 1.8) == "w0 w1 w2 w3" and cue_at(cues, 2.0) == "w4 w5 w6 w7" and cue_at(cues, 9) is None


def test_words_without_times_are_spread_and_a_pause_ends_a_cue() -> None:
    cues = subtitles(Transcript(text="one two three four", source="given"), (10.0, 20.0), 8)
    assert [cue.text for cue in cues] == ["one two", "three", "four"]
    assert cues[0].start_s == 10 and cues[-1].end_s == pytest.approx(20.0)
    parts = (Segment(text="ja", start_s=0, end_s=1), Segment(text="nein", start_s=5, end_s=6))
    assert [c.text for c in subtitles(Transcript(text="", source="x", segments=parts), (0, 6), 99)] == ["ja", "nein"]
    assert subtitles(Transcript(text=None, source="none"), (0, 6), 99) == []


def test_plates_stay_in_their_width() -> None:
    plate = bars_plate("a very long title that has no room " * 3, (Bar("name " * 30, 2.0, "200%"),), 12, 150)
    assert plate.shape[1] == 150
    assert text_plate("unbrokenletterswithoutanyspace" * 9, 12, 200).shape[1] <= 200
    rgb = np.zeros((20, 20, 3), np.uint8)
    lay(rgb, plate, -100, -30)
    lay(rgb, plate, 500, 500)
    assert rgb.shape == (20, 20, 3)


def test_a_font_that_has_the_letters() -> None:
    font = font_for("Grüße, ça va?", 14)
    assert len({bytes(font.getmask(letter)) for letter in "Grüßeçav"}) == 8
    assert font_for("\U0010fff0", 14) is not None  # no font has it: something is drawn all the same

"""The strip shows what lasts, fits the terminal, and can be read without colours."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from emotion_llama.analyze.timeline.colours import colours_of, marks_of
from emotion_llama.analyze.timeline.strip import axis, show_timeline, strip
from emotion_llama.timeline import Stretch, Timeline


def timeline(*stretches: tuple[float, float, str, int | None]) -> Timeline:
    return Timeline(
        window_s=6, step_s=3, windows=(), expressions=(), transitions={}, cuts_s=(),
        stretches=tuple(
            Stretch(start_s=a, end_s=b, emotion=name, confidence=0.7, peak_s=(a + b) / 2, person=who)
            for a, b, name, who in stretches
        ),
    )  # fmt: skip


def shown(made: Timeline, span_s: tuple[float, float], width: int = 80, colour: bool = False) -> str:
    out = io.StringIO()
    show_timeline(made, span_s, Console(file=out, width=width, force_terminal=colour, legacy_windows=False))
    return out.getvalue()


TWO = timeline((0, 30, "happy", 0), (40, 60, "sad", 0))


def test_the_strip_is_to_scale_with_dots_where_nothing_lasts() -> None:
    text = strip(TWO.stretches, (0, 60), 60, colours_of(TWO), marks_of(TWO)).plain
    assert text == "H" * 30 + "." * 10 + "S" * 20


def test_letters_are_told_apart() -> None:
    made = timeline((0, 10, "sad", 0), (10, 15, "surprise", 0), (15, 17, "scared", 0), (17, 18, "?!", 0))
    assert marks_of(made) == {"sad": "S", "surprise": "U", "scared": "C", "?!": "?"}
    assert len(set(colours_of(made).values())) == 4


@pytest.mark.parametrize("width", [40, 80, 200])
def test_it_fits_the_terminal(width: int) -> None:
    lines = shown(TWO, (0, 60), width).splitlines()
    assert max(map(len, lines)) <= width
    assert any("H" * 5 in line for line in lines) and any("happy" in line for line in lines)
    assert "\x1b[" in shown(TWO, (0, 60), width, colour=True)


@pytest.mark.parametrize("end_s", [0.5, 3.0, 61.0, 7300.0, 90000.0])
def test_the_axis_names_round_times_where_they_are(end_s: float) -> None:
    line = axis((0.0, end_s), 70)
    assert len(line) <= 70 and line.startswith("|0:00")


def test_people_at_the_same_time_have_a_strip_each() -> None:
    text = shown(timeline((0, 30, "happy", 0), (0, 30, "sad", 1)), (0, 30))
    assert "person 0 H" in text and "person 1 S" in text
    assert "person 0 H" not in shown(timeline((0, 30, "happy", 0), (30, 40, "sad", 1)), (0, 40))


def test_many_stretches_are_cut_to_the_longest_and_none_is_said() -> None:
    many = timeline(*((3.0 * at, 3.0 * at + 2 + at / 100, "happy", 0) for at in range(50)))
    assert "the 20 longest of 50 stretches" in shown(many, (0, 150))
    assert "no emotion lasts" in shown(timeline(), (0, 10))

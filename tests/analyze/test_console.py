from __future__ import annotations

import io
from pathlib import Path

import pytest
from rich.console import Console

from emotion_llama.analyze.console import number, printable, show
from emotion_llama.analyze.results import Result
from emotion_llama.clip import Analysis, Transcript


def printed(analysis: Analysis, width: int = 80, written: tuple[Path, ...] = ()) -> str:
    file = io.StringIO()
    show(analysis, Console(file=file, width=width), written)
    return file.getvalue()


def test_the_likeliest_label_comes_first_with_the_longest_bar(analysis: Analysis) -> None:
    text = printed(analysis)
    bars = [line.split() for line in text.splitlines() if line.endswith(" %")]
    assert [bar[0] for bar in bars] == ["happy", "neutral"]
    assert len(bars[0][1]) > len(bars[1][1]) > 0
    assert [bar[-2] for bar in bars] == ["70.0", "30.0"]


def test_every_part_is_shown_without_colour_codes(analysis: Analysis) -> None:
    text = printed(analysis, written=(Path("out/ann.html"),))
    for part in ("clips/ann.mp4", "so the person seems happy", "AU12 2.31 of 5", "CONTRADICTED", "Grüße, 你好!"):
        assert part in text
    for part in ("Two people speak.", "text: left out", "wrote out/ann.html", "A lively voice."):
        assert part in text
    assert "\x1b" not in text


@pytest.mark.parametrize("width", [40, 80])
def test_a_timeline_is_shown_where_there_is_one(timed_result: Result, analysis: Analysis, width: int) -> None:
    lines = printed(timed_result.analysis, width).splitlines()
    assert "Over time" in lines and "Over time" not in printed(analysis)
    assert any("person 1 AAAA" in line for line in lines) and any("person 2 HHHH" in line for line in lines)
    assert max(map(len, lines)) <= width


@pytest.mark.parametrize("width", [40, 80])
def test_no_line_is_wider_than_the_terminal(analysis: Analysis, width: int) -> None:
    long = analysis.model_copy(update={"reasoning": "so the person seems happy and " * 12})
    assert max(len(line) for line in printed(long, width).splitlines()) <= width


def test_hostile_texts_neither_steer_the_terminal_nor_read_as_markup(analysis: Analysis) -> None:
    text = "[bold]no markup[/bold] \x1b[2J\x07 end"
    shown = printed(analysis.model_copy(update={"clip": text, "transcript": Transcript(text=text, source="given")}))
    assert "\x1b" not in shown and "\x07" not in shown
    assert "[bold]no markup[/bold]" in shown


def test_a_baseline_is_named(analysis: Analysis) -> None:
    origin = analysis.provenance.model_copy(update={"baseline_clips": 14, "baseline_from": "profile"})
    beside = analysis.model_copy(update={"provenance": origin})
    assert "Read beside 14 recordings of the same person (a profile)." in " ".join(printed(beside).split())
    assert "Read beside" not in printed(analysis)


def test_a_result_without_anything_says_so(bare_analysis: Analysis) -> None:
    text = printed(bare_analysis)
    assert "no emotion could be named" in text
    assert "video: not there" in text


def test_a_terminal_without_block_characters_gets_plain_bars(analysis: Analysis) -> None:
    file = io.TextIOWrapper(io.BytesIO(), encoding="ascii", errors="replace")
    show(analysis, Console(file=file, width=80))
    file.seek(0)
    assert "######" in file.read()


@pytest.mark.parametrize(
    ("value", "text"), [(212.4, "212"), (2.0, "2"), (21.46, "21.5"), (-0.314, "-0.31"), (0.0, "0")]
)
def test_numbers_have_few_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_printable_keeps_letters_of_all_languages() -> None:
    assert printable("你好\nGrüße\x00") == "你好 Grüße?"

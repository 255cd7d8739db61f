"""`evaluate --list`: everything a person must know before getting the data."""

from __future__ import annotations

import pytest
from rich.console import Console

from emotion_llama.errors import UsageError
from emotion_llama.evaluate.listing import show_suites
from emotion_llama.evaluate.suites import FILES, find_suite


def printed(name: str = "", width: int = 2000) -> str:
    console = Console(width=width, record=True)
    with console.capture() as shown:
        show_suites(name, console)
    return shown.get()


def test_all_suites_stand_there_with_data_terms_and_chance() -> None:
    text = printed()
    for name in FILES:
        suite = find_suite(name)
        assert suite.title in text and suite.needs in text and suite.access in text
        assert suite.licence in text and suite.chance in text
    assert text.count("  needs ") == len(FILES)


@pytest.mark.parametrize("name", FILES)
def test_one_suite_shows_every_published_score_with_its_source(name: str) -> None:
    text, suite = printed(name), find_suite(name)
    for row in suite.published:
        assert f"{row.value:g}" in text and row.source in text
    if suite.caution:
        assert suite.caution in text
    for label in suite.labels:
        assert label in text


def test_narrow_terminals_lose_no_words() -> None:
    assert "".join(find_suite("ravdess").needs.split()) in "".join(printed("ravdess", 50).split()).replace("needs", "")


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown suite 'ravdes'.*'ravdess'"):
        show_suites("ravdes")

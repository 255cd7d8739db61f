"""Answers are cleaned as upstream cleans them, and shown as sentences."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from emotion_llama.official.text import official_answer, restore_sentences

CASES = json.loads((Path(__file__).parent.parent / "golden/text_processor.json").read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["input"][:20])
def test_answers_are_cleaned_as_upstream_does(case: dict[str, str]) -> None:
    assert official_answer(case["input"]) == case["output"]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (
            "in the video, the man frowns and i think he is angry",
            "In the video, the man frowns and I think he is angry.",
        ),
        ("happy", "Happy."),
        ("", ""),
        ("why? because he won", "Why? Because he won."),
    ],
)
def test_sentences_are_restored_for_showing(written: str, shown: str) -> None:
    assert restore_sentences(written) == shown

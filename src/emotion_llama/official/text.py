"""The released code's clean-up of answers, and a way back to sentences for showing them."""

from __future__ import annotations

import re

MOST_WORDS = 200
_MARKS = re.compile(r"[.!\"()*#:;~]")
_START = re.compile(r"(^|[.!?]\s+)([a-z])")


def official_answer(text: str) -> str:
    """Clean an answer as upstream's `blip_caption` processor does before training on it.

    Lower case; `. ! " ( ) * # : ; ~` become spaces; runs of spaces become one; at most 200 words. So the weights write
    lower-case text with commas and without full stops.
    """
    spaced = _MARKS.sub(" ", text.lower())
    trimmed = re.sub(r"\s{2,}", " ", spaced).rstrip("\n").strip(" ")
    words = trimmed.split(" ")
    return " ".join(words[:MOST_WORDS]) if len(words) > MOST_WORDS else trimmed


def restore_sentences(text: str) -> str:
    """Make shown text of such an answer: a capital at the beginning, "I" for "i", a full stop at the end.

    Where its sentences ended cannot be known, so no others are invented.
    """
    text = re.sub(r"\bi\b", "I", text.strip())
    text = _START.sub(lambda found: found[1] + found[2].upper(), text)
    return text if not text or text[-1] in ".!?…" else f"{text}."

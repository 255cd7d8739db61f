"""Colours and letters of emotions, the same in the terminal and on the page."""

from __future__ import annotations

from collections.abc import Iterable

from emotion_llama.labels import canonical, is_known
from emotion_llama.timeline import Timeline

COLOURS = {
    "neutral": "#a8a8a8", "calm": "#9bd3c8", "angry": "#e5604d", "happy": "#f2c14e", "sad": "#6f9ceb",
    "worried": "#c08be0", "surprise": "#59c9d9", "fear": "#7fb069", "disgust": "#a3a23c", "contempt": "#e08e45",
    "doubt": "#b5838d", "bored": "#8d99ae",
}  # fmt: skip
"""By canonical name; light enough for black letters on them."""

OTHERS = ("#8fd694", "#f7a1c4", "#d4b483", "#86bbd8", "#f4978e", "#b8b8ff")
"""For words that have no colour of their own, in turn."""


def colours_of(timeline: Timeline) -> dict[str, str]:
    """A colour (#rrggbb) for each emotion of the stretches, in the order of how long it lasts."""
    names = emotions_of(timeline)
    spare = [name for name in names if _canonical(name) not in COLOURS]
    return {name: COLOURS.get(_canonical(name)) or OTHERS[spare.index(name) % len(OTHERS)] for name in names}


def marks_of(timeline: Timeline) -> dict[str, str]:
    """A letter for each of them: its first letter that no other has, so that a strip can be read without colours."""
    marks: dict[str, str] = {}
    for name in emotions_of(timeline):
        letters = [letter for letter in name.upper() if letter.isalnum()]
        marks[name] = next((letter for letter in letters if letter not in marks.values()), "?")
    return marks


def emotions_of(timeline: Timeline) -> list[str]:
    """The emotions of the stretches, the one that lasts longest first."""
    lasts: dict[str, float] = {}
    for one in timeline.stretches:
        lasts[one.emotion] = lasts.get(one.emotion, 0.0) + one.end_s - one.start_s
    return sorted(lasts, key=lambda name: -lasts[name])


def _canonical(name: str) -> str:
    return canonical(name) if is_known(name) else name


def all_of(names: Iterable[str]) -> dict[str, str]:
    """A colour for each of some labels, whether they occur or not."""
    found: dict[str, str] = {}
    for name in names:
        found[name] = COLOURS.get(_canonical(name)) or OTHERS[len(found) % len(OTHERS)]
    return found

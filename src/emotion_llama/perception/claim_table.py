"""The table of claim words, `claims.yaml`, read and compiled once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from emotion_llama.clip import Channel
from emotion_llama.labels import canonical, known_words
from emotion_llama.settings import Settings

Direction = Literal[-1, 0, 1]
EXPRESSION_PREFIX = "expression:"

_EXPRESSION_PART = "expression"


class Entry(Settings):
    """One row of the table: words for a measurement; with `parts` they are a state of one of these parts.

    A phrase that is read `last` holds only where no state was read.
    """

    words: str
    name: str
    direction: Direction
    also: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    last: bool = False


class ChannelTable(Settings):
    """The parts of one channel by name, their states, and phrases that need no part."""

    parts: dict[str, str]
    states: tuple[Entry, ...]
    phrases: tuple[Entry, ...]


class ClaimTable(Settings):
    """`claims.yaml`."""

    face: ChannelTable
    voice: ChannelTable
    words: ChannelTable
    scene: ChannelTable
    boundaries: str
    sentence_ends: str
    negations: str
    affirmations: str
    withdrawals: str


@dataclass(frozen=True)
class Lexicon:
    """The table, compiled; `phrases` and `states` in the table's order."""

    part: re.Pattern[str]
    phrases: tuple[tuple[re.Pattern[str], Channel, Entry], ...]
    states: tuple[tuple[re.Pattern[str], Channel, Entry], ...]
    boundary: re.Pattern[str]
    sentence_end: re.Pattern[str]
    negation: re.Pattern[str]
    affirmation: re.Pattern[str]
    withdrawal: re.Pattern[str]


@cache
def lexicon() -> Lexicon:
    """Give the compiled table. Raises `UsageError` if the installed file is damaged."""
    table = ClaimTable.from_yaml(Path(__file__).with_name("claims.yaml"))
    channels: tuple[tuple[Channel, ChannelTable], ...] = (
        ("words", table.words),
        ("face", table.face),
        ("voice", table.voice),
        ("scene", table.scene),
    )
    parts = {name: words for _, channel in channels for name, words in channel.parts.items()}
    face: Channel = "face"
    states = [(name, entry) for name, channel in channels for entry in channel.states]
    states += [(face, entry) for entry in _expression_states()]
    return Lexicon(
        part=compiled("|".join(f"(?P<{name}>{words})" for name, words in parts.items())),
        phrases=tuple((compiled(e.words), name, e) for name, channel in channels for e in channel.phrases),
        states=tuple((compiled(e.words), name, e) for name, e in states),
        boundary=re.compile(table.boundaries),
        sentence_end=re.compile(table.sentence_ends),
        negation=compiled(table.negations),
        affirmation=compiled(table.affirmations),
        withdrawal=compiled(table.withdrawals),
    )


def _expression_states() -> list[Entry]:
    """Every emotion word of the label table, said of the whole face: "an angry expression"."""
    by_emotion: dict[str, list[str]] = {}
    for word in known_words():
        by_emotion.setdefault(canonical(word), []).append(re.escape(word).replace("\\ ", " "))
    return [
        Entry(words="|".join(words), name=EXPRESSION_PREFIX + emotion, direction=1, parts=(_EXPRESSION_PART,))
        for emotion, words in by_emotion.items()
    ]


def compiled(words: str) -> re.Pattern[str]:
    """Compile the table's short hand to whole words."""
    spaced = words.replace(" .. ", r"[\s-]+(?:[\w'-]+[\s-]+){0,3}")
    spaced = spaced.replace(" ?", r"[\s-]?").replace(" ", r"[\s-]+")
    return re.compile(rf"(?<!\w)(?:{spaced})(?!\w)")

"""The tables of claim words, read and compiled once: `claims.yaml` (English), and `claims.XX.yaml` for each other
language that has one. All of them hold at once: a text is read in whatever language it is written in."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from emotion_llama.clip import Channel
from emotion_llama.languages import language
from emotion_llama.settings import Settings

Direction = Literal[-1, 0, 1]
EXPRESSION_PREFIX = "expression:"

_FOLDER = Path(__file__).parent

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
    """One table. `spaced`: words have spaces between them; without, a word is found anywhere."""

    spaced: bool = True
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
    """The tables, compiled; `phrases` and `states` in a table's order, of `parts` and the rest one a language."""

    parts: tuple[re.Pattern[str], ...]
    phrases: tuple[tuple[re.Pattern[str], Channel, Entry], ...]
    states: tuple[tuple[re.Pattern[str], Channel, Entry], ...]
    boundary: re.Pattern[str]
    sentence_end: re.Pattern[str]
    negation: re.Pattern[str]
    affirmation: re.Pattern[str]
    withdrawal: re.Pattern[str]


def languages() -> tuple[str, ...]:
    """Codes of the languages whose text can be read for claims, English first."""
    others = (path.name.split(".")[1] for path in _FOLDER.glob("claims.*.yaml"))
    return ("en", *sorted(others))


@cache
def claim_table(code: str) -> ClaimTable:
    """Give one table. Raises `UsageError` if the installed file is damaged."""
    return ClaimTable.from_yaml(_FOLDER / ("claims.yaml" if code == "en" else f"claims.{code}.yaml"))


@cache
def lexicon() -> Lexicon:
    """Give the compiled tables. Raises `UsageError` if an installed file is damaged."""
    read = [_compiled(code) for code in languages()]
    return Lexicon(
        parts=tuple(part for one in read for part in one.parts),
        phrases=tuple(phrase for one in read for phrase in one.phrases),
        states=tuple(state for one in read for state in one.states),
        boundary=_either([one.boundary for one in read]),
        sentence_end=_either([one.sentence_end for one in read]),
        negation=_either([one.negation for one in read]),
        affirmation=_either([one.affirmation for one in read]),
        withdrawal=_either([one.withdrawal for one in read]),
    )


def _compiled(code: str) -> Lexicon:
    """One language's table."""
    table = claim_table(code)
    find = compiled if table.spaced else re.compile
    channels: tuple[tuple[Channel, ChannelTable], ...] = (
        ("words", table.words),
        ("face", table.face),
        ("voice", table.voice),
        ("scene", table.scene),
    )
    parts = {name: words for _, channel in channels for name, words in channel.parts.items()}
    face: Channel = "face"
    states = [(name, entry) for name, channel in channels for entry in channel.states]
    states += [(face, entry) for entry in _expression_states(code)]
    return Lexicon(
        parts=(find("|".join(f"(?P<{name}>{words})" for name, words in parts.items())),),
        phrases=tuple((find(e.words), name, e) for name, channel in channels for e in channel.phrases),
        states=tuple((find(e.words), name, e) for name, e in states),
        boundary=re.compile(table.boundaries),
        sentence_end=re.compile(table.sentence_ends),
        negation=find(table.negations),
        affirmation=find(table.affirmations),
        withdrawal=find(table.withdrawals),
    )


def _either(patterns: Sequence[re.Pattern[str]]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{one.pattern})" for one in patterns))


def _expression_states(code: str) -> list[Entry]:
    """Every emotion word of a language, said of the whole face: "an angry expression"."""
    by_emotion = {
        emotion: [re.escape(word).replace("\\ ", " ") for word in words]
        for emotion, words in language(code).labels.items()
    }
    return [
        Entry(words="|".join(words), name=EXPRESSION_PREFIX + emotion, direction=1, parts=(_EXPRESSION_PART,))
        for emotion, words in by_emotion.items()
    ]


def compiled(words: str) -> re.Pattern[str]:
    """Compile the table's short hand to whole words."""
    spaced = words.replace(" .. ", r"[\s-]+(?:[\w'-]+[\s-]+){0,3}")
    spaced = spaced.replace(" ?", r"[\s-]?").replace(" ", r"[\s-]+")
    return re.compile(rf"(?<!\w)(?:{spaced})(?!\w)")

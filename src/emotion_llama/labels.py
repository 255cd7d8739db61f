"""Label sets, one synonym table, one valence table.

A label set keeps the words of its own data set ("fearful" in RAVDESS, "fear" in MER); `canonical` maps every known
word of every language to one English name, so that a prediction in one set can be read in another. The synonyms stand
in the language files, one table a language. A word that is in none of them is an error.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from difflib import get_close_matches
from types import MappingProxyType

from emotion_llama.errors import UsageError
from emotion_llama.languages import language, spoken
from emotion_llama.languages.language import words_of

OPEN = "open"
"""The name that asks for free emotion words instead of a closed set."""

LABEL_SETS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {
        "mer9": ("neutral", "angry", "happy", "sad", "worried", "surprise", "fear", "contempt", "doubt"),
        "mer6": ("neutral", "angry", "happy", "sad", "worried", "surprise"),
        "dfew7": ("happy", "sad", "neutral", "angry", "surprise", "disgust", "fear"),
        "ravdess8": ("neutral", "calm", "happy", "sad", "angry", "fearful", "disgust", "surprised"),
        "crema6": ("anger", "disgust", "fear", "happy", "neutral", "sad"),
        "emodb7": ("angry", "bored", "disgust", "fearful", "happy", "neutral", "sad"),
        "meld7": ("neutral", "joy", "surprise", "anger", "sadness", "disgust", "fear"),
        "fer7": ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise"),
        "mux8": ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt"),
    }
)
"""Named label sets in the order and wording of their sources."""

SYNONYMS: MappingProxyType[str, tuple[str, ...]] = MappingProxyType(
    {name: words[1:] for name, words in language("en").labels.items()}
)
"""Canonical name → other English words that mean the same label in some data set."""

# Coarse positions on the pleasure axis, -1 to 1: sign and rough size follow the circumplex literature (Russell 1980;
# Mehrabian 1996); they order labels, they do not measure a person.
VALENCE: MappingProxyType[str, float] = MappingProxyType(
    {
        "neutral": 0.0,
        "calm": 0.4,
        "happy": 0.9,
        "sad": -0.7,
        "angry": -0.7,
        "fear": -0.7,
        "disgust": -0.7,
        "surprise": 0.1,
        "worried": -0.5,
        "contempt": -0.6,
        "doubt": -0.2,
        "bored": -0.4,
        "excited": 0.8,
        "frustrated": -0.6,
        "admiration": 0.7,
        "amused": 0.8,
        "annoyed": -0.5,
        "approval": 0.5,
        "caring": 0.6,
        "curious": 0.2,
        "desire": 0.4,
        "disappointed": -0.6,
        "disapproval": -0.5,
        "embarrassed": -0.5,
        "grateful": 0.8,
        "grief": -0.9,
        "love": 0.9,
        "optimism": 0.7,
        "proud": 0.7,
        "realization": 0.1,
        "relief": 0.6,
        "remorse": -0.6,
    }
)
VALENCE_SOURCE = "label-table-1"

_SEPARATORS = re.compile(r"[,，、]")


def known_words() -> tuple[str, ...]:
    """Every English word of the synonym table, canonical names first."""
    return (*SYNONYMS, *(word for words in SYNONYMS.values() for word in words))


def is_known(label: str) -> bool:
    """Whether the synonym table of some language holds this word."""
    return spoken(label) is not None


def canonical(label: str) -> str:
    """Give the canonical name of a label word ("joy" → "happy", "高兴" → "happy").

    Raises `UsageError` for a word that is not in the synonym table.
    """
    name = spoken(label)
    if name is None:
        near = get_close_matches(label.strip().lower(), words_of(), n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"unknown emotion label {label!r}: it is in no label set and no synonym list{hint}")
    return name


def translate(label: str, label_set: Iterable[str]) -> str:
    """Give the word that `label_set` uses for the same emotion ("joy" in ravdess8 → "happy").

    Raises `UsageError` if the set has no word for it.
    """
    wanted = canonical(label)
    words = tuple(label_set)
    for word in words:
        if is_known(word) and canonical(word) == wanted:
            return word
    raise UsageError(f"label {label!r} ({wanted}) has no counterpart among {', '.join(words)}")


def parse_label_set(spec: str) -> tuple[str, ...]:
    """Read `--labels`: a set's name, or words separated by commas. `"open"` gives `()`.

    Own words need not be in the synonym table; known ones of another language than English become the English name,
    so that results stay comparable. Raises `UsageError` for an unknown name, a repeated label or fewer than two labels.
    """
    text = spec.strip()
    if text.lower() == OPEN:
        return ()
    if text.lower() in LABEL_SETS:
        return LABEL_SETS[text.lower()]
    words = tuple(_asked(word) for word in _SEPARATORS.split(text) if word.strip())
    if len(words) < 2:
        near = get_close_matches(text.lower(), LABEL_SETS, n=1)
        hint = f" Did you mean {near[0]!r}?" if near else ""
        raise UsageError(
            f"unknown label set {spec!r}: give one of {', '.join(LABEL_SETS)}, {OPEN}, "
            f"or two or more labels separated by commas.{hint}"
        )
    twice = sorted({word for word in words if words.count(word) > 1})
    if twice:
        raise UsageError(f"label set {spec!r} names {', '.join(twice)} more than once")
    return words


def _asked(word: str) -> str:
    """A label as it is asked and written to files: English words as they stand, those of other languages by name."""
    plain = word.strip().lower()
    return plain if plain in words_of(("en",)) else spoken(plain) or plain


def valence(probabilities: dict[str, float]) -> float | None:
    """Mean valence of a label distribution; `None` if no label of it is in the valence table."""
    known = {label: p for label, p in probabilities.items() if is_known(label)}
    mass = sum(known.values())
    if mass <= 0:
        return None
    return sum(p * VALENCE[canonical(label)] for label, p in known.items()) / mass

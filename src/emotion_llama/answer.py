"""From the model's free text to an emotion. What names no label gives `None`, never "neutral"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emotion_llama.labels import canonical, is_known
from emotion_llama.languages import CODES, language
from emotion_llama.languages.language import words_of

# answers are read in every language there is: nothing says which one a model has chosen
_WORDS = tuple(language(code).answer for code in CODES)
_DENIAL = re.compile("|".join(f"(?:{words.denial})" for words in _WORDS))
_EITHER = re.compile("|".join(f"(?:{words.either})" for words in _WORDS))
_CONCLUSION = re.compile("|".join(f"(?:{words.conclusion})" for words in _WORDS))
_FEELING = re.compile(r"^[a-z][a-z '-]{1,30}$|^[\u4e00-\u9fff]{1,6}$")
_FILLER = re.compile(r"^(?:and|or|the|a|an|very|slightly|somewhat|also|feels?|feeling|is)\s+")
_LIST = re.compile(r",|;|\band\b|\n|[，、；。]")


def parse_emotion(text: str, labels: Sequence[str]) -> str | None:
    """Give the asked label that `text` names, or `None` if it names none, or several without a conclusion.

    A label is named by its own word or phrase or by a synonym of the label table ("joy" for "happy"); "not happy" names
    nothing. Of several labels the one in the concluding statement ("… the emotion is sad") counts.
    """
    lowered = text.lower().replace("’", "'")
    named = _named(lowered, labels)
    different = {label for _, label in named}
    if len(different) == 1:
        return named[0][1]
    for conclusion in reversed(list(_CONCLUSION.finditer(lowered))):
        sentence_end = re.compile(r"[.!?;\n。！？；]|$").search(lowered, conclusion.end())
        stop = sentence_end.start() if sentence_end else len(lowered)
        concluded = {label for at, label in named if conclusion.end() <= at < stop}
        if concluded:
            return concluded.pop() if len(concluded) == 1 else None
    return None


def parse_last_word(text: str, labels: Sequence[str]) -> str | None:
    """Give the asked label that the last word of `text` is, to the letter; `None` for any other.

    The reading of the released evaluation (upstream `eval_emotion.py`), without its silent "neutral".
    """
    last = text.replace("</s>", "").split(" ")[-1].strip()
    return last if last in labels else None


def parse_open(text: str) -> tuple[str, ...]:
    """Give the emotion words of a free answer, in order, each once.

    In a short list ("tense, hopeful") every item counts, known or not; in sentences only words of the label table do.
    """
    lowered = text.lower().replace("’", "'").strip().strip(".!。！")
    items = [_FILLER.sub("", item.strip()) for item in _LIST.split(lowered) if item.strip()]
    if items and all(_FEELING.match(item) and len(item.split()) <= 2 for item in items):
        return tuple(dict.fromkeys(items))
    words = sorted(words_of(), key=len, reverse=True)
    return tuple(dict.fromkeys(lowered[a:b] for a, b in _mentions(lowered, words)))


def said_emotions(text: str, code: str) -> dict[str, str]:
    """Give the emotion words of one language that a text says, as word → canonical emotion, without denied ones."""
    known, lowered = words_of((code,)), text.lower()
    spans = _mentions(lowered, sorted(known, key=len, reverse=True))
    return {lowered[a:b]: known[lowered[a:b]] for a, b in spans}


def _named(text: str, labels: Sequence[str]) -> list[tuple[int, str]]:
    """Give (position, label) of every mention that is not negated, in text order."""
    words = {label.lower(): label for label in labels}
    by_name = {canonical(label): label for label in labels if is_known(label)}
    for word, name in words_of().items():
        if name in by_name:
            words.setdefault(word, by_name[name])
    return [(a, words[text[a:b]]) for a, b in _mentions(text, sorted(words, key=len, reverse=True))]


def _mentions(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Give the spans of whole words, longest first, without negated ones ("not happy or sad" negates both).

    Words of a script without spaces (Chinese) stand among others.
    """
    if not words:
        return []
    whole = (rf"(?<![\w-]){re.escape(word)}(?![\w-])" if word.isascii() else re.escape(word) for word in words)
    pattern = re.compile("|".join(whole))
    spans: list[tuple[int, int]] = []
    negated_until: int | None = None
    for match in pattern.finditer(text):
        chained = negated_until is not None and _EITHER.match(text[negated_until : match.start()])
        if chained or _DENIAL.search(text[: match.start()]):
            negated_until = match.end()
        else:
            spans.append(match.span())
            negated_until = None
    return spans

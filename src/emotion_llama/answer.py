"""From the model's free text to an emotion. What names no label gives `None`, never "neutral"."""

from __future__ import annotations

import re
from collections.abc import Sequence

from emotion_llama.labels import canonical, is_known, known_words

_NEGATION = re.compile(
    r"\b(?:not|no|never|neither|nor|without|hardly|rather than|instead of|isn't|aren't|wasn't|doesn't|don't)"
    r"(?:\s+(?:a|an|any|the|at all|very|really|so|too|particularly|quite|be|being|feel|feeling|seem|look|show"
    r"|signs? of))*"
    r"\s*$"
)
_OR = re.compile(r"^\s*or\s*$")
_CONCLUSION = re.compile(
    r"\b(?:emotions?(?:al state)?(?: label| category)?(?: (?:of|for) [\w\s']{1,30}?)?"
    r"\s*(?:is|was|would be|seems to be|:)"
    r"|(?:therefore|thus|hence|so|overall|in conclusion|in summary),?"
    r"(?: the| this)? (?:person|speaker|man|woman|he|she|they)(?: \w+)?"
    r"\s+(?:feels?|is|are|seems?|looks?|sounds?|appears?))"
)
_FEELING = re.compile(r"^[a-z][a-z '-]{1,30}$")
_FILLER = re.compile(r"^(?:and|or|the|a|an|very|slightly|somewhat|also|feels?|feeling|is)\s+")


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
        sentence_end = re.compile(r"[.!?;\n]|$").search(lowered, conclusion.end())
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
    lowered = text.lower().replace("’", "'").strip().strip(".!")
    items = [_FILLER.sub("", item.strip()) for item in re.split(r",|;|\band\b|\n", lowered) if item.strip()]
    if items and all(_FEELING.match(item) and len(item.split()) <= 2 for item in items):
        return tuple(dict.fromkeys(items))
    words = sorted(known_words(), key=len, reverse=True)
    return tuple(dict.fromkeys(lowered[a:b] for a, b in _mentions(lowered, words)))


def _named(text: str, labels: Sequence[str]) -> list[tuple[int, str]]:
    """Give (position, label) of every mention that is not negated, in text order."""
    words = {label.lower(): label for label in labels}
    by_name = {canonical(label): label for label in labels if is_known(label)}
    for word in known_words():
        if canonical(word) in by_name:
            words.setdefault(word, by_name[canonical(word)])
    return [(a, words[text[a:b]]) for a, b in _mentions(text, sorted(words, key=len, reverse=True))]


def _mentions(text: str, words: Sequence[str]) -> list[tuple[int, int]]:
    """Give the spans of whole words, longest first, without negated ones ("not happy or sad" negates both)."""
    pattern = re.compile(r"(?<![\w-])(?:" + "|".join(re.escape(word) for word in words) + r")(?![\w-])")
    spans: list[tuple[int, int]] = []
    negated_until: int | None = None
    for match in pattern.finditer(text):
        chained = negated_until is not None and _OR.match(text[negated_until : match.start()])
        if chained or _NEGATION.search(text[: match.start()]):
            negated_until = match.end()
        else:
            spans.append(match.span())
            negated_until = None
    return spans

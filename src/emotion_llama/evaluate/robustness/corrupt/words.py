"""Recognition errors in a transcript at a word error rate: words lost, words changed, words added.

Of ten errors about six are substitutions, two and a half deletions and one and a half insertions. A substitute is the
candidate that sounds most alike by its consonants (a rough key for Latin letters), out of the words of all transcripts.
An added word is any of them. Text without spaces between words (Chinese, Japanese) is treated character by character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher

import numpy as np

from emotion_llama.errors import UsageError

ERROR_SHARES = {"substitution": 0.6, "deletion": 0.25, "insertion": 0.15}
CANDIDATES = 40
FREQUENT = (
    "a", "about", "all", "and", "are", "as", "at", "be", "but", "by", "can", "come", "did", "do", "down", "for",
    "from", "get", "go", "had", "has", "have", "he", "her", "here", "him", "his", "how", "i", "if", "in", "into",
    "is", "it", "its", "just", "know", "like", "look", "make", "me", "more", "my", "new", "no", "not", "now", "of",
    "on", "one", "or", "our", "out", "over", "people", "right", "see", "she", "so", "some", "take", "than", "that",
    "the", "their", "them", "then", "there", "they", "this", "time", "to", "two", "up", "us", "was", "we", "well",
    "were", "what", "when", "which", "who", "will", "with", "would", "year", "you", "your",
)  # fmt: skip

# letters that sound alike share a sign; vowels, h, w and y say little
_SOUNDS = str.maketrans("bfpvcgjkqsxzdtlmnr", "bbbbkkkkksssttlmmr", "aeiouhwy'")
_UNSPACED = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff]")


def split_words(text: str) -> tuple[str, ...]:
    """Give the words between spaces; the characters, for text written without spaces between words."""
    if _UNSPACED.search(text):
        return tuple(character for character in text if not character.isspace())
    return tuple(text.split())


def vocabulary(transcripts: Iterable[str | None]) -> tuple[str, ...]:
    """Give every word of the transcripts once, sorted; the frequent English ones too where they hold almost none."""
    words = {word for text in transcripts if text for word in split_words(text)}
    return tuple(sorted(words if len(words) >= CANDIDATES // 4 else words | set(FREQUENT)))


def asr_errors(text: str, word_error_rate: float, seed: int, words: Sequence[str] = FREQUENT) -> str:
    """Give `text` with errors in the share `word_error_rate` (0 to 1) of its words; "" stays "".

    The expected number of errors is exactly that share also for short texts: the fraction of an error is drawn.
    Raises `UsageError` for a share outside 0 to 1.
    """
    if not 0 <= word_error_rate <= 1:
        raise UsageError(f"asr-errors: expected a word error rate between 0 and 1, found {word_error_rate}")
    rng = np.random.default_rng(seed)
    said = split_words(text)
    wanted = word_error_rate * len(said)
    number = min(int(wanted) + int(rng.uniform() < wanted % 1), len(said))
    places = rng.permutation(len(said))[:number]
    kinds = rng.choice(list(ERROR_SHARES), size=number, p=list(ERROR_SHARES.values()))
    error_at = dict(zip(places.tolist(), kinds.tolist(), strict=True))
    heard: list[str] = []
    for index, word in enumerate(said):
        heard += _heard(word, error_at.get(index), words, rng)
    return ("" if _UNSPACED.search(text) else " ").join(heard)


def _heard(word: str, error: str | None, words: Sequence[str], rng: np.random.Generator) -> tuple[str, ...]:
    if error == "deletion":
        return ()
    if error == "substitution":
        return (similar_word(word, words, rng),)
    if error == "insertion":
        return (word, words[int(rng.integers(len(words)))])
    return (word,)


def similar_word(word: str, words: Sequence[str], rng: np.random.Generator) -> str:
    """Give the word of up to 40 random candidates that sounds most like `word` and is not `word`.

    Raises `UsageError` where `words` holds no other word.
    """
    plain = word.lower()
    at = rng.permutation(len(words))[:CANDIDATES]
    candidates = [words[index] for index in at if words[index].lower() != plain]
    if not candidates:
        raise UsageError(f"asr-errors: no word to hear in place of {word!r}; give a vocabulary of several words")
    key = plain.translate(_SOUNDS)

    def alikeness(other: str) -> float:
        return SequenceMatcher(None, key, other.lower().translate(_SOUNDS)).ratio()

    best: str = max(candidates, key=alikeness)
    return best

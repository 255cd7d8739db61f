"""What is said as short lines over time, for drawing into pictures."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from emotion_llama.analyze.captions import LEAST_S, PAUSE_S, Cue
from emotion_llama.analyze.writers import one_line
from emotion_llama.clip import Transcript


def subtitles(transcript: Transcript, span_s: tuple[float, float], most_letters: int) -> list[Cue]:
    """Cues of at most `most_letters` letters (a longer word stays whole), in the order of time.

    A pause ends a cue. Where no word has a time, the words are spread evenly over the speech they belong to, or over
    all of `span_s` (seconds of the recording).
    """
    words = list(_timed_words(transcript, span_s))
    cues: list[Cue] = []
    held: list[Cue] = []
    for word in words:
        letters = sum(len(one.text) + 1 for one in held) + len(word.text)
        if held and (letters > most_letters or word.start_s - held[-1].end_s > PAUSE_S):
            cues.append(_joined(held))
            held = []
        held.append(word)
    return [*cues, _joined(held)] if held else cues


def cue_at(cues: Sequence[Cue], time_s: float) -> str | None:
    """The text that is shown at a time; the later one where two overlap."""
    return next((cue.text for cue in reversed(cues) if cue.start_s <= time_s < cue.end_s), None)


def _timed_words(transcript: Transcript, span_s: tuple[float, float]) -> Iterator[Cue]:
    if not transcript.segments:
        yield from _spread(one_line(transcript.text or ""), *span_s)
    for segment in transcript.segments:
        if not segment.words:
            yield from _spread(one_line(segment.text), segment.start_s, segment.end_s)
        for word in segment.words:
            if one_line(word.text):
                yield Cue(word.start_s, max(word.end_s, word.start_s + LEAST_S), one_line(word.text))


def _spread(text: str, start_s: float, end_s: float) -> Iterator[Cue]:
    """The words of a text, each as long as it has letters."""
    letter_s = max(end_s - start_s, LEAST_S) / max(1, len(text) + 1)
    for word in text.split():
        yield Cue(start_s, start_s + letter_s * (len(word) + 1), word)
        start_s += letter_s * (len(word) + 1)


def _joined(words: Sequence[Cue]) -> Cue:
    return Cue(words[0].start_s, words[-1].end_s, " ".join(word.text for word in words))

"""The sound of a recording in blocks that end in pauses: what is said in each, and when somebody speaks."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from emotion_llama.clip import Transcript
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.perception.sound import is_silent
from emotion_llama.perception.speech import speech_spans

CHUNK_S = 30.0
"""Sound is taken in such pieces: the recogniser reads 30 s at a time, whatever it is given."""

PAUSE_S = 0.3
LEAD_S = 0.5
"""So much before speech a block ends at the latest, where the pause is long enough."""

Spans = tuple[tuple[float, float], ...]
"""Start and end of stretches of speech, seconds of the recording."""

Hearing = Callable[[Waveform], Spans]
"""Finds speech in sound."""

Transcribing = Callable[[Waveform, Spans], Transcript]
"""Says what is said in it."""


@dataclass(frozen=True)
class Heard:
    """One block of sound: it ends at `waveform`'s end, in a pause where there is one. No transcript: none was asked."""

    waveform: Waveform
    speech_s: Spans
    transcript: Transcript | None

    @property
    def end_s(self) -> float:
        """Where the block ends, seconds of the recording."""
        return self.waveform.start_s + self.waveform.duration_s


def find_speech(waveform: Waveform) -> Spans:
    """Stretches of speech; a silent piece is not searched."""
    return () if is_silent(waveform) else speech_spans(waveform)


def hear(chunks: Iterable[Waveform], transcribe: Transcribing | None, find: Hearing = find_speech) -> Iterator[Heard]:
    """Give consecutive blocks of the sound in `chunks`; no more than two chunks are held at a time.

    A block ends in the last pause of the second half of what is held, so that words stay whole, or at its end where
    nobody pauses.
    """
    rest: Waveform | None = None
    for chunk in chunks:
        held = chunk if rest is None else _joined(rest, chunk)
        spans = find(held)
        end_s = last_pause_s(spans, held.start_s, held.start_s + held.duration_s)
        head, rest = _split(held, end_s)
        yield _heard(head, tuple(span for span in spans if span[0] < end_s), transcribe)
    if rest is not None and len(rest.samples):
        yield _heard(rest, find(rest), transcribe)


def _heard(waveform: Waveform, spans: Spans, transcribe: Transcribing | None) -> Heard:
    return Heard(waveform, spans, None if transcribe is None else transcribe(waveform, spans))


def last_pause_s(spans: Sequence[tuple[float, float]], start_s: float, end_s: float) -> float:
    """The last pause in the second half of `start_s` to `end_s`, well before what is said next.

    `end_s` where nobody speaks at the end, and where nobody pauses.
    """
    if not spans or spans[-1][1] <= end_s - PAUSE_S:
        return end_s
    quiet = pairwise([start_s, *(edge for span in spans for edge in span)])
    pauses = [max((a + b) / 2, b - LEAD_S) for a, b in list(quiet)[::2] if b > a]
    return next((pause for pause in reversed(pauses) if pause > (start_s + end_s) / 2), end_s)


def _joined(one: Waveform, other: Waveform) -> Waveform:
    return Waveform(np.concatenate([one.samples, other.samples]), one.start_s)


def _split(waveform: Waveform, at_s: float) -> tuple[Waveform, Waveform]:
    place = min(max(round((at_s - waveform.start_s) * SAMPLE_RATE_HZ), 0), len(waveform.samples))
    rest = waveform.samples[place:].copy()  # a view would keep the whole block in memory
    return Waveform(waveform.samples[:place], waveform.start_s), Waveform(
        rest, waveform.start_s + place / SAMPLE_RATE_HZ
    )

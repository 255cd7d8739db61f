"""Whether there is anything to hear, and whether the words fit in the time."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from emotion_llama.build.doctor.records import Finding, found
from emotion_llama.clip import Clip
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.metrics.text_overlap import is_by_character, tokens

WINDOW_S = 0.1
SILENT_DB = -60.0  # loudest tenth of a second, re full scale; whispered speech is about -45
# Of 13,707 lines of MELD with times 1.7 % are faster and 0.2 % slower (and longer than that), most of them wrong times.
MOST_WORDS_S = 8.0
MOST_CHARACTERS_S = 12.0  # Chinese, Japanese, Korean: a character is a syllable
FEWEST_WORDS_S = 0.5
LONG_S = 8.0


def loudest_db(waveform: Waveform) -> float:
    """Level of the loudest tenth of a second, dB re full scale; -inf for digital silence or no sample."""
    size = round(WINDOW_S * SAMPLE_RATE_HZ)
    samples = waveform.samples.astype(np.float64)
    if not len(samples):
        return float("-inf")
    padded = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    loudest = float(np.square(padded).mean(axis=1).max())
    return 10 * float(np.log10(loudest)) if loudest > 0 else float("-inf")


def check_sound(clip: Clip, waveform: Waveform) -> Iterator[Finding]:
    """Say whether nothing can be heard; worse where the list says that something is said."""
    level_db = loudest_db(waveform)
    if level_db >= SILENT_DB:
        return
    level = "digital silence" if level_db == float("-inf") else f"{level_db:.0f} dB at its loudest"
    if clip.transcript:
        yield found(clip.clip, "silent", "error", f"{level}, but the transcript has words")
    else:
        yield found(clip.clip, "silent", "warning", level)


def check_words(clip: Clip, length_s: float | None) -> Iterator[Finding]:
    """Say whether so many words can be said in that time; nothing where either is not known."""
    count = len(tokens(clip.transcript or ""))
    if not count or not length_s:
        return
    by_character = is_by_character(clip.transcript or "")
    name = "characters" if by_character else "words"
    if count / length_s > (MOST_CHARACTERS_S if by_character else MOST_WORDS_S):
        yield found(clip.clip, "words", "warning", f"{count} {name} in {length_s:.2f} s")
    elif length_s > LONG_S and count / length_s < FEWEST_WORDS_S:
        yield found(clip.clip, "words", "note", f"only {count} {name} in {length_s:.1f} s")

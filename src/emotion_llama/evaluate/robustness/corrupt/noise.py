"""Noise to put over speech: white, babble, music. All of it is synthetic: computed here, recorded nowhere.

Babble is the sum of `VOICES` synthetic talkers, each a pulse train with moving pitch through moving formants, in
syllables of three to six a second with pauses between phrases; it has the spectrum and the rhythm of talkers, not
their words. Music is a chord progression with bass, melody and drums at a fixed tempo, by additive synthesis. Both are
made once a seed as a piece of `PIECE_S` seconds; each clip gets an excerpt from its own place; the piece goes round.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emotion_llama.evaluate.robustness.corrupt.music import music
from emotion_llama.media.types import SAMPLE_RATE_HZ

FLOATS = NDArray[np.float32]
NoiseKind = Literal["white", "babble", "music"]

PIECE_S = 24.0
VOICES = 8
FRAME = 512  # samples of a formant frame: 32 ms, half overlapping

# first four formants of vowels in Hz, rounded means of adult talkers (Peterson & Barney 1952 give the first three)
VOWELS_HZ = (
    (730, 1090, 2440, 3400), (270, 2290, 3010, 3600), (300, 870, 2240, 3300), (530, 1840, 2480, 3500),
    (570, 840, 2410, 3300), (660, 1720, 2410, 3500), (490, 1350, 1690, 3300), (640, 1190, 2390, 3400),
)  # fmt: skip
FORMANT_WIDTHS_HZ = (80.0, 100.0, 140.0, 200.0)
FORMANT_GAINS = (1.0, 0.6, 0.35, 0.2)


def noise(kind: NoiseKind, count: int, seed: int, clip_seed: int) -> FLOATS:
    """Give `count` samples of noise at 16 kHz with an RMS of 1.

    `seed` makes the piece (babble, music), `clip_seed` the excerpt (for white noise the samples themselves).
    """
    rng = np.random.default_rng(clip_seed)
    if kind == "white":
        return np.asarray(rng.standard_normal(count), np.float32)
    piece = _piece(kind, seed)
    at = int(rng.integers(len(piece)))
    excerpt = np.take(piece, np.arange(at, at + count), mode="wrap")
    return _unit(excerpt)


@lru_cache(maxsize=2)
def _piece(kind: NoiseKind, seed: int) -> FLOATS:
    count = round(PIECE_S * SAMPLE_RATE_HZ)
    rng = np.random.default_rng(seed)
    return _unit(babble(count, rng) if kind == "babble" else music(count, rng))


def _unit(samples: FLOATS) -> FLOATS:
    power = float(np.mean(np.square(samples, dtype=np.float64))) if len(samples) else 0.0
    return np.asarray(samples / np.sqrt(power or 1.0), np.float32)


def babble(count: int, rng: np.random.Generator) -> FLOATS:
    """Sum of `VOICES` talkers of equal level, half of them low-voiced, (count,)."""
    total = np.zeros(count, np.float32)
    for index in range(VOICES):
        base_hz = rng.uniform(90, 140) if index % 2 else rng.uniform(170, 240)
        total += _unit(talker(count, base_hz, rng))
    return total


def talker(count: int, base_hz: float, rng: np.random.Generator) -> FLOATS:
    """One synthetic talker with a mean pitch of `base_hz`, (count,) samples."""
    syllables = _syllables(count, rng)
    hops = 2 * count // FRAME + 3
    level, shape, hiss = np.zeros(count), np.zeros((hops, FRAME // 2 + 1)), np.zeros(hops)
    for start, end, strength in syllables:
        level[start:end] += strength * np.hanning(end - start)[: count - start]
        vowels = [_vowel_shape(rng) for _ in range(2)]
        first, last = 2 * start // FRAME, min(2 * end // FRAME + 1, hops)
        glide = np.linspace(0, 1, last - first)[:, None]
        shape[first:last] = (1 - glide) * vowels[0] + glide * vowels[1]
        hiss[first : first + 2] = rng.uniform(0, 0.4)  # a consonant opens the syllable
    voiced = _pulses(_pitch_hz(count, base_hz, rng), rng)
    return (_shaped(voiced, shape, hiss, rng) * level).astype(np.float32)


def _syllables(count: int, rng: np.random.Generator) -> list[tuple[int, int, float]]:
    """(first sample, end, strength) of syllables in phrases of 4–12 with pauses of 0.2–0.6 s between."""
    found = []
    at_s = -rng.uniform(0, 1)
    rate_hz = rng.uniform(3.0, 6.0)
    while at_s * SAMPLE_RATE_HZ < count:
        for _ in range(int(rng.integers(4, 13))):
            length_s = rng.uniform(0.75, 1.25) / rate_hz
            start, end = round(at_s * SAMPLE_RATE_HZ), round((at_s + length_s) * SAMPLE_RATE_HZ)
            if start >= 0 and start < count:
                found.append((start, min(end, count), rng.uniform(0.4, 1.0)))
            at_s += length_s
        at_s += rng.uniform(0.2, 0.6)
    return found


def _pitch_hz(count: int, base_hz: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Pitch of every sample: a smooth walk of about two semitones round the base."""
    knots = count // (SAMPLE_RATE_HZ // 5) + 2
    semitones = np.convolve(rng.standard_normal(knots + 2), np.ones(3) / 3, mode="valid")[:knots] * 3.5
    at = np.linspace(0, knots - 1, count)
    return np.asarray(base_hz * 2 ** (np.interp(at, np.arange(knots), semitones) / 12))


def _pulses(pitch_hz: NDArray[np.float64], rng: np.random.Generator) -> NDArray[np.float64]:
    """A pulse where each pitch period begins, spread over two samples so that it may lie between them."""
    periods = np.cumsum(pitch_hz / SAMPLE_RATE_HZ) + rng.uniform()
    begins = np.flatnonzero(np.diff(np.floor(periods)) > 0)
    share = (np.ceil(periods[begins]) - periods[begins]) / (periods[begins + 1] - periods[begins])
    pulses = np.zeros(len(pitch_hz))
    pulses[begins] = 1 - share
    pulses[begins + 1] += share
    return pulses


def _vowel_shape(rng: np.random.Generator) -> NDArray[np.float64]:
    """Amplitude of each frequency of a formant frame for one vowel of one throat length."""
    hz = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE_HZ)
    formants_hz = np.asarray(VOWELS_HZ[int(rng.integers(len(VOWELS_HZ)))]) * rng.uniform(0.92, 1.15)
    shape = np.full(len(hz), 0.003)
    for formant_hz, width_hz, gain in zip(formants_hz, FORMANT_WIDTHS_HZ, FORMANT_GAINS, strict=True):
        shape += gain / (1 + ((hz - formant_hz) / width_hz) ** 2)
    return np.asarray(shape / np.maximum(hz, 100.0) ** 0.5)  # the pulse's own slope, less what the lips give back


def _shaped(
    voiced: NDArray[np.float64], shape: NDArray[np.float64], hiss: NDArray[np.float64], rng: np.random.Generator
) -> NDArray[np.float64]:
    """The source through one amplitude shape a half frame, overlap-added; hiss lies above 3 kHz."""
    hz = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE_HZ)
    bright = np.where(hz > 3000, 0.012, 0.0)
    window = np.hanning(FRAME + 1)[:FRAME]  # its halves add up to one
    padded = np.zeros((len(shape) + 2) * FRAME // 2)
    padded[FRAME // 2 : FRAME // 2 + len(voiced)] = voiced
    out = np.zeros(len(padded))
    for index in range(len(shape)):
        at = slice(index * FRAME // 2, index * FRAME // 2 + FRAME)
        spectrum = np.fft.rfft(padded[at] * window) * shape[index]
        spectrum += np.fft.rfft(rng.standard_normal(FRAME) * window) * bright * hiss[index]
        out[at] += np.fft.irfft(spectrum, FRAME)
    return out[FRAME // 2 : FRAME // 2 + len(voiced)]

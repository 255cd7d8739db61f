"""Synthetic background music: chords, bass, melody and drums at a fixed tempo, by additive synthesis."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.media.types import SAMPLE_RATE_HZ

ROUNDS = ((0, 4, 5, 3), (0, 5, 3, 4), (5, 3, 0, 4), (0, 3, 4, 3))  # degrees of the scale the chords stand on
SCALE = (0, 2, 4, 5, 7, 9, 11)  # semitones of the major scale
PENTATONIC = (0, 1, 2, 4, 5)  # degrees a melody may use over any of the chords
BEATS = 4
MIDDLE_C_HZ = 261.63


def music(count: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Give `count` samples at 16 kHz of four-beat bars in a random major key, 80 to 140 beats a minute."""
    beat = round(SAMPLE_RATE_HZ * 60 / rng.uniform(80, 140))
    key_hz = MIDDLE_C_HZ * 2 ** (rng.integers(-5, 6) / 12)
    chords = ROUNDS[int(rng.integers(len(ROUNDS)))]
    out = np.zeros(count + beat * BEATS * 2)
    for bar in range(count // (beat * BEATS) + 1):
        _bar(out[bar * beat * BEATS :], chords[bar % len(chords)], key_hz, beat, rng)
    return out[:count].astype(np.float32)


def _bar(out: NDArray[np.float64], chord: int, key_hz: float, beat: int, rng: np.random.Generator) -> None:
    """Add one bar to the front of `out`."""
    for step in (0, 2, 4):
        _add(out, 0, 0.25 * _note(key_hz * _ratio(chord + step), beat * BEATS, 1.5))
    for count in range(BEATS):
        _add(out, count * beat, 0.5 * _note(key_hz / 4 * _ratio(chord), beat, 3.0))
        _add(out, count * beat, 0.9 * _kick() if count % 2 == 0 else 0.4 * _hit(0.12, 18.0, rng))
        for half in (0, beat // 2):
            _add(out, count * beat + half, 0.12 * np.diff(_hit(0.05, 60.0, rng), prepend=0.0))  # bright: a hi-hat
            if rng.uniform() < 0.7:
                degree = 7 + PENTATONIC[int(rng.integers(len(PENTATONIC)))]
                _add(out, count * beat + half, 0.35 * _note(key_hz * _ratio(degree), beat, 4.0))


def _ratio(degree: int) -> float:
    """Frequency ratio of a degree of the scale to the key note, over octaves."""
    return float(2 ** (degree // len(SCALE) + SCALE[degree % len(SCALE)] / 12))


def _note(pitch_hz: float, length: int, decay_per_s: float) -> NDArray[np.float64]:
    time_s = np.arange(length) / SAMPLE_RATE_HZ
    tone = sum(
        np.sin(2 * np.pi * pitch_hz * part * time_s) / part**1.4
        for part in range(1, 9)
        if pitch_hz * part < SAMPLE_RATE_HZ / 2
    )
    attack = np.minimum(1.0, time_s / 0.01) * np.minimum(1.0, time_s[::-1] / 0.02)
    return np.asarray(tone * attack * np.exp(-decay_per_s * time_s))


def _kick() -> NDArray[np.float64]:
    time_s = np.arange(round(0.2 * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    sweep = 2 * np.pi * (50 * time_s + 100 / 30 * (1 - np.exp(-30 * time_s)))  # from 150 Hz down to 50 Hz
    return np.asarray(np.sin(sweep) * np.exp(-18 * time_s))


def _hit(length_s: float, decay_per_s: float, rng: np.random.Generator) -> NDArray[np.float64]:
    time_s = np.arange(round(length_s * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    return np.asarray(rng.standard_normal(len(time_s)) * np.exp(-decay_per_s * time_s))


def _add(out: NDArray[np.float64], at: int, part: NDArray[np.float64]) -> None:
    part = part[: max(0, len(out) - at)]
    out[at : at + len(part)] += part

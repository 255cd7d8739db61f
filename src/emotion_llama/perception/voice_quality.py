"""Voice quality from the waveform, guided by a known pitch: cycle variation, harmonics to noise, spectral tilt.

These are approximations at 16 kHz for running speech; compare them within this tool, not with clinical values taken
from sustained vowels. Compressed or noisy recordings raise jitter and shimmer and lower the harmonics-to-noise ratio.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_llama.media.types import SAMPLE_RATE_HZ

SAMPLES = NDArray[np.float32]

FRAME = 1024  # 64 ms: four periods and more down to 63 Hz
MAX_FRAMES = 2000  # evenly chosen: bounds the work on long recordings
MAX_CYCLES = 3000  # the first ones, for the same reason
MIN_CYCLES = 5
MAX_PERIOD_RATIO = 1.3  # neighbouring periods further apart are no cycle pair (Praat's convention)
MAX_AMPLITUDE_RATIO = 1.6  # the same for amplitudes
TILT_LOW_HZ, TILT_HIGH_HZ = 100.0, 5000.0


def cycle_variation(samples: SAMPLES, f0_hz: SAMPLES, hop_s: float) -> tuple[float | None, float | None]:
    """Local jitter in percent and local shimmer in dB; `None` each with fewer than five pairs of cycles.

    `f0_hz` has one value each `hop_s` seconds from sample 0, NaN where unvoiced. From a cycle to the next the period is
    the lag within 20 % of the guide that correlates best, refined by a parabola; the amplitude is the peak-to-peak
    height of the cycle. Pairs with a period ratio above 1.3 or an amplitude ratio above 1.6 are left out.
    """
    period_steps: list[float] = []
    periods: list[float] = []
    amplitude_steps_db: list[float] = []
    for lags, heights in _voiced_runs(samples, f0_hz, hop_s):
        ratio = np.maximum(lags[1:] / lags[:-1], lags[:-1] / lags[1:])
        usable = ratio <= MAX_PERIOD_RATIO
        period_steps.extend(np.abs(np.diff(lags))[usable])
        periods.extend(lags)
        steps_db = np.abs(20 * np.log10(heights[1:] / heights[:-1]))
        amplitude_steps_db.extend(steps_db[usable & (steps_db <= 20 * np.log10(MAX_AMPLITUDE_RATIO))])
        if len(periods) >= MAX_CYCLES:
            break
    jitter = 100 * float(np.mean(period_steps) / np.mean(periods)) if len(period_steps) >= MIN_CYCLES else None
    shimmer = float(np.mean(amplitude_steps_db)) if len(amplitude_steps_db) >= MIN_CYCLES else None
    return jitter, shimmer


def harmonics_to_noise_db(samples: SAMPLES, times_s: NDArray[np.floating[Any]], f0_hz: SAMPLES) -> float | None:
    """Mean harmonics-to-noise ratio in dB of 64 ms frames around `times_s`, each with its pitch; `None` without frames.

    Boersma 1993, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio of a
    sampled sound": the autocorrelation r of the windowed frame over that of the window, at the pitch lag, gives
    10·log10(r / (1 - r)). It is limited to ±40 dB.
    """
    chosen = _evenly(len(times_s))
    if not len(chosen):
        return None
    window = np.hanning(FRAME)
    frames = _frames(samples, times_s[chosen])
    frames = (frames - frames.mean(axis=1, keepdims=True)) * window
    norm = np.maximum(_autocorrelation(window[None])[0], 1e-6)
    correlation = _autocorrelation(frames) / norm  # (N, FRAME)
    strengths = [_peak_near(row, SAMPLE_RATE_HZ / f0) for row, f0 in zip(correlation, f0_hz[chosen], strict=True)]
    harmonic = np.clip(strengths, 1e-4, 1 - 1e-4)
    return float(np.mean(10 * np.log10(harmonic / (1 - harmonic))))


def spectral_tilt_db_octave(samples: SAMPLES, times_s: NDArray[np.floating[Any]]) -> float | None:
    """Slope in dB an octave of the mean spectrum of 64 ms frames around `times_s`; `None` without frames.

    A line is fitted through the mean power densities of the 1/3-octave bands from 100 Hz to 5 kHz: white noise gives
    0, pink noise -3; a pressed or loud voice is flatter than a soft one.
    """
    chosen = _evenly(len(times_s))
    if not len(chosen):
        return None
    power = np.square(np.abs(np.fft.rfft(_frames(samples, times_s[chosen]) * np.hanning(FRAME)))).mean(axis=0)
    frequency_hz = np.fft.rfftfreq(FRAME, 1 / SAMPLE_RATE_HZ)
    centres_hz = TILT_LOW_HZ * 2 ** np.arange(0, np.log2(TILT_HIGH_HZ / TILT_LOW_HZ) + 1e-9, 1 / 3)
    levels_db = [10 * np.log10(_band_density(power, frequency_hz, centre_hz) + 1e-12) for centre_hz in centres_hz]
    return float(np.polyfit(np.log2(centres_hz), levels_db, 1)[0])


def _band_density(power: NDArray[np.float64], frequency_hz: NDArray[np.floating[Any]], centre_hz: float) -> float:
    inside = (frequency_hz >= centre_hz * 2 ** (-1 / 6)) & (frequency_hz < centre_hz * 2 ** (1 / 6))
    return float(power[inside].mean())


def _evenly(count: int) -> NDArray[np.int64]:
    return np.unique(np.linspace(0, count - 1, min(count, MAX_FRAMES)).round().astype(np.int64))


def _frames(samples: SAMPLES, times_s: NDArray[np.floating[Any]]) -> NDArray[np.float64]:
    padded = np.pad(samples.astype(np.float64), FRAME // 2)
    starts = np.minimum((times_s * SAMPLE_RATE_HZ).round().astype(int), len(samples))
    frames: NDArray[np.float64] = padded[starts[:, None] + np.arange(FRAME)]
    return frames


def _autocorrelation(frames: NDArray[np.float64]) -> NDArray[np.float64]:
    """(N, FRAME) → (N, FRAME), lag 0 is 1."""
    raw = np.fft.irfft(np.square(np.abs(np.fft.rfft(frames, 2 * FRAME))))[:, :FRAME]
    normal: NDArray[np.float64] = raw / np.maximum(raw[:, :1], 1e-12)
    return normal


def _peak_near(correlation: NDArray[np.float64], lag: float) -> float:
    low, high = max(1, int(lag * 0.85)), min(len(correlation) - 2, int(np.ceil(lag * 1.15)))
    at = low + int(np.argmax(correlation[low : high + 1]))
    return _parabola(correlation[at - 1 : at + 2])[1]


def _parabola(three: NDArray[np.float64]) -> tuple[float, float]:
    """Offset (-1 to 1) and height of the top of the parabola through three equidistant values."""
    left, middle, right = (float(value) for value in three)
    curve = left - 2 * middle + right
    if curve >= 0:
        return 0.0, middle
    # a place that is no peak between its neighbours would send the parabola's top far away
    offset = min(max(0.5 * (left - right) / curve, -0.5), 0.5)
    return offset, middle - 0.25 * (left - right) * offset


def _voiced_runs(
    samples: SAMPLES, f0_hz: SAMPLES, hop_s: float
) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Periods in samples and peak-to-peak heights of the cycles of each unbroken voiced stretch."""
    voiced = np.concatenate([[False], ~np.isnan(f0_hz), [False]])
    edges = np.flatnonzero(np.diff(voiced.astype(np.int8)))
    hop = round(hop_s * SAMPLE_RATE_HZ)
    runs, cycles = [], 0
    for start, end in zip(edges[::2], edges[1::2], strict=True):
        run = _cycles(samples[start * hop : end * hop].astype(np.float64), f0_hz[start:end], hop)
        if len(run[0]) >= 2:
            runs.append(run)
            cycles += len(run[0])
        if cycles >= MAX_CYCLES:
            break
    return runs


def _cycles(sound: NDArray[np.float64], f0_hz: SAMPLES, hop: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Periods and heights of the cycles of one voiced stretch, from its start until a whole cycle no longer fits."""
    lags: list[float] = []
    heights: list[float] = []
    at = 0.0
    while True:
        begin = round(at)
        guide = SAMPLE_RATE_HZ / float(f0_hz[min(begin // hop, len(f0_hz) - 1)])
        length, low, high = round(guide), int(guide * 0.8), int(np.ceil(guide * 1.2))
        reach = sound[begin + low - 1 : begin + high + 2 + length]
        if len(reach) < high + 3 - low + length:
            return np.asarray(lags), np.asarray(heights)
        cycle = sound[begin : begin + length]
        energy = np.convolve(reach**2, np.ones(length), mode="valid")
        match = np.correlate(reach, cycle, mode="valid") / np.sqrt(np.maximum(energy, 1e-12))
        best = 1 + int(np.argmax(match[1:-1]))
        lag = low - 1 + best + _parabola(match[best - 1 : best + 2])[0]
        lags.append(lag)
        heights.append(max(float(np.ptp(cycle)), 1e-9))
        at += lag

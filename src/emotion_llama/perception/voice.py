"""Prosody of the speech in a waveform: pitch, loudness, rate, pauses. Voice quality is in `voice_quality`.

Pitch is SwiftF0's (one value each 16 ms, 32 ms of sound). Only speech, as told by the voice activity detector, is
measured; a "sounding" hop is a speech hop within 25 dB of the loudest ones, the rest of the speech is pause.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from swift_f0 import SwiftF0

from emotion_llama.clip import VoiceMeasures
from emotion_llama.measurements import VoiceTrace
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.perception.voice_quality import cycle_variation, harmonics_to_noise_db, spectral_tilt_db_octave

FLOATS = NDArray[np.float32]
BOOLS = NDArray[np.bool_]

HOP_S = 0.016
F0_MIN_HZ, F0_MAX_HZ = 60.0, 700.0  # from a low male voice to a shout; a wider band only adds octave errors
VOICED_CONFIDENCE = 0.5  # SwiftF0's own calibrated point
SOUNDING_BELOW_PEAK_DB = 25.0  # de Jong & Wempe 2009
PAUSE_MIN_S = 0.15
SYLLABLE_DIP_DB = 2.0  # de Jong & Wempe 2009: a nucleus is a peak with a dip of 2 dB on both sides
ENVELOPE_S = 0.064  # smoothing of the loudness envelope in which syllable nuclei are counted
MIN_VOICED_HOPS = 3
SLOPE_MIN_S = 0.25


@dataclass(frozen=True)
class Hops:
    """One row a hop: time, pitch (NaN unvoiced), level, and whether it is speech and sounding."""

    time_s: FLOATS
    f0_hz: FLOATS
    level_db: FLOATS
    speech: BOOLS
    sounding: BOOLS


def measure_voice(
    waveform: Waveform, speech_spans: tuple[tuple[float, float], ...]
) -> tuple[VoiceMeasures | None, VoiceTrace]:
    """Prosody over the `speech_spans` (seconds of the recording) of `waveform`; no measures when they are empty.

    A measure that cannot be taken is `None`. Levels are dB re full scale (RMS; a full-scale sine is -3 dB), pitch
    ranges semitones. `speech_s` is the length of the spans without the pauses; the syllable rate is per such second.
    """
    hops = _hops(waveform, speech_spans)
    trace = VoiceTrace(hops.time_s, hops.f0_hz, hops.level_db, speech_spans)
    if not hops.sounding.any():
        return None, trace
    voiced = ~np.isnan(hops.f0_hz)
    pauses_s = _pauses_s(hops)
    speech_s = float(hops.speech.sum() * HOP_S) - sum(_pauses_s(hops, inside_spans=True))
    quality_at = np.flatnonzero(voiced & hops.sounding)
    jitter_percent, shimmer_db = cycle_variation(waveform.samples, hops.f0_hz, HOP_S)
    low_db, high_db = np.percentile(hops.level_db[hops.sounding], [10, 90])
    f0_hz, f0_range, f0_slope = _pitch(hops, voiced)
    measures = VoiceMeasures(
        f0_hz=f0_hz,
        f0_range_semitones=f0_range,
        f0_slope_semitones_s=f0_slope,
        loudness_db=_mean_level_db(hops.level_db[hops.sounding]),
        loudness_range_db=float(high_db - low_db),
        speech_rate_syl_s=len(syllable_nuclei_s(waveform, hops)) / speech_s if speech_s >= 2 * PAUSE_MIN_S else None,
        speech_s=speech_s,
        pause_count=len(pauses_s),
        pause_mean_s=float(np.mean(pauses_s)) if pauses_s else None,
        voiced_fraction=float(voiced[hops.sounding].mean()),
        jitter_percent=jitter_percent,
        shimmer_db=shimmer_db,
        hnr_db=harmonics_to_noise_db(waveform.samples, quality_at * HOP_S, hops.f0_hz[quality_at]),
        spectral_tilt_db_octave=spectral_tilt_db_octave(waveform.samples, np.flatnonzero(hops.sounding) * HOP_S),
    )
    return measures, trace


def syllable_nuclei_s(waveform: Waveform, hops: Hops) -> list[float]:
    """Recording times of syllable nuclei: voiced, sounding peaks of the envelope with a 2 dB dip on each side.

    After de Jong & Wempe, "Praat script to detect syllable nuclei", Behavior Research Methods 41 (2009).
    """
    step = round(HOP_S * SAMPLE_RATE_HZ / 2)
    window = np.hanning(round(ENVELOPE_S * SAMPLE_RATE_HZ))
    power = np.convolve(np.square(waveform.samples, dtype=np.float64), window / window.sum(), mode="same")[::step]
    level_db = 10 * np.log10(power + 1e-12)
    peaks = _peaks(level_db, SYLLABLE_DIP_DB)
    hop_of = np.minimum(np.asarray(peaks, int) // 2, len(hops.time_s) - 1)
    kept = hops.sounding[hop_of] & ~np.isnan(hops.f0_hz[hop_of])
    return [waveform.start_s + float(at) * step / SAMPLE_RATE_HZ for at in np.asarray(peaks, int)[kept]]


@lru_cache(maxsize=1)
def _pitch_detector() -> SwiftF0:
    return SwiftF0(threads=2, spin=False)


def _hops(waveform: Waveform, spans: tuple[tuple[float, float], ...]) -> Hops:
    if not len(waveform.samples):
        empty = np.zeros(0, np.float32)
        return Hops(empty, empty, empty, empty > 0, empty > 0)
    pitch = _pitch_detector().detect(waveform.samples, SAMPLE_RATE_HZ, fmin=F0_MIN_HZ, fmax=F0_MAX_HZ)
    time_s = pitch.timestamps + waveform.start_s
    speech = np.zeros(len(time_s), bool)
    for start_s, end_s in spans:
        speech |= (time_s >= start_s) & (time_s < end_s)
    sounding = np.zeros_like(speech)
    if speech.any():
        loudest_db = np.percentile(pitch.loudness_db[speech], 99)
        sounding = speech & (pitch.loudness_db > max(loudest_db - SOUNDING_BELOW_PEAK_DB, -90.0))
    f0_hz = np.where((pitch.confidence >= VOICED_CONFIDENCE) & sounding, pitch.pitch_hz, np.nan)
    return Hops(
        time_s.astype(np.float32), f0_hz.astype(np.float32), pitch.loudness_db.astype(np.float32), speech, sounding
    )


def _pitch(hops: Hops, voiced: BOOLS) -> tuple[float | None, float | None, float | None]:
    """Median in Hz, 5–95 % range in semitones, slope of the regression line in semitones a second."""
    if voiced.sum() < MIN_VOICED_HOPS:
        return None, None, None
    f0_hz, time_s = hops.f0_hz[voiced].astype(np.float64), hops.time_s[voiced].astype(np.float64)
    semitones = 12 * np.log2(f0_hz / np.median(f0_hz))
    low, high = np.percentile(semitones, [5, 95])
    long_enough = time_s[-1] - time_s[0] >= SLOPE_MIN_S
    slope = float(np.polyfit(time_s - time_s[0], semitones, 1)[0]) if long_enough else None
    return float(np.median(f0_hz)), float(high - low), slope


def _pauses_s(hops: Hops, *, inside_spans: bool = False) -> list[float]:
    """Lengths of the stretches without sounding hops between the first and the last sounding hop."""
    sounding = np.flatnonzero(hops.sounding)
    lengths = []
    for before, after in pairwise(sounding):
        silent = slice(before + 1, after)
        length_s = float(after - before - 1) * HOP_S
        if length_s >= PAUSE_MIN_S:
            lengths.append(float(hops.speech[silent].sum()) * HOP_S if inside_spans else length_s)
    return lengths


def _mean_level_db(level_db: FLOATS) -> float:
    return float(10 * np.log10(np.mean(10 ** (level_db.astype(np.float64) / 10))))


def _peaks(level_db: NDArray[np.float64], dip_db: float) -> list[int]:
    """Indices of maxima that rise and fall by at least `dip_db` before the next one."""
    peaks: list[int] = []
    rising, extreme = True, 0
    for at, value in enumerate(level_db):
        if rising:
            if value > level_db[extreme]:
                extreme = at
            elif level_db[extreme] - value >= dip_db:
                peaks.append(extreme)
                rising, extreme = False, at
        elif value < level_db[extreme]:
            extreme = at
        elif value - level_db[extreme] >= dip_db:
            rising, extreme = True, at
    if rising and len(level_db) and level_db[extreme] - level_db[peaks[-1] if peaks else 0 :].min() >= dip_db:
        peaks.append(extreme)
    return peaks

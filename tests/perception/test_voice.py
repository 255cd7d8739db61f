"""Prosody against sounds whose pitch, rate, pauses and noise are known by construction."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.clip import VoiceMeasures
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.perception.sound import is_silent, perceive_sound
from emotion_llama.perception.voice import measure_voice
from emotion_llama.perception.voice_quality import cycle_variation, spectral_tilt_db_octave


def voice(f0_hz: float | np.ndarray, seconds: float = 2.0, slope_db_octave: float = -6.0) -> np.ndarray:
    """A harmonic complex up to 4 kHz; `f0_hz` a number or one value a sample."""
    f0 = np.broadcast_to(np.asarray(f0_hz, float), round(seconds * SAMPLE_RATE_HZ))
    phase = 2 * np.pi * np.cumsum(f0) / SAMPLE_RATE_HZ
    harmonics = range(1, int(4000 / f0.max()) + 1)
    total = sum(10 ** (slope_db_octave * np.log2(k) / 20) * np.sin(k * phase + k * k) for k in harmonics)
    return (0.1 * total / np.std(total)).astype(np.float32)


def measured(samples: np.ndarray, start_s: float = 0.0) -> VoiceMeasures:
    waveform = Waveform(samples.astype(np.float32), start_s)
    measures, trace = measure_voice(waveform, ((start_s, start_s + waveform.duration_s),))
    assert measures is not None
    assert trace.time_s[0] == pytest.approx(start_s) and len(trace.f0_hz) == len(trace.loudness_db)
    return measures


@pytest.mark.parametrize("f0_hz", [90.0, 140.0, 220.0, 350.0])
def test_pitch_and_level_of_a_steady_voice(f0_hz: float) -> None:
    got = measured(voice(f0_hz))
    assert got.f0_hz == pytest.approx(f0_hz, rel=0.02)
    assert got.f0_range_semitones is not None and got.f0_range_semitones < 0.5
    assert got.loudness_db == pytest.approx(-20.0, abs=0.5)  # RMS 0.1 of full scale
    assert got.voiced_fraction is not None and got.voiced_fraction > 0.9
    assert got.pause_count == 0 and got.pause_mean_s is None
    assert got.speech_s == pytest.approx(2.0, abs=0.05)
    assert got.jitter_percent is not None and got.jitter_percent < 0.3
    assert got.shimmer_db is not None and got.shimmer_db < 0.2
    assert got.hnr_db is not None and got.hnr_db > 20


def test_vibrato_range_and_glide_slope() -> None:
    at_s = np.arange(2 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    vibrato = measured(voice(200 * 2 ** (2 * np.sin(2 * np.pi * 3 * at_s) / 12)))
    # 5–95 % of a sine of ±2 semitones: 2·2·sin(0.45·π)
    assert vibrato.f0_range_semitones == pytest.approx(3.95, abs=0.4)
    glide = measured(voice(150 * 2 ** (3 * at_s / 12)))
    assert glide.f0_slope_semitones_s == pytest.approx(3.0, abs=0.2)


def test_syllables_are_counted_by_their_nuclei() -> None:
    at_s = np.arange(3 * SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    swell = 0.1 + 0.9 * np.sin(np.pi * 4 * at_s) ** 2  # four swells a second
    got = measured(voice(130, 3.0) * swell)
    assert got.speech_rate_syl_s == pytest.approx(4.0, abs=0.4)
    assert got.loudness_range_db is not None and got.loudness_range_db > 6


def test_pauses_are_found_inside_the_speech_only() -> None:
    speech, gap = voice(150, 0.8), np.zeros(round(0.4 * SAMPLE_RATE_HZ), np.float32)
    short = np.zeros(round(0.08 * SAMPLE_RATE_HZ), np.float32)
    got = measured(np.concatenate([gap, speech, gap, speech, short, speech, gap]))
    assert got.pause_count == 1
    assert got.pause_mean_s == pytest.approx(0.4, abs=0.05)
    assert got.loudness_db == pytest.approx(-20.0, abs=1.0)


def test_noise_lowers_the_harmonics_to_noise_ratio_as_it_should() -> None:
    rng = np.random.default_rng(0)
    clean = voice(150, slope_db_octave=-3)
    got = [measured(clean + rng.normal(0, 0.1 * 10 ** (-snr / 20), len(clean))).hnr_db for snr in (20, 10, 5)]
    assert got == pytest.approx([20, 10, 5], abs=2.0)


def test_jitter_and_shimmer_grow_with_their_cause() -> None:
    rng = np.random.default_rng(0)

    def pulses(jitter: float, shimmer_db: float) -> np.ndarray:
        samples = np.zeros(2 * SAMPLE_RATE_HZ)
        at = 0.0
        ring = np.exp(-np.arange(90) / 25) * np.sin(np.arange(90) / 3)
        while at < len(samples) - 100:
            samples[round(at) : round(at) + 90] += ring * 10 ** (rng.normal(0, shimmer_db) / 20)
            at += 128 * (1 + rng.normal(0, jitter))
        return samples.astype(np.float32)

    f0_hz = np.full(125, 125.0, np.float32)
    steady = cycle_variation(pulses(0, 0), f0_hz, 0.016)
    rough = cycle_variation(pulses(0.02, 0), f0_hz, 0.016)
    uneven = cycle_variation(pulses(0, 1.0), f0_hz, 0.016)
    assert steady == pytest.approx((0.0, 0.0), abs=0.05)
    # mean |x - y| of two independent normals of deviation s is 2·s/√π; cycle marks round to a sample
    assert rough[0] == pytest.approx(2.26, abs=0.8)
    assert uneven[1] == pytest.approx(1.13, abs=0.4)
    assert cycle_variation(pulses(0, 0), np.full(125, np.nan, np.float32), 0.016) == (None, None)


def test_tilt_of_noises_with_known_slopes() -> None:
    rng = np.random.default_rng(0)
    white = rng.normal(0, 0.1, 4 * SAMPLE_RATE_HZ)
    spectrum = np.fft.rfft(white)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 1)))
    times_s = np.arange(0, 4, 0.016)
    assert spectral_tilt_db_octave(white.astype(np.float32), times_s) == pytest.approx(0.0, abs=0.3)
    assert spectral_tilt_db_octave(pink.astype(np.float32), times_s) == pytest.approx(-3.01, abs=0.3)


def test_what_cannot_be_measured_is_none() -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, SAMPLE_RATE_HZ)
    got = measured(noise)
    assert got.f0_hz is None and got.f0_slope_semitones_s is None
    assert got.jitter_percent is None and got.hnr_db is None
    tiny = measured(voice(150, 0.05))
    assert tiny.speech_rate_syl_s is None
    measures, trace = measure_voice(Waveform(noise.astype(np.float32)), ())
    assert measures is None and np.isnan(trace.f0_hz).all()
    assert measure_voice(Waveform(np.zeros(0, np.float32)), ())[0] is None


def test_times_are_the_recordings() -> None:
    assert measured(voice(200), start_s=7.5).f0_hz == pytest.approx(200, rel=0.02)


def test_silence_and_given_words() -> None:
    quiet = Waveform(np.full(SAMPLE_RATE_HZ, 1e-4, np.float32))
    assert is_silent(quiet) and is_silent(Waveform(np.zeros(0, np.float32)))
    click = np.zeros(SAMPLE_RATE_HZ, np.float32)
    click[8000:9000] = 0.01
    assert not is_silent(Waveform(click))
    heard = perceive_sound(quiet, None, "hello")
    assert heard.silent and heard.voice is None
    assert (heard.transcript.text, heard.transcript.source) == ("hello", "given")
    unasked = perceive_sound(quiet, None, None).transcript
    assert (unasked.text, unasked.source) == (None, "none")

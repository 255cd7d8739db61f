"""Damage to sound does what it says: levels, bands, rhythm, no shift, the same every time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from emotion_llama.errors import MediaError, UsageError
from emotion_llama.evaluate.robustness.corrupt.noise import babble, noise, talker
from emotion_llama.evaluate.robustness.corrupt.seed import clip_seed
from emotion_llama.evaluate.robustness.corrupt.sound import active_power, add_noise, mp3_round_trip, telephone

RATE_HZ = 16_000


@pytest.fixture(scope="module")
def speech() -> NDArray[np.float32]:
    """Three seconds of one synthetic voice, quiet enough to take noise, with half a second of silence on each side."""
    voice = talker(3 * RATE_HZ, 120.0, np.random.default_rng(5))
    voice *= 0.02 / voice.std()
    return np.pad(voice, RATE_HZ // 2)


def band_share(samples: NDArray[np.float32], low_hz: float, high_hz: float) -> float:
    power = np.abs(np.fft.rfft(samples)) ** 2
    hz = np.fft.rfftfreq(len(samples), 1 / RATE_HZ)
    return float(power[(hz >= low_hz) & (hz < high_hz)].sum() / power.sum())


def lag(one: NDArray[np.float32], other: NDArray[np.float32]) -> int:
    n = len(one)
    match = np.fft.irfft(np.fft.rfft(one, 2 * n) * np.conj(np.fft.rfft(other, 2 * n)))
    at = int(match.argmax())
    return at if at < n else at - 2 * n


def modulation_octave_hz(samples: NDArray[np.float32]) -> float:
    """Lower edge of the octave from 0.5 Hz on that holds most of the loudness envelope's movement."""
    envelope = np.sqrt(np.square(samples.astype(np.float64)).reshape(-1, 160).mean(axis=1))
    power = np.abs(np.fft.rfft(envelope - envelope.mean())) ** 2
    hz = np.fft.rfftfreq(len(envelope), 0.01)
    octaves = [0.5, 1.0, 2.0, 4.0, 8.0, 16.0]
    return max(octaves, key=lambda low: float(power[(hz >= low) & (hz < 2 * low)].sum()))


def test_a_known_level_is_measured_over_the_active_frames_only() -> None:
    tone = 0.1 * np.sin(2 * np.pi * 200 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    padded = np.concatenate([np.zeros(3 * RATE_HZ, np.float32), tone, np.zeros(2 * RATE_HZ, np.float32)])
    with_breath = padded + 0.0005 * np.random.default_rng(0).standard_normal(len(padded)).astype(np.float32)
    # 0.1 peak: power .005, whatever the silence round it
    assert 10 * np.log10(active_power(with_breath) / 0.005) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("kind", ["white", "babble", "music"])
@pytest.mark.parametrize("snr_db", [20.0, 5.0, -5.0])
def test_achieved_signal_to_noise_ratio(speech: NDArray[np.float32], kind: str, snr_db: float) -> None:
    wanted = noise(kind, len(speech), 0, 11)  # type: ignore[arg-type]
    mixed = add_noise(speech, wanted, snr_db)
    assert np.abs(mixed).max() < 0.98  # nothing was turned down here
    added = mixed.astype(np.float64) - speech
    frames = np.square(speech.astype(np.float64)).reshape(-1, 320).mean(axis=1)
    active = frames[frames > 10 ** (-25 / 10) * np.quantile(frames, 0.95)].mean()
    assert 10 * np.log10(active / np.mean(added**2)) == pytest.approx(snr_db, abs=0.3)
    assert np.corrcoef(added, wanted)[0, 1] > 0.9999


def test_loud_mixtures_are_turned_down_and_keep_their_ratio(speech: NDArray[np.float32]) -> None:
    loud = speech * np.float32(0.9 / np.abs(speech).max())
    wanted = noise("white", len(loud), 0, 3)
    mixed = add_noise(loud, wanted, -15.0)
    assert np.abs(mixed).max() == pytest.approx(0.99, abs=1e-4)
    voice_gain, noise_gain = np.linalg.lstsq(np.stack([loud, wanted], axis=1), mixed, rcond=None)[0]
    assert voice_gain < 1
    assert 10 * np.log10(active_power(loud) * voice_gain**2 / noise_gain**2) == pytest.approx(-15.0, abs=0.3)


def test_silence_has_no_level_to_set_noise_against() -> None:
    with pytest.raises(MediaError, match="silence"):
        add_noise(np.zeros(RATE_HZ, np.float32), noise("white", RATE_HZ, 0, 1), 0.0)


def test_babble_moves_like_speech_and_white_noise_does_not() -> None:
    voices = babble(12 * RATE_HZ, np.random.default_rng(2))
    assert modulation_octave_hz(voices) in (2.0, 4.0)
    assert modulation_octave_hz(noise("white", 12 * RATE_HZ, 0, 2)) >= 8.0


def test_babble_has_the_spectrum_of_voices() -> None:
    voices = babble(8 * RATE_HZ, np.random.default_rng(3))
    assert band_share(voices, 80, 1000) > 0.6
    assert 0.0005 < band_share(voices, 4000, 8000) < 0.1  # consonants


def test_a_talker_has_the_pitch_asked_for() -> None:
    voice = talker(4 * RATE_HZ, 200.0, np.random.default_rng(1)).astype(np.float64)
    best = []
    for start in range(0, len(voice) - 1600, 1600):
        piece = voice[start : start + 1600]
        if piece.std() > voice.std() / 2:
            match = np.correlate(piece, piece, "full")[1600 - 1 :]
            best.append(RATE_HZ / (40 + int(match[40:200].argmax())))
    assert np.median(best) == pytest.approx(200, rel=0.15)


@pytest.mark.parametrize("kind", ["white", "babble", "music"])
def test_noise_follows_from_its_seeds(kind: str) -> None:
    one = noise(kind, 5000, 4, 9)  # type: ignore[arg-type]
    assert one.dtype == np.float32
    assert np.sqrt(np.mean(one.astype(np.float64) ** 2)) == pytest.approx(1, abs=0.05)
    np.testing.assert_array_equal(one, noise(kind, 5000, 4, 9))  # type: ignore[arg-type]
    assert np.abs(np.corrcoef(one, noise(kind, 5000, 4, 10))[0, 1]) < 0.5  # type: ignore[arg-type]


def test_a_long_clip_gets_noise_to_its_end() -> None:
    long = noise("music", 30 * RATE_HZ, 4, 9)
    assert long[-RATE_HZ:].std() > 0.2


@pytest.mark.parametrize(("kbit_s", "gone_from_hz"), [(16, 6000), (8, 4000)])
def test_mp3_loses_the_high_band(kbit_s: int, gone_from_hz: int) -> None:
    samples = 0.1 * noise("white", 2 * RATE_HZ, 0, 1)
    coded = mp3_round_trip(samples, kbit_s)
    assert len(coded) == len(samples)
    assert band_share(samples, gone_from_hz, 8000) > 0.2
    assert band_share(coded, gone_from_hz, 8000) < 0.01


def test_mp3_keeps_the_place_in_time_and_costs_more_at_lower_rates(speech: NDArray[np.float32]) -> None:
    errors = []
    for kbit_s in (64, 32, 16, 8):
        coded = mp3_round_trip(speech, kbit_s)
        assert lag(coded, speech) == 0
        errors.append(1 - np.corrcoef(coded, speech)[0, 1])
    assert errors == sorted(errors)
    assert errors[0] < 0.01


def test_mp3_refuses_a_rate_that_does_not_exist() -> None:
    with pytest.raises(UsageError, match="13 kbit/s"):
        mp3_round_trip(np.zeros(1000, np.float32), 13)


def test_telephone_keeps_its_band_and_nothing_else() -> None:
    samples = 0.1 * noise("white", 2 * RATE_HZ, 0, 1)
    line = telephone(samples)
    assert len(line) == len(samples)
    assert band_share(line, 0, 200) < 0.005
    assert band_share(line, 3600, 8000) < 0.01
    assert band_share(line, 350, 3300) > 0.95
    inside = [np.abs(np.fft.rfft(x))[700:6600] for x in (line, samples)]  # 350–3300 Hz
    assert np.mean(inside[0]) / np.mean(inside[1]) == pytest.approx(1, abs=0.05)  # the level stays


def test_telephone_does_not_shift_and_adds_the_noise_of_its_codec(speech: NDArray[np.float32]) -> None:
    loud = speech * 10
    line = telephone(loud)
    assert lag(line, loud) == 0
    tone = 0.3 * np.sin(2 * np.pi * 1013 * np.arange(RATE_HZ) / RATE_HZ).astype(np.float32)
    middle = slice(1000, -1000)
    error = telephone(tone)[middle] - tone[middle]
    # G.711 has a signal-to-noise ratio of about 38 dB
    assert 33 < 10 * np.log10(np.mean(tone[middle] ** 2) / np.mean(error**2)) < 42


@settings(max_examples=10, deadline=None)
@given(count=st.integers(1, 1500), seed=st.integers(0, 5))
def test_every_length_is_kept(count: int, seed: int) -> None:
    samples = 0.1 * np.random.default_rng(seed).standard_normal(count).astype(np.float32)
    for changed in (
        telephone(samples), mp3_round_trip(samples, 32), add_noise(samples, noise("white", count, 0, seed), 5.0)
    ):  # fmt: skip
        assert changed.shape == samples.shape
        assert changed.dtype == np.float32


def test_clips_have_seeds_of_their_own_that_never_change() -> None:
    assert clip_seed(0, "a.mp4", "snr-white") == 3651440384400110774
    assert len({clip_seed(seed, clip, what) for seed in (0, 1) for clip in "ab" for what in "xy"}) == 8

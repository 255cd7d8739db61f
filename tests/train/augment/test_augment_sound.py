"""Changed sound does what its draw says, measured from outside: levels, pitch, durations, echo, bands."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.typing import NDArray

from emotion_llama.errors import MediaError
from emotion_llama.media.types import Waveform
from emotion_llama.train.augment import AugmentSettings, SoundDraw, SoundSettings, apply_sound, augment_waveform
from emotion_llama.train.augment.sound import impulse_response

RATE_HZ = 16_000
FLOATS = NDArray[np.float32]


def tone(hz: float = 180.0, seconds: float = 3.0, level: float = 0.1) -> FLOATS:
    """Five harmonics of equal phase."""
    at_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return np.asarray(sum(level / k * np.sin(2 * np.pi * hz * k * at_s) for k in range(1, 6)), np.float32)


def speech_like(seconds: float = 4.0, seed: int = 0) -> FLOATS:
    """Syllables: a harmonic tone in bursts of 150 ms at random places, with pauses, over faint breath."""
    rng = np.random.default_rng(seed)
    level = np.zeros(round(seconds * RATE_HZ))
    for start in rng.choice(int(seconds * 4), int(seconds * 2), replace=False) * RATE_HZ // 4:
        level[start : start + 2400] = np.hanning(2400)[: len(level) - start] * rng.uniform(0.4, 1)
    return np.asarray(tone(140, seconds, 0.2) * level + 1e-4 * rng.standard_normal(len(level)), np.float32)


def pitch_hz(samples: FLOATS) -> float:
    """Autocorrelation's first peak between 80 and 400 Hz, refined by a parabola; the middle second only."""
    middle = samples[len(samples) // 2 - RATE_HZ // 2 :][:RATE_HZ].astype(np.float64)
    power = np.abs(np.fft.rfft(middle, 4 * RATE_HZ)) ** 2
    match = np.fft.irfft(power)
    low, high = RATE_HZ // 400, RATE_HZ // 80
    at = low + int(match[low:high].argmax())
    left, peak, right = match[at - 1 : at + 2]
    return float(RATE_HZ / (at + 0.5 * (left - right) / (left - 2 * peak + right)))


def changed(samples: FLOATS, **what: object) -> FLOATS:
    return apply_sound(Waveform(samples), SoundDraw(**what)).samples  # type: ignore[arg-type]


@pytest.mark.parametrize("kind", ["white", "pink", "babble"])
@pytest.mark.parametrize("snr_db", [20.0, 5.0, 0.0])
def test_signal_to_noise_ratio_is_the_asked_one(kind: str, snr_db: float) -> None:
    speech = speech_like()
    added = changed(speech, noise=kind, snr_db=snr_db, seed=3).astype(np.float64) - speech
    frames = np.square(speech.astype(np.float64)).reshape(-1, 320).mean(axis=1)
    active = frames[frames > np.quantile(frames, 0.95) / 10**2.5].mean()
    assert 10 * np.log10(active / np.mean(added**2)) == pytest.approx(snr_db, abs=0.5)


def test_pauses_do_not_count_for_the_level_of_speech() -> None:
    alone = tone(seconds=1)
    padded = np.pad(alone, 3 * RATE_HZ)
    added = changed(padded, noise="white", snr_db=10.0).astype(np.float64) - padded
    assert 10 * np.log10(np.mean(alone.astype(np.float64) ** 2) / np.mean(added**2)) == pytest.approx(10, abs=0.5)


def test_white_noise_is_flat_and_pink_falls_by_three_decibels_an_octave() -> None:
    speech = speech_like()
    for kind, slope_db in (("white", 0.0), ("pink", -3.01)):
        power = np.abs(np.fft.rfft(changed(speech, noise=kind, snr_db=0.0) - speech)) ** 2
        hz = np.fft.rfftfreq(len(speech), 1 / RATE_HZ)
        edges = 62.5 * 2.0 ** np.arange(8)
        bands_db = [10 * np.log10(power[(hz >= low) & (hz < 2 * low)].mean()) for low in edges[:-1]]
        assert np.polyfit(np.arange(7), bands_db, 1)[0] == pytest.approx(slope_db, abs=0.3)


def test_babble_has_the_spectrum_of_the_clip_and_not_its_order() -> None:
    speech = speech_like(seed=2)
    babble = changed(speech, noise="babble", snr_db=0.0) - speech
    shares = [np.abs(np.fft.rfft(x)) ** 2 for x in (speech, babble)]
    hz = np.fft.rfftfreq(len(speech), 1 / RATE_HZ)
    voice, other = (p[(hz > 100) & (hz < 800)].sum() / p.sum() for p in shares)
    assert other == pytest.approx(voice, abs=0.05)
    loudness = [np.square(x.astype(np.float64)).reshape(-1, 800).mean(axis=1) for x in (speech, babble)]
    assert abs(np.corrcoef(loudness)[0, 1]) < 0.6


@pytest.mark.parametrize("semitones", [-3.0, -1.5, -0.3, 0.3, 1.5, 3.0])
def test_pitch_moves_and_duration_stays(semitones: float) -> None:
    given_tone = tone()
    other = changed(given_tone, pitch_semitones=semitones)
    assert 12 * np.log2(pitch_hz(other) / pitch_hz(given_tone)) == pytest.approx(semitones, abs=0.05)
    assert len(other) == pytest.approx(len(given_tone), rel=0.01)
    assert np.std(other[-4000:]) > 0.7 * np.std(given_tone[-4000:])  # it does not end in silence


@pytest.mark.parametrize("speed", [0.8, 0.9, 1.1, 1.25])
def test_speed_moves_duration_and_pitch(speed: float) -> None:
    given_tone = tone()
    other = changed(given_tone, speed=speed)
    assert len(other) == pytest.approx(len(given_tone) / speed, abs=1)
    assert pitch_hz(other) / pitch_hz(given_tone) == pytest.approx(speed, rel=0.003)


def test_speed_and_pitch_together() -> None:
    other = changed(tone(), speed=1.1, pitch_semitones=-1.5)
    assert pitch_hz(other) == pytest.approx(180 * 1.1 * 2 ** (-1.5 / 12), rel=0.003)
    assert len(other) == pytest.approx(3 * RATE_HZ / 1.1, abs=1)


@pytest.mark.parametrize("semitones", [-1.5, 1.5])
def test_a_voice_of_another_pitch_stays_in_its_place(semitones: float) -> None:
    speech = speech_like()
    loudness = [
        np.convolve(np.abs(x), np.ones(400) / 400, "same") for x in (speech, changed(speech, pitch_semitones=semitones))
    ]
    one, other = (x - x.mean() for x in loudness)
    lags = np.arange(-800, 801, 8)
    best = max(lags, key=lambda lag: float(one @ np.roll(other, -lag)))
    assert abs(best) / RATE_HZ <= 0.02


@pytest.mark.parametrize("rt60_s", [0.15, 0.4, 0.6, 1.2])
def test_echo_decays_as_asked(rt60_s: float) -> None:
    """Schroeder's backward integration; the slope between 5 and 35 dB below the beginning of the echo."""
    room = impulse_response(rt60_s, 6.0, np.random.default_rng(4)).astype(np.float64)
    echo = room[1:]
    left = np.cumsum(echo[::-1] ** 2)[::-1]
    decay_db = 10 * np.log10(left / left[0])
    part = (decay_db < -5) & (decay_db > -35)
    slope_db_s = np.polyfit(np.flatnonzero(part) / RATE_HZ, decay_db[part], 1)[0]
    assert -60 / slope_db_s == pytest.approx(rt60_s, rel=0.15)
    assert 10 * np.log10(room[0] ** 2 / np.sum(echo**2)) == pytest.approx(6.0, abs=0.1)


def test_a_click_sounds_as_the_room_and_the_duration_stays() -> None:
    click = np.zeros(RATE_HZ, np.float32)
    click[100] = 0.5
    other = changed(click, reverb_rt60_s=0.3, direct_to_reverb_db=10.0, seed=5)
    room = impulse_response(0.3, 10.0, np.random.default_rng(5))
    assert len(other) == len(click)
    np.testing.assert_allclose(other[100 : 100 + len(room)], room / 2, atol=1e-5)
    np.testing.assert_allclose(other[:100], 0, atol=1e-5)


def test_band_limits_take_away_what_lies_outside() -> None:
    noise = (0.05 * np.random.default_rng(1).standard_normal(4 * RATE_HZ)).astype(np.float32)
    hz = np.fft.rfftfreq(len(noise), 1 / RATE_HZ)
    passed = np.abs(np.fft.rfft(changed(noise, band_hz=(300.0, 3400.0)))) ** 2 / np.abs(np.fft.rfft(noise)) ** 2
    gain_db = {
        centre: 10 * np.log10(np.median(passed[abs(hz - centre) < 20])) for centre in (100, 300, 1000, 3400, 6000)
    }
    assert gain_db[100] < -30 and gain_db[6000] < -30
    assert gain_db[300] == pytest.approx(-3, abs=1) and gain_db[3400] == pytest.approx(-3, abs=1)
    assert gain_db[1000] == pytest.approx(0, abs=0.2)


def test_level_moves_and_never_clips() -> None:
    speech = speech_like()
    np.testing.assert_allclose(changed(speech, gain_db=-6.0), speech * 10**-0.3, rtol=1e-5)
    loud = changed(speech, gain_db=20.0)
    assert np.abs(loud).max() == pytest.approx(1.0)
    np.testing.assert_allclose(loud / speech, 1 / np.abs(speech).max(), rtol=1e-4)  # turned down, not cut off


def test_cuts_keep_the_place_in_the_recording() -> None:
    samples = np.linspace(-0.5, 0.5, 3 * RATE_HZ, dtype=np.float32)
    cut = apply_sound(Waveform(samples, 2.0), SoundDraw(cut_s=(0.25, 0.5), keep_s=1.0))
    np.testing.assert_array_equal(cut.samples, samples[4000:-8000])
    assert cut.start_s == 2.25
    half = apply_sound(Waveform(samples, 2.0), SoundDraw(cut_s=(1.0, 3.0), keep_s=1.0))
    assert (half.duration_s, half.start_s) == (pytest.approx(1.0), pytest.approx(2.5))
    short = apply_sound(Waveform(samples, 2.0), SoundDraw(cut_s=(0.2, 0.2), keep_s=5.0))
    np.testing.assert_array_equal(short.samples, samples)


def test_speed_scales_the_beginning_too() -> None:
    assert apply_sound(Waveform(tone(), 11.0), SoundDraw(speed=1.1)).start_s == pytest.approx(10.0)


def test_probability_zero_is_identity() -> None:
    never = AugmentSettings.model_validate({"sound": {name: {"probability": 0} for name in SoundSettings.model_fields}})
    given_sound = Waveform(speech_like(), 3.0)
    for seed in range(5):
        other = augment_waveform(given_sound, never, np.random.default_rng(seed))
        assert other.samples.tobytes() == given_sound.samples.tobytes() and other.start_s == 3.0


def always() -> AugmentSettings:
    return AugmentSettings.model_validate({"sound": {name: {"probability": 1} for name in SoundSettings.model_fields}})


def test_the_same_seed_gives_the_same_bytes() -> None:
    given_sound = Waveform(speech_like())
    before = given_sound.samples.copy()
    first, second, other = (
        augment_waveform(given_sound, always(), np.random.default_rng(seed)).samples for seed in (7, 7, 8)
    )
    assert first.tobytes() == second.tobytes() != other.tobytes()
    np.testing.assert_array_equal(given_sound.samples, before)  # the recording itself is not touched


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(RATE_HZ, np.float32),
        np.full(RATE_HZ, 0.25, np.float32),
        speech_like()[:1600],
        np.ones(1, np.float32),
        np.full(RATE_HZ, 3.0, np.float32),
        np.asarray(speech_like()[::-1]),
    ],
    ids=["silence", "constant", "100 ms", "one sample", "over full scale", "backwards view"],
)
def test_odd_recordings_come_through(samples: FLOATS) -> None:
    for seed in range(6):
        other = augment_waveform(Waveform(samples), always(), np.random.default_rng(seed)).samples
        assert other.dtype == np.float32 and np.isfinite(other).all() and np.abs(other).max() <= 1
        assert (
            len(samples) / 1.1 - 0.6 * RATE_HZ - 2 <= len(other) <= len(samples) / 0.9 + 1
        )  # at most .3 s off each end
        assert other.any() == samples.any()


@pytest.mark.parametrize(
    ("samples", "found"),
    [
        (np.array([0, np.nan, np.inf], np.float32), "2 that are NaN or infinite"),
        (np.zeros(0, np.float32), r"shape \(0,\)"),
        (np.zeros((2, 50), np.float32), r"shape \(2, 50\)"),
    ],
)
def test_broken_sound_is_refused(samples: FLOATS, found: str) -> None:
    for settings in (AugmentSettings(), always()):
        with pytest.raises(MediaError, match=found):
            augment_waveform(Waveform(samples, 1.5), settings, np.random.default_rng(0))


@examples(max_examples=40, deadline=None)
@given(
    count=st.integers(1, 9000),
    seed=st.integers(0, 2**31),
    speed=st.none() | st.floats(0.5, 2),
    semitones=st.none() | st.floats(-6, 6),
    rt60_s=st.floats(0.05, 3),
    kind=st.sampled_from(["white", "pink", "babble"]),
    snr_db=st.floats(-10, 60),
    gain_db=st.floats(-40, 20),
)
def test_every_draw_that_settings_allow_gives_sound(
    count: int, seed: int, speed: float | None, semitones: float | None, rt60_s: float, kind: str, snr_db: float,
    gain_db: float,
) -> None:  # fmt: skip
    samples = np.resize(speech_like()[4000:], count).astype(np.float32)
    other = changed(
        samples, seed=seed, speed=speed, pitch_semitones=semitones, reverb_rt60_s=rt60_s, direct_to_reverb_db=-10.0,
        noise=kind, snr_db=snr_db, band_hz=(10.0, 7900.0), gain_db=gain_db,
    )  # fmt: skip
    assert len(other) == max(1, round(count / (speed or 1.0)))
    assert other.dtype == np.float32 and np.isfinite(other).all() and np.abs(other).max() <= 1


def test_a_recording_from_disk(tmp_path: Path) -> None:
    """What the decoder gives is what augmentation takes."""
    from emotion_llama.media import probe, read_waveform

    soundfile = pytest.importorskip("soundfile")
    soundfile.write(tmp_path / "a.wav", speech_like(), RATE_HZ)
    waveform = read_waveform(probe(tmp_path / "a.wav"))
    assert waveform is not None
    assert augment_waveform(waveform, always(), np.random.default_rng(1)).samples.std() > 0.001

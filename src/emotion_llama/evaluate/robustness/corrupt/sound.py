"""Damage to sound: noise at a signal-to-noise ratio, an MP3 round trip, a telephone line. Mono at 16 kHz throughout.

The signal-to-noise ratio is taken against the speech, not against the pauses: the active level is the mean power of
the 20 ms frames whose power is within `ACTIVE_BELOW_DB` of the loud ones (the 95th percentile of frame powers). The
noise counts with its mean power over the whole clip.
"""

from __future__ import annotations

import io

import av
import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import MediaError, UsageError
from emotion_llama.media.types import SAMPLE_RATE_HZ

FLOATS = NDArray[np.float32]

ACTIVE_FRAME_S = 0.02
ACTIVE_BELOW_DB = 25.0  # the margin in which `perception.voice` calls a frame sounding, after de Jong & Wempe 2009
SILENCE_DB = -80.0  # re full scale: below this there is no speech to set a noise against
PEAK = 0.99
TELEPHONE_BAND_HZ = (300.0, 3400.0)  # ITU-T G.712
TELEPHONE_RATE_HZ = 8_000
MP3_RATES_KBIT = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)  # MPEG-2 layer III
FILTER_TAPS = 401


def active_power(samples: FLOATS) -> float:
    """Mean power of the active frames (see the module). Raises `MediaError` for silence."""
    size = round(ACTIVE_FRAME_S * SAMPLE_RATE_HZ)
    whole = np.square(samples[: max(len(samples) // size, 1) * size], dtype=np.float64)
    frames = whole.reshape(-1, size).mean(axis=1) if len(whole) >= size else whole.mean(keepdims=True)
    loud = float(np.percentile(frames, 95)) if len(samples) else 0.0
    if loud <= 10 ** (SILENCE_DB / 10):
        raise MediaError(
            f"expected speech to set the noise against, found silence (below {SILENCE_DB:.0f} dB re full scale); "
            "leave the clip out of the noise conditions"
        )
    return float(frames[frames >= loud * 10 ** (-ACTIVE_BELOW_DB / 10)].mean())


def add_noise(samples: FLOATS, noise: FLOATS, snr_db: float) -> FLOATS:
    """Speech plus noise `snr_db` below its active level, both (S,).

    Where the sum would leave full scale, the whole of it is turned down: the ratio stays. Raises `MediaError` for
    silent speech.
    """
    noise_power = float(np.mean(np.square(noise, dtype=np.float64)))
    gain = np.sqrt(active_power(samples) / noise_power * 10 ** (-snr_db / 10))
    mixed = samples + np.float32(gain) * noise
    return np.asarray(mixed * min(1.0, PEAK / float(np.abs(mixed).max())), np.float32)


def mp3_round_trip(samples: FLOATS, kbit_s: int) -> FLOATS:
    """Encode with LAME at a constant bit rate and decode again; same length, no shift.

    Raises `UsageError` for a bit rate that MPEG-2 layer III at 16 kHz does not have.
    """
    if kbit_s not in MP3_RATES_KBIT:
        raise UsageError(
            f"mp3: {kbit_s} kbit/s is no bit rate at 16 kHz; choose from {', '.join(map(str, MP3_RATES_KBIT))}"
        )
    file = io.BytesIO()
    with av.open(file, "w", format="mp3") as out:
        stream = out.add_stream("libmp3lame", rate=SAMPLE_RATE_HZ, layout="mono")
        stream.bit_rate = kbit_s * 1000
        out.mux(stream.encode(_frame(samples, SAMPLE_RATE_HZ)))
        out.mux(stream.encode(None))
    file.seek(0)
    with av.open(file, format="mp3") as coded:
        parts = [_floats(frame) for frame in coded.decode(audio=0)]
    return _fitted(np.concatenate(parts), len(samples))


def telephone(samples: FLOATS) -> FLOATS:
    """A telephone line: 300–3400 Hz, 8 kHz, G.711 µ-law by FFmpeg's codec; back at 16 kHz, same length, no shift."""
    narrow = _filtered(samples, TELEPHONE_BAND_HZ)[::2]  # nothing above 3.4 kHz is left: every other sample tells all
    coder = av.CodecContext.create("pcm_mulaw", "w")
    coder.sample_rate, coder.layout, coder.format = TELEPHONE_RATE_HZ, "mono", "s16"
    reader = av.CodecContext.create("pcm_mulaw", "r")
    reader.sample_rate, reader.layout = TELEPHONE_RATE_HZ, "mono"
    packets = [*coder.encode(_frame(narrow, TELEPHONE_RATE_HZ)), *coder.encode(None)]
    decoded = np.concatenate([_floats(frame) for packet in packets for frame in reader.decode(packet)])
    wide = np.zeros(2 * len(decoded), np.float32)
    wide[::2] = 2 * decoded
    return _fitted(_filtered(wide, (0.0, SAMPLE_RATE_HZ / 4)), len(samples))


def pcm16(samples: FLOATS) -> NDArray[np.int16]:
    """Samples as 16-bit integers; what leaves full scale is held there."""
    return np.asarray(np.clip(np.round(samples * 32767.0), -32768, 32767), np.int16)


def _frame(samples: FLOATS, rate_hz: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(pcm16(samples)[None], format="s16", layout="mono")
    frame.sample_rate, frame.pts = rate_hz, 0
    return frame


def _floats(frame: av.AudioFrame) -> FLOATS:
    values = frame.to_ndarray()[0]
    return np.asarray(values / 32767.0 if values.dtype == np.int16 else values, np.float32)


def _fitted(samples: FLOATS, count: int) -> FLOATS:
    return np.pad(samples[:count], (0, max(0, count - len(samples))))


def _filtered(samples: FLOATS, band_hz: tuple[float, float]) -> FLOATS:
    """Through a linear-phase band-pass of `FILTER_TAPS` taps (windowed sinc), without delay."""
    at = np.arange(FILTER_TAPS) - FILTER_TAPS // 2
    low, high = (2 * edge / SAMPLE_RATE_HZ for edge in band_hz)
    taps = (high * np.sinc(high * at) - low * np.sinc(low * at)) * np.hamming(FILTER_TAPS)
    return np.convolve(samples, taps)[FILTER_TAPS // 2 :][: len(samples)].astype(np.float32)

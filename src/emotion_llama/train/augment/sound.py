"""Changed copies of a waveform: speaker (speed, pitch), room (cut, reverberation, noise), line (band, level).

Speed and pitch go through FFmpeg's filter graph, filters and convolution through scipy. Levels of noise are taken
against the active speech, as `evaluate` takes them, not against the pauses.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import av
import numpy as np
from av.filter import Graph
from numpy.typing import NDArray
from scipy.signal import butter, oaconvolve, sosfilt

from emotion_llama.errors import MediaError
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.train.augment.settings import AugmentSettings, NoiseKind, Range, SoundSettings

FLOATS = NDArray[np.float32]

ACTIVE_FRAME_S = 0.02
ACTIVE_BELOW_DB = 25.0  # a frame this far below the loud ones is a pause, after de Jong & Wempe 2009
PINK_FROM_HZ = 20.0  # below hearing the spectrum is flat: 1/f has no end there
BABBLE_TALKERS = 8
BABBLE_PIECE_S = 0.2  # about a syllable
ECHO_AFTER_S = 0.0025  # the first echo comes from a surface some 40 cm off the straight way
STRETCH_TAIL = 2048  # silence behind the clip, so that what the stretcher holds back at the end is not speech
BAND_ORDER = 4


@dataclass(frozen=True)
class SoundDraw:
    """What is done to one clip's sound; `None` is not done. `seed` makes noise and echo."""

    seed: int = 0
    speed: float | None = None
    pitch_semitones: float | None = None
    cut_s: Range | None = None
    keep_s: float = 0.0
    reverb_rt60_s: float | None = None
    direct_to_reverb_db: float | None = None
    noise: NoiseKind | None = None
    snr_db: float | None = None
    band_hz: Range | None = None
    gain_db: float | None = None

    def record(self) -> dict[str, Any]:
        """Plain values that make the same copy again: `SoundDraw(**record)`."""
        return asdict(self)


def augment_waveform(waveform: Waveform, settings: AugmentSettings, rng: np.random.Generator) -> Waveform:
    """Give one changed copy, 16 kHz, within ±1. Raises `MediaError` for an empty waveform and for NaN."""
    return apply_sound(waveform, draw_sound(settings, rng))


def draw_sound(settings: AugmentSettings, rng: np.random.Generator) -> SoundDraw:
    """Draw what is done to one clip. Every value is drawn, used or not: a changed probability moves no other draw."""
    how = settings.sound
    if how is None:
        return SoundDraw()
    seed = int(rng.integers(2**31))
    done = dict(zip(SoundSettings.model_fields, rng.random(len(SoundSettings.model_fields)), strict=True))
    done = {name: share < getattr(how, name).probability for name, share in done.items()}
    speed, semitones = rng.uniform(*how.speed.factor), rng.uniform(*how.pitch.semitones)
    cut_s = (rng.uniform(*how.cut.cut_s), rng.uniform(*how.cut.cut_s))
    rt60_s, direct_db = rng.uniform(*how.reverb.rt60_s), rng.uniform(*how.reverb.direct_to_reverb_db)
    kind, snr_db = how.noise.kinds[int(rng.integers(len(how.noise.kinds)))], rng.uniform(*how.noise.snr_db)
    band_hz = (rng.uniform(*how.band.low_hz), rng.uniform(*how.band.high_hz))
    gain_db = rng.uniform(*how.level.gain_db)
    return SoundDraw(
        seed=seed,
        speed=speed if done["speed"] else None,
        pitch_semitones=semitones if done["pitch"] else None,
        cut_s=cut_s if done["cut"] else None,
        keep_s=how.cut.keep_s,
        reverb_rt60_s=rt60_s if done["reverb"] else None,
        direct_to_reverb_db=direct_db if done["reverb"] else None,
        noise=kind if done["noise"] else None,
        snr_db=snr_db if done["noise"] else None,
        band_hz=band_hz if done["band"] else None,
        gain_db=gain_db if done["level"] else None,
    )


def apply_sound(waveform: Waveform, draw: SoundDraw) -> Waveform:
    """Give the copy a draw describes; the waveform itself where the draw does nothing.

    `start_s` follows: divided by the speed, moved by what is cut. A stretched voice keeps its place within 20 ms.
    What leaves full scale is turned down as a whole. Silence stays silence: it has no level to set noise against.
    Raises `MediaError` for an empty waveform and for samples that are not finite.
    """
    samples, start_s = _checked(waveform), waveform.start_s
    if SoundDraw(seed=draw.seed, keep_s=draw.keep_s) == draw:
        return waveform
    rng = np.random.default_rng(draw.seed)
    if draw.speed is not None or draw.pitch_semitones is not None:
        samples = stretch(samples, draw.speed or 1.0, draw.pitch_semitones or 0.0)
        start_s /= draw.speed or 1.0
    if draw.cut_s is not None:
        first, end = _kept(len(samples), draw.cut_s, draw.keep_s)
        samples, start_s = samples[first:end], start_s + first / SAMPLE_RATE_HZ
    if draw.reverb_rt60_s is not None and draw.direct_to_reverb_db is not None:
        room = impulse_response(draw.reverb_rt60_s, draw.direct_to_reverb_db, rng)
        samples = np.asarray(oaconvolve(samples, room)[: len(samples)], np.float32)
    if draw.noise is not None and draw.snr_db is not None:
        samples = _mixed(samples, _noise(draw.noise, samples, rng), draw.snr_db)
    if draw.band_hz is not None:
        sections = butter(BAND_ORDER, draw.band_hz, "bandpass", fs=SAMPLE_RATE_HZ, output="sos")
        samples = np.asarray(sosfilt(sections, samples), np.float32)
    if draw.gain_db is not None:
        samples = samples * np.float32(10 ** (draw.gain_db / 20))
    return Waveform(samples / max(np.float32(1), np.abs(samples).max()), start_s)


def _checked(waveform: Waveform) -> FLOATS:
    samples = waveform.samples
    wrong = int(np.count_nonzero(~np.isfinite(samples)))
    if samples.ndim != 1 or not len(samples) or wrong:
        found = f"{wrong} that are NaN or infinite" if wrong else f"an array of shape {samples.shape}"
        raise MediaError(
            f"sound to augment, from {waveform.start_s:.2f} s: expected one row of finite samples, found {found}; "
            "decode the recording again or take it out of the training data"
        )
    return np.ascontiguousarray(samples, np.float32)


def stretch(samples: FLOATS, speed: float, semitones: float) -> FLOATS:
    """Sound `speed` times as fast and `semitones` (beside what the speed does) higher, (round(S / speed),).

    The sample rate is declared anew and resampled, then FFmpeg's `atempo` (WSOLA) gives back the duration.
    """
    ratio = speed * 2 ** (semitones / 12)
    graph = Graph()
    graph.threads = 1
    nodes = [
        graph.add_abuffer(sample_rate=SAMPLE_RATE_HZ, format="flt", layout="mono"),
        graph.add("asetrate", str(round(SAMPLE_RATE_HZ * ratio))),
        graph.add("aresample", str(SAMPLE_RATE_HZ)),
        *([graph.add("atempo", f"{speed / ratio:.6f}")] if semitones else []),
        graph.add("aformat", "sample_fmts=flt"),
        graph.add("abuffersink"),
    ]
    graph.link_nodes(*nodes).configure()
    frame = av.AudioFrame.from_ndarray(np.pad(samples, (0, STRETCH_TAIL))[None], format="flt", layout="mono")
    frame.sample_rate, frame.pts = SAMPLE_RATE_HZ, 0
    graph.push(frame)
    graph.push(None)
    count = max(1, round(len(samples) / speed))
    parts, have = [], 0
    while have < count:
        parts.append(graph.pull().to_ndarray()[0])
        have += len(parts[-1])
    return np.asarray(np.concatenate(parts)[:count], np.float32)


def _kept(count: int, cut_s: Range, keep_s: float) -> tuple[int, int]:
    """First and end sample of what is kept; both cuts shrink alike where less than `keep_s` would stay."""
    spare = max(0.0, count / SAMPLE_RATE_HZ - keep_s)
    shrink = min(1.0, spare / sum(cut_s)) if sum(cut_s) else 0.0
    first, last = (int(side_s * shrink * SAMPLE_RATE_HZ) for side_s in cut_s)
    return first, count - last


def impulse_response(rt60_s: float, direct_to_reverb_db: float, rng: np.random.Generator) -> FLOATS:
    """Give a room: the voice itself at sample 0, then noise that falls by 60 dB in `rt60_s` seconds; energy 1.

    Polack's model of late reverberation (exponentially decaying Gaussian noise).
    """
    at_s = np.arange(max(1, round(rt60_s * SAMPLE_RATE_HZ)), dtype=np.float32) / SAMPLE_RATE_HZ
    echo = rng.standard_normal(len(at_s), dtype=np.float32) * np.float32(10) ** (-3 * at_s / rt60_s)
    echo *= np.sqrt(10 ** (-direct_to_reverb_db / 10) / np.sum(np.square(echo, dtype=np.float64)))
    room = np.concatenate([np.ones(1), np.zeros(round(ECHO_AFTER_S * SAMPLE_RATE_HZ)), echo])
    return np.asarray(room / np.sqrt(np.sum(room**2)), np.float32)


def _power(samples: FLOATS) -> float:
    return float(np.mean(np.square(samples, dtype=np.float64)))


def _active_power(samples: FLOATS) -> float:
    """Mean power of the 20 ms frames that are within `ACTIVE_BELOW_DB` of the loud ones (their 95th percentile)."""
    size = min(round(ACTIVE_FRAME_S * SAMPLE_RATE_HZ), len(samples))
    frames = np.square(samples[: len(samples) // size * size], dtype=np.float64).reshape(-1, size).mean(axis=1)
    return float(frames[frames >= np.percentile(frames, 95) * 10 ** (-ACTIVE_BELOW_DB / 10)].mean())


def _mixed(samples: FLOATS, noise: FLOATS, snr_db: float) -> FLOATS:
    speech, power = _active_power(samples), _power(noise)
    if not speech or not power:
        return samples
    return np.asarray(samples + np.float32(np.sqrt(speech / power * 10 ** (-snr_db / 10))) * noise, np.float32)


def _noise(kind: NoiseKind, samples: FLOATS, rng: np.random.Generator) -> FLOATS:
    """Noise as long as the samples, of any level."""
    if kind == "babble":
        return _babble(samples, rng)
    if kind == "white":
        return rng.standard_normal(len(samples), dtype=np.float32)
    size = -(-len(samples) // 4096) * 4096  # a prime length would take many times as long
    hz = np.maximum(np.fft.rfftfreq(size, 1 / SAMPLE_RATE_HZ), PINK_FROM_HZ).astype(np.float32)
    spectrum = np.fft.rfft(rng.standard_normal(size, dtype=np.float32)) / np.sqrt(hz)
    return np.asarray(np.fft.irfft(spectrum, size)[: len(samples)], np.float32)


def _babble(samples: FLOATS, rng: np.random.Generator) -> FLOATS:
    """Talkers without words: the clip's syllables in another order, half of them backwards, several layers of it.

    Made from the clip itself, so that no other emotion comes in with it.
    """
    size = min(round(BABBLE_PIECE_S * SAMPLE_RATE_HZ), len(samples))
    count = -(-len(samples) // size)
    window = np.hanning(size + 2)[1:-1].astype(np.float32)
    total = np.zeros(count * size, np.float32)
    for _ in range(BABBLE_TALKERS):
        start, place = rng.integers(len(samples)), int(rng.integers(size))
        pieces = np.resize(np.roll(samples, -start), (count, size))[rng.permutation(count)]
        backwards = rng.random(count) < 0.5
        pieces[backwards] = pieces[backwards, ::-1]
        total += np.roll((pieces * window).ravel(), place)
    return total[: len(samples)]

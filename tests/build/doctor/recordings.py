"""Recordings for the doctor's tests: something like a talking head, with one thing wrong when asked."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import cache
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
STEP_MS = 80
STEP_S = STEP_MS / 1000
SIZE_PX = (128, 96)

Pictures = list[NDArray[np.uint8]]


@cache
def head(take: int, seconds: float = 2.4) -> Pictures:
    """One person before one wall: the wall stays, a bright head wanders as the take says; a little noise."""
    wall = np.random.default_rng(0).integers(40, 120, (6, 8)).repeat(16, 0).repeat(16, 1).astype(np.float64)
    rng = np.random.default_rng(100 + take)
    times_s = STEP_S * np.arange(round(seconds / STEP_S))
    knots_s = np.arange(0, seconds + 0.5, 0.5)
    x, y, mouth = (np.interp(times_s, knots_s, rng.uniform(-w, w, len(knots_s))) for w in (14.0, 8.0, 6.0))
    rows, columns = np.mgrid[: SIZE_PX[1], : SIZE_PX[0]]
    pictures = []
    for dx, dy, wide in zip(x, y, mouth, strict=True):
        face = ((columns - 64 - dx) / 24) ** 2 + ((rows - 48 - dy) / 32) ** 2 < 1
        lips = ((columns - 64 - dx) / 12) ** 2 + ((rows - 62 - dy) / (7 + wide)) ** 2 < 1
        grey = np.where(lips, 30, np.where(face, 210, wall)) + rng.normal(0, 2, face.shape)
        pictures.append(np.stack([grey.clip(0, 255).astype(np.uint8)] * 3, axis=-1))
    return pictures


def one_grey(level: int, seconds: float = 2.4) -> Pictures:
    """The same even picture all the time."""
    return [np.full((SIZE_PX[1], SIZE_PX[0], 3), level, np.uint8)] * round(seconds / STEP_S)


@cache
def speech(sentence: int, seconds: float = 2.4) -> NDArray[np.float32]:
    """Something like speech: a buzz through two moving resonances, with pauses, over faint noise."""
    rng = np.random.default_rng(sentence)
    time_s = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    knots_s = np.cumsum(rng.uniform(0.08, 0.25, 60))
    pitch = 120.0 * np.interp(time_s, knots_s, rng.uniform(0.8, 1.3, 60))
    resonances = [np.interp(time_s, knots_s, rng.uniform(*span, 60)) for span in ((300, 900), (900, 2800))]
    phase = 2 * np.pi * np.cumsum(pitch) / RATE_HZ
    wave = np.zeros_like(time_s)
    for number in range(1, 30):
        gain = sum(1 / (1 + ((number * pitch - centre) / 120) ** 2) for centre in resonances)
        wave += gain * np.sin(number * phase)
    wave *= np.interp(time_s, knots_s, rng.choice([0.0, 0.5, 1.0], 60))
    wave += 0.003 * rng.normal(size=len(wave))
    return (0.5 * wave / np.abs(wave).max()).astype(np.float32)


def record(
    path: Path,
    pictures: Pictures | None = None,
    sound: NDArray[np.float32] | None = None,
    *,
    sound_at_s: float = 0.0,
    times_ms: Sequence[int] | None = None,
    crf: int = 20,
    options: dict[str, str] | None = None,
) -> Path:
    """Write a recording; `times_ms` are those of the pictures (else one each 80 ms)."""
    with av.open(str(path), "w", options=options or {}) as out:
        video = audio = None
        if pictures is not None:
            video = out.add_stream(
                "libx264", rate=Fraction(1000, STEP_MS), options={"preset": "ultrafast", "crf": str(crf)}
            )
            video.width, video.height, video.pix_fmt = *SIZE_PX, "yuv420p"
            video.codec_context.time_base = Fraction(1, 1000)
        if sound is not None:
            audio = out.add_stream("pcm_s16le" if path.suffix == ".wav" else "aac", rate=RATE_HZ, layout="mono")
        for number, picture in enumerate(pictures or []):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts = times_ms[number] if times_ms else number * STEP_MS
            frame.time_base = Fraction(1, 1000)
            out.mux(video.encode(frame))
        if video is not None:
            out.mux(video.encode(None))
        for start in range(0, len(sound) if sound is not None else 0, 1024):
            part = (sound[None, start : start + 1024] * 32_767).astype(np.int16)
            frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(part), format="s16", layout="mono")
            frame.sample_rate, frame.time_base = RATE_HZ, Fraction(1, RATE_HZ)
            frame.pts = start + round(sound_at_s * RATE_HZ)
            out.mux(audio.encode(frame))
        if audio is not None:
            out.mux(audio.encode(None))
    return path

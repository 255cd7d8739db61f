"""Films with a flash and a beep at one moment, and results as the renderer gets them."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.clip import Analysis

RATE_HZ = 24_000


def write_flash(
    path: Path, times_s: list[float], moment_s: float, codec: str = "aac", size: tuple[int, int] = (64, 48)
) -> Path:
    """Black pictures at `times_s`, white for 0.1 s from `moment_s` on, when a beep of 0.1 s sounds."""
    with av.open(str(path), "w") as out:
        video: Any = out.add_stream("libx264", rate=30, options={"preset": "ultrafast", "bf": "0"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        video.codec_context.time_base = Fraction(1, 90_000)
        audio: Any = out.add_stream(codec, rate=RATE_HZ, layout="stereo")
        for time_s in times_s:
            grey = 255 if moment_s - 1e-6 <= time_s < moment_s + 0.1 - 1e-6 else 0
            frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), grey, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time_s * 90_000), Fraction(1, 90_000)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        at_s = np.arange(round((times_s[-1] + 0.1) * RATE_HZ)) / RATE_HZ
        beep = 0.5 * np.sin(2 * np.pi * 1000 * at_s) * ((at_s >= moment_s) & (at_s < moment_s + 0.1))
        step = audio.codec_context.frame_size or 1152
        for start in range(0, len(beep), step):
            part = np.stack([beep[start : start + step]] * 2).astype(np.float32)
            sound = av.AudioFrame.from_ndarray(part, format="fltp", layout="stereo")
            sound.sample_rate, sound.pts, sound.time_base = RATE_HZ, start, Fraction(1, RATE_HZ)
            out.mux(audio.encode(sound))
        out.mux(audio.encode(None))
    return path


@pytest.fixture
def flash(tmp_path: Path) -> Callable[..., Path]:
    """Write a film: `flash("a.mp4", times_s, moment_s, codec="aac")`."""
    return lambda name, *given, **kinds: write_flash(tmp_path / name, *given, **kinds)


@pytest.fixture
def of_file(analysis: Analysis) -> Callable[..., Result]:
    """A result for a file without any face: `of_file(path, start_s=0.0, end_s=None)`; `changes` go to the material."""

    def make(path: Path, **changes: Any) -> Result:
        return Result(analysis.model_copy(update={"clip": str(path)}), ReportMaterial(media_path=path, **changes))

    return make

"""Writing frames and samples as a recording: H.264 and 16-bit PCM in Matroska, WAV for sound alone, PNG for a still.

The H.264 quality (CRF 12, no B-frames) costs less than the eye or an encoder can see: a copy of a clean recording
keeps a peak signal-to-noise ratio above 40 dB. Times are kept to the millisecond that Matroska can hold.
"""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_llama.evaluate.robustness.corrupt.sound import pcm16
from emotion_llama.media import SAMPLE_RATE_HZ, Frame

TICKS_HZ = 90_000
CODEC_OPTIONS = {"crf": "12", "preset": "veryfast", "bf": "0"}
SMPTE_170M = 6  # colour matrix of BT.601 in FFmpeg's enumeration
SOUND_BLOCK = 4096
USUAL_RATE_HZ = 25.0


def write_still(path: Path, rgb: NDArray[np.uint8]) -> None:
    """Write one picture, losslessly."""
    Image.fromarray(rgb).save(path)


def write_sound(path: Path, samples: NDArray[np.float32]) -> None:
    """Write a WAV file: 16-bit, mono, 16 kHz."""
    with av.open(str(path), "w", format="wav") as out:
        track = _SoundTrack(out, samples)
        track.write_until(None)


def write_video(
    path: Path, frames: Iterator[Frame], rate_hz: float | None, samples: NDArray[np.float32] | None
) -> None:
    """Write pictures at their times, and sound from time 0 where there is any.

    `rate_hz` is the nominal frame rate: the last frame is shown for its inverse. Sizes stay; odd ones are stored with
    full colour resolution, because halved colour needs even ones.
    """
    rate = Fraction(rate_hz or USUAL_RATE_HZ).limit_denominator(1001)
    with av.open(str(path), "w", format="matroska") as out:
        pictures = out.add_stream("libx264", rate=rate, options=CODEC_OPTIONS)
        track = _SoundTrack(out, samples) if samples is not None else None
        coder = pictures.codec_context
        coder.thread_count = 1  # the same bytes each time, however busy the machine is
        coder.time_base = Fraction(1, TICKS_HZ)
        coder.colorspace = SMPTE_170M
        for frame in frames:
            if frame.index == 0:
                coder.height, coder.width = frame.rgb.shape[:2]
                coder.pix_fmt = "yuv444p" if coder.height % 2 or coder.width % 2 else "yuv420p"
            if track is not None:
                track.write_until(frame.time_s)
            out.mux(pictures.encode(_picture(frame, coder, rate)))
        out.mux(pictures.encode(None))
        if track is not None:
            track.write_until(None)


def _picture(frame: Frame, coder: Any, rate: Fraction) -> av.VideoFrame:
    rgb = av.VideoFrame.from_ndarray(np.ascontiguousarray(frame.rgb), format="rgb24")
    # a recording may change its size on the way; the copy keeps the first
    size = {"width": coder.width, "height": coder.height}
    picture = rgb.reformat(format=coder.pix_fmt, dst_colorspace="ITU601", interpolation="BICUBIC", **size)
    picture.time_base = Fraction(1, TICKS_HZ)
    picture.pts = round(frame.time_s * TICKS_HZ)
    picture.duration = round(TICKS_HZ / rate)
    return picture


class _SoundTrack:
    """Sound that is written block by block beside the pictures, so that players need not seek."""

    def __init__(self, out: Any, samples: NDArray[np.float32]) -> None:
        self._out, self._samples, self._at = out, pcm16(samples), 0
        self._stream = out.add_stream("pcm_s16le", rate=SAMPLE_RATE_HZ, layout="mono")

    def write_until(self, time_s: float | None) -> None:
        """Write blocks up to the recording time `time_s` (`None`: to the end)."""
        end = len(self._samples) if time_s is None else min(len(self._samples), int(time_s * SAMPLE_RATE_HZ))
        while self._at < end:
            block = self._samples[self._at : self._at + SOUND_BLOCK]
            frame = av.AudioFrame.from_ndarray(block[None], format="s16", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = SAMPLE_RATE_HZ, self._at, Fraction(1, SAMPLE_RATE_HZ)
            self._out.mux(self._stream.encode(frame))
            self._at += len(block)
        if time_s is None:
            self._out.mux(self._stream.encode(None))

"""Pictures and sound → an mp4 that plays everywhere: H.264 (else MPEG-4), AAC, even sizes, index in front."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any, Self

import av
import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.media.sound import SoundForm

H264_TICKS = 90_000
"""Times of the film in parts of a second: 24, 25, 29.97, 30 and 60 frames a second are whole numbers of them."""

MPEG4_TICKS = 60_000
"""The older codec counts no finer than 65535."""

AAC_FRAME = 1024
AAC_RATES_HZ = (8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)
HIGH_PX = 720
"""From this height on players take untagged colours for BT.709, below it for BT.601; films are tagged all the same."""


def film_sound(form: SoundForm) -> SoundForm:
    """The form in which some sound is stored in a film: its own rate where AAC knows it, else 48 kHz."""
    return form if form.rate_hz in AAC_RATES_HZ else SoundForm(48_000, form.channels)


class FilmWriter:
    """Writes one film; use with `with`. Pictures and sound are given in any order, each with growing times.

    `size_px` is (width, height) of the pictures, `rate` about how many there are a second. `comment` is kept in the
    file. What PyAV raises (`av.FFmpegError`, mostly an `OSError`) is left to the caller.
    """

    def __init__(
        self, path: Path, size_px: tuple[int, int], rate: Fraction, sound: SoundForm | None, comment: str
    ) -> None:
        self._size_px = size_px
        self._even_px = (size_px[0] + size_px[0] % 2, size_px[1] + size_px[1] % 2)
        self._out: Any = av.open(f"file:{path}", "w", format="mp4", options={"movflags": "+faststart"})
        self._out.metadata["comment"] = comment
        self._picture: Any = self._picture_stream(rate)
        self._last_ticks = -1
        self._sound_form = sound
        self._sound: Any = None if sound is None else self._sound_stream(sound)
        self._held = np.zeros((sound.channels if sound else 1, 0), np.float32)
        self._samples = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if kind is None:
                self._finish()
        finally:
            self._out.close()

    def picture(self, rgb: NDArray[np.uint8], time_s: float) -> None:
        """Show a picture (H, W, 3) from `time_s` of the film on."""
        ticks = max(round(time_s * self._ticks_s), self._last_ticks + 1)
        self._last_ticks = ticks
        frame = av.VideoFrame.from_ndarray(self._fitted(rgb), format="rgb24")
        frame = frame.reformat(format="yuv420p", dst_colorspace=self._colours, dst_color_range="MPEG")
        frame.pts, frame.time_base = ticks, Fraction(1, self._ticks_s)
        self._out.mux(self._picture.encode(frame))

    def sound(self, samples: NDArray[np.float32]) -> None:
        """Add samples (C, S) in the film's form, behind the ones before."""
        held = np.concatenate([self._held, samples], axis=1)
        while held.shape[1] >= AAC_FRAME:
            self._encode(held[:, :AAC_FRAME])
            held = held[:, AAC_FRAME:]
        self._held = held

    def _encode(self, samples: NDArray[np.float32]) -> None:
        assert self._sound_form is not None
        layout = "mono" if self._sound_form.channels == 1 else "stereo"
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples), format="fltp", layout=layout)
        frame.sample_rate, frame.pts = self._sound_form.rate_hz, self._samples
        frame.time_base = Fraction(1, self._sound_form.rate_hz)
        self._samples += samples.shape[1]
        self._out.mux(self._sound.encode(frame))

    def _finish(self) -> None:
        if self._sound is not None and self._held.shape[1]:
            self._encode(self._held)
        self._out.mux(self._picture.encode(None))
        if self._sound is not None:
            self._out.mux(self._sound.encode(None))

    def _picture_stream(self, rate: Fraction) -> Any:
        h264 = "libx264" in av.codecs_available
        self._ticks_s = H264_TICKS if h264 else MPEG4_TICKS
        options = {"preset": "veryfast", "crf": "20"} if h264 else {"q": "3"}
        stream: Any = self._out.add_stream("libx264" if h264 else "mpeg4", rate=rate, options=options)
        stream.width, stream.height = self._even_px
        stream.pix_fmt = "yuv420p"
        stream.codec_context.time_base = Fraction(1, self._ticks_s)
        high = self._even_px[1] >= HIGH_PX
        self._colours = "ITU709" if high else "ITU601"
        stream.codec_context.colorspace = 1 if high else 6  # numbers of H.273: BT.709, BT.601
        stream.codec_context.color_primaries = 1 if high else 6
        stream.codec_context.color_trc = 1 if high else 6
        stream.codec_context.color_range = 1
        return stream

    def _sound_stream(self, form: SoundForm) -> Any:
        layout = "mono" if form.channels == 1 else "stereo"
        stream: Any = self._out.add_stream("aac", rate=form.rate_hz, layout=layout)
        stream.codec_context.bit_rate = form.channels * min(96_000, 4 * form.rate_hz)
        return stream

    def _fitted(self, rgb: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The picture in the film's size; where a size is odd its last column or row stands twice."""
        height, width = rgb.shape[:2]
        if (width, height) != self._size_px:  # some recordings change their size on the way
            rgb = np.asarray(cv2.resize(rgb, self._size_px, interpolation=cv2.INTER_AREA), np.uint8)
        right, below = self._even_px[0] - self._size_px[0], self._even_px[1] - self._size_px[1]
        if right or below:
            rgb = np.asarray(cv2.copyMakeBorder(rgb, 0, below, 0, right, cv2.BORDER_REPLICATE), np.uint8)
        return np.ascontiguousarray(rgb)


class SoundFeed:
    """Hands sound to a film as its pictures advance, so that neither waits long for the other."""

    def __init__(self, pieces: Iterator[NDArray[np.float32]], rate_hz: int, length_s: float | None) -> None:
        self._pieces = pieces
        self._rate_hz = rate_hz
        self._limit = None if length_s is None else round(length_s * rate_hz)
        self._given = 0
        self._done = False

    def until(self, time_s: float | None, film: FilmWriter) -> None:
        """Hand over the sound up to about `time_s` of the film, `None`: all that is left."""
        while not self._done and (time_s is None or self._given < time_s * self._rate_hz):
            piece = next(self._pieces, None)
            if piece is None:
                self._done = True
                return
            if self._limit is not None and self._given + piece.shape[1] >= self._limit:
                piece, self._done = piece[:, : self._limit - self._given], True
            self._given += piece.shape[1]
            if piece.shape[1]:
                film.sound(piece)

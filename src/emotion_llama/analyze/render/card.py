"""Pictures for a recording that has none: its waveform with the moment that is heard."""

from __future__ import annotations

from collections.abc import Iterator

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.charts import envelope
from emotion_llama.media.types import Frame, Waveform

SIZE_PX = (1280, 720)
RATE = 15
"""Pictures a second: enough for the line of the moment to move smoothly."""

PAPER_RGB = (28, 33, 39)
WAVE_RGB = (74, 90, 97)
HEARD_RGB = (104, 207, 193)
LINE_RGB = (255, 255, 255)
WAVE_TOP, WAVE_TALL = 0.66, 0.34
"""Middle and height of the waveform, as shares of the picture: bars stand above it, words below."""


def cards(waveform: Waveform | None, start_s: float, length_s: float) -> Iterator[Frame]:
    """`RATE` pictures a second for `length_s` seconds from `start_s` of the recording on; at least one."""
    width, height = SIZE_PX
    ahead, heard = (_wave(waveform, start_s, length_s, colour) for colour in (WAVE_RGB, HEARD_RGB))
    for index in range(max(1, round(length_s * RATE))):
        at = round(index / RATE / max(length_s, 1 / RATE) * width)
        rgb = ahead.copy()
        rgb[:, :at] = heard[:, :at]
        middle, half = round(WAVE_TOP * height), round(0.6 * WAVE_TALL * height)
        cv2.line(rgb, (at, middle - half), (at, middle + half), LINE_RGB, 2)
        yield Frame(rgb, index, start_s + index / RATE)


def _wave(
    waveform: Waveform | None, start_s: float, length_s: float, colour: tuple[int, int, int]
) -> NDArray[np.uint8]:
    """The whole picture with the waveform in one colour; a thin line where nothing was listened to."""
    width, height = SIZE_PX
    rgb = np.full((height, width, 3), PAPER_RGB, np.uint8)
    middle, half = round(WAVE_TOP * height), WAVE_TALL * height / 2
    cv2.line(rgb, (0, middle), (width, middle), colour, 1)
    bounds = envelope(waveform.samples, width) if waveform is not None else np.zeros((0, 2), np.float32)
    size = max(float(np.abs(bounds).max()), 1e-6) if len(bounds) else 1.0
    for place, (low, high) in enumerate(bounds):
        assert waveform is not None
        time_s = waveform.start_s + place / len(bounds) * waveform.duration_s
        x = round((time_s - start_s) / max(length_s, 1e-6) * width)
        cv2.line(
            rgb,
            (x, round(middle - half * float(high) / size)),
            (x, round(middle - half * float(low) / size)),
            colour,
            1,
        )
    return rgb

"""What the decoders give: plain arrays with times in seconds of the recording."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

SAMPLE_RATE_HZ = 16_000
"""Every waveform in the package is mono at this rate: the rate of the speech encoders."""


@dataclass(frozen=True)
class MediaInfo:
    """What a file holds, from its header. Sizes are of the upright picture (after `rotation_deg`)."""

    path: Path
    kind: Literal["video", "audio", "image"]
    duration_s: float | None
    width_px: int | None
    height_px: int | None
    fps: float | None
    rotation_deg: int
    has_picture: bool
    has_sound: bool
    sha256: str


@dataclass(frozen=True)
class Frame:
    """One upright RGB picture, its index among all decoded frames of the span, and its time in the recording."""

    rgb: NDArray[np.uint8]  # (H, W, 3)
    index: int
    time_s: float


@dataclass(frozen=True)
class Waveform:
    """Mono sound at `SAMPLE_RATE_HZ`, values about -1 to 1; `start_s` is the recording time of sample 0."""

    samples: NDArray[np.float32]  # (S,)
    start_s: float = 0.0

    @property
    def duration_s(self) -> float:
        """Length in seconds."""
        return len(self.samples) / SAMPLE_RATE_HZ

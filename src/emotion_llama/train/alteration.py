"""One draw of augmentation for one clip, in the form in which perception takes it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from emotion_llama.media.types import Frame, Waveform
from emotion_llama.train.augment import (
    AugmentSettings,
    PictureDraw,
    SoundDraw,
    apply_picture,
    apply_sound,
    draw_picture,
    draw_sound,
)


@dataclass(frozen=True)
class Altered:
    """Changes one recording on its way into perception (`analyze.perceive.Alteration`)."""

    sound_draw: SoundDraw
    picture_draw: PictureDraw

    @classmethod
    def draw(cls, settings: Mapping[str, Any], key: str) -> Self:
        """Draw the changes of the clip named by `key`; the same key gives the same changes."""
        augment = AugmentSettings.model_validate(settings)
        rng = np.random.default_rng(int(hashlib.sha256(key.encode()).hexdigest()[:16], 16))
        return cls(draw_sound(augment, rng), draw_picture(augment, rng))

    def sound(self, waveform: Waveform) -> Waveform:
        """Give the changed sound."""
        return apply_sound(waveform, self.sound_draw)

    def frames(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Give the changed frames; they keep pace with a voice that was made faster or slower."""
        return apply_picture(frames, self.picture_draw, self._speed)

    def original_s(self, time_s: float) -> float:
        """Give the time in the recording of a moment of the altered clip."""
        return time_s * self._speed

    @property
    def _speed(self) -> float:
        return self.sound_draw.speed or 1.0

"""The pictures of a recording, looked at as they come: people, cuts, a few small pictures."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from emotion_llama.analyze.timeline.places import Places
from emotion_llama.measurements import FaceBoxes, FaceTrack
from emotion_llama.media.types import Frame
from emotion_llama.perception.identity import LEAST_SAMPLES
from emotion_llama.perception.people import People
from emotion_llama.perception.tracking import LONGEST_GAP_S, FaceTracker

PICTURE_EVERY_S = 0.2
"""A small picture is kept so often, for the global encoder: the peak frame is never further than half of it."""


class Eye:
    """Looks at frames in time order and remembers what the windows to come need; `forget` lets go of the rest.

    `people` gives everybody one number for the whole recording. `picture_px`: shorter side of the small pictures.
    """

    def __init__(self, frames: Iterable[Frame], tracker: FaceTracker, people: People, picture_px: int) -> None:
        self._frames = iter(frames)
        self._next: Frame | None = next(self._frames, None)
        self._tracker = tracker
        self._people = people
        self._picture_px = picture_px
        self._known: tuple[FaceTrack, ...] | None = None
        self._places = Places()
        self.times_s: list[float] = []
        self.pictures: list[Frame] = []
        self.last_s: float | None = None

    @property
    def open(self) -> bool:
        """Whether there are pictures left."""
        return self._next is not None

    @property
    def cuts_s(self) -> tuple[float, ...]:
        """Times in seconds at which the picture changed to another shot."""
        return self._tracker.cuts_s

    @property
    def numbers(self) -> range:
        """The numbers of all people so far."""
        return range(self._people.count)

    def look_until(self, end_s: float) -> None:
        """Look at all frames before `end_s` seconds of the recording."""
        while self._next is not None and self._next.time_s < end_s:
            self._look(self._next)
            self._next = next(self._frames, None)

    def _look(self, frame: Frame) -> None:
        self._tracker.update(frame)
        self._known = None
        self.times_s.append(frame.time_s)
        self.last_s = frame.time_s
        if not self.pictures or frame.time_s - self.pictures[-1].time_s >= PICTURE_EVERY_S - 0.01:
            self.pictures.append(Frame(small_picture(frame.rgb, self._picture_px), frame.index, frame.time_s))

    def tracks(self) -> tuple[FaceTrack, ...]:
        """The faces that are remembered, one track a person. A face that only just appeared is not yet among them."""
        if self._known is None:
            self._known = self._people.take([track for track in self._tracker.tracks() if not self._pending(track)])
        return self._known

    def _pending(self, track: FaceTrack) -> bool:
        """Whether it is too early to say whose face it is: more of it is to come."""
        if self._people.knows(track.track) or len(track.samples) >= LEAST_SAMPLES or self.last_s is None:
            return False
        return self.open and self.last_s - track.samples[-1].time_s <= LONGEST_GAP_S

    def boxes(self, main: int | None) -> tuple[FaceBoxes, ...]:
        """Where everybody was, from the beginning; `main` is the number of the main person."""
        self._places.add(self.tracks())
        return self._places.of(main)

    def forget(self, before_s: float) -> None:
        """Let go of everything that was seen before; cuts and boxes are kept."""
        self._places.add(self.tracks(), before_s)
        self._known = None
        self._tracker.forget(before_s)
        self.times_s = [time_s for time_s in self.times_s if time_s >= before_s]
        self.pictures = [picture for picture in self.pictures if picture.time_s >= before_s - PICTURE_EVERY_S]


def small_picture(rgb: NDArray[np.uint8], shorter_px: int) -> NDArray[np.uint8]:
    """The whole picture (H, W, 3), reduced so that its shorter side has `shorter_px`; a smaller one as it is."""
    height, width = rgb.shape[:2]
    scale = shorter_px / min(height, width)
    if scale >= 1:
        return rgb
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(rgb).resize(size, Image.Resampling.BICUBIC))

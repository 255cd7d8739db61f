"""Where everybody's face was over a whole recording: boxes alone, a few bytes a frame."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceBoxes, FaceTrack

Part = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Times in seconds (F,) and corners in px (F, 4)."""


class Places:
    """Gathers boxes, block after block."""

    def __init__(self) -> None:
        self._parts: dict[int, list[Part]] = {}
        self._until_s: dict[int, float] = {}

    def add(self, tracks: Iterable[FaceTrack], before_s: float = float("inf")) -> None:
        """Take what is new of each person's track, as far as it was seen before `before_s` seconds."""
        for track in tracks:
            until_s = self._until_s.get(track.track, -1.0)
            new = [sample for sample in track.samples if until_s < sample.time_s < before_s]
            if new:
                times = np.array([sample.time_s for sample in new], np.float32)
                corners = np.stack([sample.box.corners_px for sample in new]).astype(np.float32)
                self._parts.setdefault(track.track, []).append((times, corners))
                self._until_s[track.track] = new[-1].time_s

    def of(self, main: int | None) -> tuple[FaceBoxes, ...]:
        """The boxes of everybody, in the order of their numbers; `main` is the number of the main person."""
        return tuple(
            FaceBoxes(
                number, number == main,
                np.concatenate([times for times, _ in parts]), np.concatenate([corners for _, corners in parts]),
            )
            for number, parts in sorted(self._parts.items())
        )  # fmt: skip

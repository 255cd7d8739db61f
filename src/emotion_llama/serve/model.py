"""What the service needs of a model: one clip at a time, from one thread (no torch)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.report import Drawing
from emotion_llama.analyze.stopwatch import Stopwatch
from emotion_llama.clip import Analysis, Clip
from emotion_llama.settings import AnalyzeSettings

Box = tuple[float, float, float, float]
"""x0, y0, x1, y1 as shares (0–1) of the upright picture's width and height."""


@dataclass(frozen=True)
class Faces:
    """The faces of one picture, surest first, and the picture itself; `None` where there is nothing to look at."""

    boxes: tuple[Box, ...] = ()
    rgb: NDArray[np.uint8] | None = None  # (H, W, 3)


class Model(Protocol):
    """What the service needs of a model. `streams`: its texts may be shown while they are written."""

    name: str
    streams: bool

    def warm(self) -> None:
        """Load everything, so that the first request is answered as fast as the next."""

    def card(self) -> Mapping[str, Any]:
        """What the model is: tasks, labels it was trained on, licence, hash of the weights."""

    def examine(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Analysis:
        """Analyse one clip; `watch` is told what is being done and written."""

    def draw(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Drawing:
        """Analyse one clip, and give what a page shows of it; the analysis is in it as `a`."""

    def faces(self, clip: Clip, watch: Stopwatch) -> Faces:
        """Give the faces of the frame that is looked at most closely."""

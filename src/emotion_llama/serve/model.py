"""What the service needs of a model (no torch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


class Looker(Protocol):
    """Looks at recordings and listens to them, one at a time; in a thread of its own."""

    def look(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch, drawn: bool = False) -> Any:
        """Perceive one clip; what it gives is for `Model.answer`. `watch` is told what is being done.

        `drawn`: the answer will hold what a page shows of it.
        """

    def faces(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Faces:
        """Give the faces of the frame that is looked at most closely; hidden in it with `settings.blur_faces`."""


@dataclass(frozen=True)
class Perceived:
    """A clip that was looked at. `drawn`: with what a page shows of it."""

    looked: Any
    watch: Stopwatch
    drawn: bool = False


@dataclass(frozen=True)
class Answer:
    """The analysis, and what a page shows of it where that was asked for."""

    analysis: Analysis
    drawing: Drawing | None = None


class Model(Protocol):
    """What the service needs of a model. `streams`: its texts may be shown while they are written."""

    name: str
    streams: bool
    lookers: Sequence[Looker]

    def warm(self) -> None:
        """Load everything, so that the first request is answered as fast as the next."""

    def card(self) -> Mapping[str, Any]:
        """What the model is: tasks, labels it was trained on, licence, hash of the weights."""

    def answer(self, clips: Sequence[Perceived]) -> Sequence[Answer | Exception]:
        """Answer about several clips at once, from one thread; what goes wrong with one takes its place."""

    def close(self) -> None:
        """End what runs outside this process; the last call, also after a `warm` that failed."""

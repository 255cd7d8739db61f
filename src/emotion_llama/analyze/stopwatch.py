"""What is being done to a clip, and how long it takes; who listens hears it while it happens (no torch)."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from emotion_llama.timeline import Window


class Stopwatch:
    """Seconds spent in each named part; nested use adds up by name.

    `listening`: whether texts are to be handed over piece by piece while they are written (see `written`).
    """

    listening = False

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time spent inside to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def written(self, task: str, pieces: Iterable[str]) -> str:
        """Join the pieces of a task's text as the model writes them; a listener overrides this and shows them."""
        return "".join(pieces)

    def window(self, window: Window) -> None:
        """Take note that a window of the course of time is final; a listener overrides this and shows it."""

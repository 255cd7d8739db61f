"""What is being done to a clip, and how long it takes; who listens hears it while it happens (no torch)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from emotion_llama.timeline import Window

_ADDING = threading.Lock()
"""One for all: it is held for a moment, and a stopwatch that has none can be sent to another process."""


class Stopwatch:
    """Seconds spent in each named part; nested use adds up by name. Threads may share one.

    Parts that are done at the same time count each for itself: their sum is then more than the time that went by.
    """

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Add the time spent inside to `name`."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with _ADDING:
                self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - start

    def check(self) -> None:
        """Go on; a listener overrides this, and ends what nobody waits for any more by raising."""

    def written(self, task: str, piece: str) -> None:
        """Take the next piece of a task's text as the model writes it; a listener overrides this and shows it."""

    def window(self, window: Window) -> None:
        """Take note that a window of the course of time is final; a listener overrides this and shows it."""

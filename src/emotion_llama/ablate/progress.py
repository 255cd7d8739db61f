"""What a user sees while trainings run: which ended and how, the rate, the time left."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.text import Text

from emotion_llama.ablate.grid import Training
from emotion_llama.ablate.outcome import Failure, log_file
from emotion_llama.analyze.console import printable

SHOWN_LINES = 3


def time_words(seconds: float | None) -> str:
    """A span of time as a person says it."""
    if seconds is None:
        return "unknown"
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 90 * 60 else f"{seconds / 3600:.1f} h"


def expected_s(training: Training, known: Mapping[str, Sequence[float]]) -> float | None:
    """How long a training will take: as its cell did on average, else as all did; `None` if none is finished."""
    own = known.get(f"{training.cell}.{training.stage}") or [s for seconds in known.values() for s in seconds]
    return sum(own) / len(own) if own else None


class Progress:
    """Counts trainings; a line for each that ends, and on a terminal a moving last line."""

    def __init__(
        self, todo: Sequence[Training], jobs: int, known: Mapping[str, Sequence[float]], console: Console
    ) -> None:
        self._total, self._jobs, self._console = len(todo), jobs, console
        self._known = {name: list(seconds) for name, seconds in known.items()}
        self._waiting = list(todo)
        self._running: dict[Training, float] = {}
        self._ended = 0
        self._start = time.monotonic()
        self._live = Live(console=console, refresh_per_second=2, transient=True) if console.is_terminal else None

    def __enter__(self) -> Self:
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._live.stop()

    def started(self, training: Training) -> None:
        """A process began."""
        self._waiting.remove(training)
        self._running[training] = time.monotonic()

    def ended(self, training: Training, failure: Failure | None) -> None:
        """A process ended, well or not; or was given up before it began."""
        seconds = time.monotonic() - self._running.pop(training, time.monotonic())
        if training in self._waiting:
            self._waiting.remove(training)
        self._ended += 1
        where = f"[{self._ended}/{self._total}] {training.name}"
        if failure is None:
            self._known.setdefault(f"{training.cell}.{training.stage}", []).append(seconds)
            self._line(f"{where}: done in {time_words(seconds)}; {self._pace()}")
            return
        self._line(f"{where}: failed, {failure.reason}; {self._pace()}", "red")
        for line in failure.last_lines[-SHOWN_LINES:]:
            self._line(f"    {line}", "dim")
        self._line(f"    log: {log_file(training.folder)}", "dim")

    def tick(self) -> None:
        """Renew the moving line."""
        if self._live is not None:
            now = time.monotonic()
            names = ", ".join(f"{one.name} ({time_words(now - start)})" for one, start in self._running.items())
            text = f"{self._ended}/{self._total} · {names or 'nothing running'} · {self._pace()}"
            self._live.update(Text(printable(text), style="dim"))

    def left_s(self) -> float | None:
        """Seconds to the end, by what is known of each training; `None` before the first is finished."""
        now = time.monotonic()
        left = [expected_s(one, self._known) for one in self._waiting]
        for one, start in self._running.items():
            expected = expected_s(one, self._known)
            left.append(None if expected is None else max(expected - (now - start), 0.0))
        known = [seconds for seconds in left if seconds is not None]
        return sum(known) / min(self._jobs, max(len(left), 1)) if len(known) == len(left) else None

    def _pace(self) -> str:
        hours = (time.monotonic() - self._start) / 3600
        rate = f"{self._ended / hours:.1f} trainings an hour, " if self._ended and hours > 0.01 else ""
        return f"{rate}time left {time_words(self.left_s())}"

    def _line(self, text: str, style: str = "") -> None:
        self._console.print(Text(printable(text), style=style), soft_wrap=True)

"""What a user sees while a data set is built: clips done, rate, time left, rejections, failures, cost."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from emotion_llama.build.work import Report


class BuildProgress:
    """A bar a pass over the clips. Threads may count on it. `spent` gives calls, tokens and cost so far."""

    def __init__(self, console: Console, spent: Callable[[], tuple[int, int, float]]) -> None:
        self._spent = spent
        self._lock = threading.Lock()
        self._progress = Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[told]}"), console=console, disable=not console.is_terminal,
        )  # fmt: skip
        self._bar: TaskID | None = None
        self._rejected = self._failed = 0
        self._last_step = ""

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, steps: Sequence[str], clips: int) -> None:
        """Start the bar of one pass."""
        self._last_step = steps[-1] if steps else ""
        shown = f"{steps[0]} … {steps[-1]}" if len(steps) > 1 else "".join(steps)
        self._bar = self._progress.add_task(shown, total=clips, told="")

    def count(self, report: Report) -> None:
        """Count one report; the clip moves the bar when it ends, or has taken the pass's last step."""
        with self._lock:
            self._rejected += report.rejected
            self._failed += report.failed
            calls, tokens, cost = self._spent()
            told = [f"{self._rejected} rejected", f"{self._failed} failed"]
            told += [f"{calls} answers, {tokens} tokens, cost {cost:.2f}"] if calls else []
            if self._bar is not None:
                last = bool(report.done) and report.done[-1].outcome.step == self._last_step
                through = report.rejected or report.failed or last
                self._progress.update(self._bar, advance=1 if through else 0, told=", ".join(told))

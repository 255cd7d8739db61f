"""Windows written and told while a long recording is analysed: whole lines in a file, progress on the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

from emotion_llama.clip import Clip
from emotion_llama.errors import OutputError
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import Window

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import EmotionLlama
    from emotion_llama.analyze.results import Result

JOURNAL_ENDING = ".timeline.jsonl"

LINE_EVERY_S = 15.0
"""Where the output is no terminal, progress is a line so often."""


class Journal:
    """A file of windows, one a line, each written whole and at once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._file = path.open("wb", buffering=0)  # what is written is in the file, even if the run is killed
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error.strerror}); choose another --out") from error

    def __call__(self, window: Window) -> None:
        """Append one window. Raises `OutputError` when the disk is full."""
        try:
            self._file.write(window.model_dump_json().encode() + b"\n")
        except OSError as error:
            raise OutputError(f"{self.path}: cannot be written ({error.strerror}); make room and run again") from error

    def close(self) -> None:
        """End the file."""
        self._file.close()


@contextmanager
def journal(path: Path) -> Iterator[Journal]:
    """Open a journal, and close it at the end. An earlier one of the same name is replaced."""
    opened = Journal(path)
    try:
        yield opened
    finally:
        opened.close()


def progress_text(done_s: float, whole_s: float | None, rate: float | None) -> str:
    """How far a run has come: "2:10 of 20:00, 3.1 × real time, 5:45 left"; `None`: nobody knows (yet)."""
    told = minutes(done_s) if whole_s is None else f"{minutes(done_s)} of {minutes(whole_s)}"
    if rate is None or rate <= 0:
        return told
    left = "" if whole_s is None else f", {minutes((whole_s - done_s) / rate)} left"
    return f"{told}, {rate:.1f} × real time{left}"


def minutes(seconds: float) -> str:
    """A length as "1:05" or "1:02:05"."""
    whole = max(0, round(seconds))
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"


class Teller:
    """Tells the progress of one recording: a bar on a terminal, a line now and then elsewhere."""

    def __init__(self, console: Console, start_s: float) -> None:
        self._console, self._start_s = console, start_s
        self._told_s = time.monotonic()
        self._first: tuple[float, float] | None = None  # where the first window ended, and when: weights were loaded
        self._bar = Progress(
            BarColumn(bar_width=24), TextColumn("{task.description}"), console=console,
            disable=not console.is_terminal, transient=True,
        )  # fmt: skip
        self._task = self._bar.add_task("reading", total=None)

    def __enter__(self) -> Teller:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def __call__(self, window: Window, end_s: float | None) -> None:
        """Take note of a finished window; `end_s`: where the recording ends, if it tells."""
        now_s = time.monotonic()
        done_s, whole_s = window.end_s - self._start_s, None if end_s is None else end_s - self._start_s
        self._first = self._first or (done_s, now_s)
        spent_s = now_s - self._first[1]
        text = progress_text(done_s, whole_s, (done_s - self._first[0]) / spent_s if spent_s > 0 else None)
        self._bar.update(self._task, total=whole_s, completed=done_s, description=text)
        if not self._console.is_terminal and now_s - self._told_s >= LINE_EVERY_S:
            self._told_s = now_s
            self._console.print(text, highlight=False)


def examine_told(
    model: EmotionLlama, clip: Clip, settings: AnalyzeSettings, path: Path | None, console: Console
) -> Result:
    """Analyse one recording over time, tell how far it is, and write each finished window to `path`."""
    with Teller(console, clip.start_s or 0.0) as tell:
        if path is None:
            return model.examine(clip, settings, tell)
        with journal(path) as write:

            def both(window: Window, end_s: float | None) -> None:
                write(window)
                tell(window, end_s)

            return model.examine(clip, settings, both)

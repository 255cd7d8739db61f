"""What a user sees of a fetch: bars on a terminal, plain lines elsewhere, nothing when not wanted."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

Advance = Callable[[int], None]
"""Called with the bytes that have come since the last call; a negative number takes bytes back."""


def megabytes(size: int) -> str:
    """Give a size in bytes as words ("98.4 MB")."""
    return f"{size / 1e6:.1f} MB"


class Progress:
    """Reports on stderr."""

    def __init__(self, show: bool = True) -> None:
        """Show nothing at all where `show` is false."""
        self.show = show

    def say(self, text: str) -> None:
        """Print one line."""
        if self.show:
            print(text, file=sys.stderr, flush=True)

    @contextmanager
    def bar(self, title: str, total: int) -> Iterator[Advance]:
        """Show one download of `total` bytes; a bar on a terminal, else one line."""
        if not (self.show and sys.stderr.isatty()):
            self.say(f"{title} ({megabytes(total)})")
            yield lambda count: None
            return
        from rich.console import Console
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TimeRemainingColumn, TransferSpeedColumn
        from rich.progress import Progress as RichProgress

        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
        with RichProgress(*columns, TimeRemainingColumn(), console=Console(stderr=True)) as bars:
            task = bars.add_task(title, total=total)
            yield lambda count: bars.advance(task, count)
            bars.update(task, completed=total)  # not every source reports as it goes

"""One build at a time on a data set: the second is refused, and told who is at work."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from emotion_llama.errors import OutputError, UsageError

LOCK = ".lock"
HOLDER = ".holder"


@contextmanager
def held(dataset: Path) -> Iterator[None]:
    """Hold a data set. Raises `UsageError` naming the process that holds it, `OutputError` for an unwritable folder."""
    try:
        dataset.mkdir(parents=True, exist_ok=True)
        lock = FileLock(dataset / LOCK)
        lock.acquire(timeout=0)
    except Timeout:
        who = holder(dataset) or "another process"
        raise UsageError(
            f"{dataset}: {who} is building this data set; wait until it ends, or give another --out"
        ) from None
    except OSError as error:
        raise OutputError(f"{dataset}: cannot be written ({error}); give another --out") from error
    try:
        _sign(dataset / HOLDER)
        yield
        (dataset / HOLDER).unlink(missing_ok=True)
    finally:
        lock.release()


def _sign(path: Path) -> None:
    try:
        path.write_text(f"process {os.getpid()} on {socket.gethostname()}\n", encoding="utf-8")
    except OSError as error:
        raise OutputError(
            f"{path.parent}: cannot be written ({error}); make room and give the same command again"
        ) from error


def holder(dataset: Path) -> str | None:
    """Who builds the data set now, in words; `None`: nobody (or nobody knows)."""
    lock = FileLock(dataset / LOCK)
    try:
        with lock.acquire(timeout=0):
            return None
    except Timeout:
        try:
            return (dataset / HOLDER).read_text(encoding="utf-8").strip() or None
        except OSError:
            return None
    except OSError:
        return None

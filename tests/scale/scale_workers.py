"""Functions that worker processes import: what they do is told by the item."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from emotion_llama.errors import EndpointError, MediaError, UsageError

Fated = tuple[int, str]


class Unsendable(Exception):
    """Pickles, but cannot be unpickled: it wants two words and keeps one."""

    def __init__(self, one: str, two: str) -> None:
        super().__init__(one)


def make_square() -> Callable[[int], int]:
    return lambda number: number * number


def make_fated(folder: Path) -> Callable[[Fated], Any]:
    """Give the function that squares, fails or dies; each worker leaves its pid in `folder` when it is made."""
    (folder / f"made-{os.getpid()}-{time.monotonic_ns()}").touch()

    def work(item: Fated) -> Any:
        number, fate = item
        if fate == "media":
            raise MediaError(f"{number}.mp4 holds no picture")
        if fate == "endpoint":
            raise EndpointError("no answer", status=503)
        if fate == "missing":
            (folder / "absent").read_text()
        if fate == "bug":
            raise KeyError("frames")
        if fate == "unsendable error":
            raise Unsendable("one", "two")
        if fate == "unsendable result":
            return lambda: number
        if fate == "exit" or (fate == "exit once" and first_time(folder, number)):
            os._exit(3)
        if fate == "kill" or (fate == "kill once" and first_time(folder, number)):
            os.kill(os.getpid(), signal.SIGKILL)
        return number * number

    return work


def first_time(folder: Path, number: int) -> bool:
    try:
        (folder / f"tried-{number}").touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def make_refusing() -> Callable[[int], int]:
    raise UsageError("no weights here")


def make_dying() -> Callable[[int], int]:
    os._exit(7)


def make_asked() -> Callable[[str], int | str | None]:
    """Give answers on the worker's limits: a variable's value, or the threads that torch or OpenCV uses."""

    def work(question: str) -> int | str | None:
        if question == "torch":
            import torch

            return torch.get_num_threads()
        if question == "cv2":
            import cv2

            return cv2.getNumThreads()
        return os.environ.get(question)

    return work


def make_whoami() -> Callable[[float], int]:
    def work(seconds: float) -> int:
        time.sleep(seconds)
        return os.getpid()

    return work


def make_noting(folder: Path) -> Callable[[float], None]:
    """Give the function that leaves its pid in `folder` and then takes its time."""

    def work(seconds: float) -> None:
        (folder / f"pid-{os.getpid()}").touch()
        time.sleep(seconds)

    return work


def make_double() -> Callable[[Any], Any]:
    return lambda array: array * 2


def loaded_modules() -> Callable[[str], bool]:
    return lambda name: name in sys.modules


def make_home() -> Callable[[str], Any]:
    """Give the function that asks the node where the run was started for a file."""
    from emotion_llama.scale.elsewhere import HOME_NODE, sent

    return lambda path: sent(path, os.environ[HOME_NODE])


def make_reader() -> Callable[[str], Any]:
    """The same, though it is this very node."""
    from emotion_llama.scale.elsewhere import HOME_NODE, LARGEST_BYTES, read_on

    return lambda path: read_on(os.environ[HOME_NODE], path, LARGEST_BYTES)

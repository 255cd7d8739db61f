"""What happens in the process that works, whoever started it: the models once, then item after item."""

from __future__ import annotations

import os
import pickle
import sys
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from emotion_llama.errors import EmotionLlamaError

T = TypeVar("T")
R = TypeVar("R")
Dumps = Callable[[Any], bytes]

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENCV_FOR_THREADS_NUM")
"""What torch, BLAS and ctranslate2 (first) and OpenCV (second) read when they are loaded."""


@dataclass(frozen=True)
class Failure:
    """One item that could not be done: its place in `items`, what went wrong, and the name of the error's class."""

    index: int
    error: str
    kind: str


def attempt(work: Callable[[T], R], index: int, item: T) -> R | Failure:
    """Do one item; an error that a recording or a disk can cause becomes a `Failure`, any other is raised."""
    try:
        return work(item)
    except (EmotionLlamaError, OSError) as error:
        return Failure(index, str(error), type(error).__name__)
    except Exception as error:
        error.add_note(f"while working on item {index}")
        raise


class Worker:
    """Lives in a process of its own. Answers are pickled pairs: (True, result) or (False, an error to raise).

    `dumps` pickles them: `pickle.dumps`, or Ray's own, which also knows classes of the parent's script.
    """

    def __init__(self, dumps: Dumps) -> None:
        self._dumps = dumps
        self._work: Callable[[Any], Any] | None = None

    def load(self, made: bytes, threads: int) -> bytes:
        """Unpickle `make_worker` and call it, with at most `threads` threads for its libraries."""
        limit_threads(threads)
        try:
            self._work = pickle.loads(made)()
            return self._dumps((True, None))
        except Exception as error:
            return self._dumps((False, _sendable(error, "while it loaded")))

    def answer(self, message: bytes) -> bytes:
        """Do the item of one pickled pair (index, item)."""
        assert self._work is not None, "load comes first"
        when = "while it received an item"
        try:
            index, item = pickle.loads(message)
            when = f"at item {index}"
            return self._dumps((True, attempt(self._work, index, item)))
        except Exception as error:
            return self._dumps((False, _sendable(error, when)))


def open_answer(answer: bytes) -> Any:
    """Give the result in one answer of a `Worker`, or raise the error in it."""
    done, value = pickle.loads(answer)
    if not done:
        raise value
    return value


def thread_share(workers: int) -> int:
    """Threads for each of so many workers on this machine: its usable cores shared, or OMP_NUM_THREADS if less."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wished = os.environ.get("OMP_NUM_THREADS", "")
    return max(1, min(cores // workers, int(wished) if wished.isdigit() else cores))


def limit_threads(threads: int) -> None:
    """Limit libraries still to be loaded by their variables, and torch, where it is loaded already, by itself."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    if "torch" in sys.modules:
        sys.modules["torch"].set_num_threads(threads)


def _sendable(error: Exception, when: str) -> Exception:
    """The error with its traceback as a note; one that does not survive pickling becomes a `RuntimeError`."""
    text = "".join(traceback.format_exception(error))
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever a foreign class does while it is pickled
        error = RuntimeError(f"{type(error).__name__}: {error}")
    error.add_note(f"in the worker process, {when}:\n{text}")
    return error

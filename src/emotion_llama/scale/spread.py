"""One function over many items: here, in several processes, or on Ray; results in order of completion."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, Literal, Protocol, TypeVar, cast, get_args

from emotion_llama.errors import UsageError
from emotion_llama.scale.worker import Failure, attempt

__all__ = ["Engine", "Failure", "as_engine", "spread"]

T = TypeVar("T")
R = TypeVar("R")
Engine = Literal["local", "ray"]

TICK_S = 0.5
"""So often a run that waits for workers looks whether it is still wanted."""

MOST_FAILED_STARTS = 2
"""So many workers may die while they load their models; then there is no hope, and the run ends."""


class WorkerLost(Exception):
    """A worker process is no more; the message says what is known of how."""


class Handle(Protocol):
    """One worker as the parent sees it. It has one item at a time, so a lost worker loses one known item."""

    index: int | None
    """Of the item it works on; `None` while it loads its models."""

    def give(self, index: int, item: Any) -> None:
        """Send the next item."""

    def take(self) -> Any:
        """Give its answer. Raises `WorkerLost`, or the error that the worker could not turn into a `Failure`."""

    def dismiss(self) -> None:
        """Say that no item follows; does not wait."""

    def end(self) -> None:
        """Make sure that it is gone, whatever it does; may be called again."""


@dataclass(frozen=True)
class Crew:
    """How one engine starts a worker, and waits until one of several has an answer or is lost, `TICK_S` at most."""

    start: Callable[[], Handle]
    wait: Callable[[Sequence[Handle]], Sequence[Handle]]


def as_engine(word: str) -> Engine:
    """Check the name of an engine. Raises `UsageError` for another word."""
    if word not in get_args(Engine):
        raise UsageError(f"engine {word!r}: expected {' or '.join(get_args(Engine))}")
    return cast(Engine, word)


def spread(
    make_worker: Callable[[], Callable[[T], R]],
    items: Sequence[T],
    *,
    jobs: int = 1,
    engine: Engine = "local",
    address: str | None = None,
    gpu: bool | None = False,
    unwanted: threading.Event | None = None,
) -> Generator[tuple[int, R | Failure], None, None]:
    """Yield (index, result or `Failure`) of every item once, in order of completion.

    `make_worker` is called once in each worker process (it loads models there) and gives the function for one item;
    it, the items and the results are pickled, so it is a function of a module, or a `partial` of one. `jobs=1` of the
    local engine works in this very process, item by item as they are asked for. `jobs` processes share the cores.
    `engine="ray"`: `jobs` actors of one CPU each on the cluster at `address`, or on a Ray that lives in this call
    (`None`). With `gpu` each has a GPU of its own too, or an equal share where there are fewer; `None`: where the
    cluster has any. Memory does not grow with the number of items: a worker has one at a time.

    An `EmotionLlamaError` or `OSError` of an item is its `Failure`. A worker that dies is replaced and its item tried
    once more, then it is a `Failure` too. Any other error, and one of `make_worker`, is raised here with the worker's
    traceback as a note. Closing the iterator, an error and Ctrl-C end all workers; so does `unwanted`, which another
    thread may set while this one waits for workers.
    Raises `UsageError` on fewer than one job, without ray or the GPU asked for, or if workers die before they begin.
    """
    if jobs < 1:
        raise UsageError(f"jobs: at least 1 worker is needed, found {jobs}")
    workers = max(1, min(jobs, len(items)))
    if engine == "ray":
        from emotion_llama.scale.ray_engine import ray_crew

        return drive(ray_crew(make_worker, workers, address, gpu), items, workers, unwanted)
    if engine != "local":
        raise UsageError(f"engine: expected local or ray, found {engine!r}")
    if address is not None:
        raise UsageError(f"address {address!r} is for the engine ray; the local engine needs none")
    if jobs == 1:
        return _here(make_worker, items)
    from emotion_llama.scale.processes import local_crew

    return drive(local_crew(make_worker, workers), items, workers, unwanted)


def _here(
    make_worker: Callable[[], Callable[[T], R]], items: Sequence[T]
) -> Generator[tuple[int, R | Failure], None, None]:
    work: Callable[[T], R] | None = None
    for index, item in enumerate(items):
        work = work or make_worker()
        yield index, attempt(work, index, item)


def drive(
    engine: AbstractContextManager[Crew],
    items: Sequence[Any],
    workers: int,
    unwanted: threading.Event | None = None,
) -> Generator[tuple[int, Any], None, None]:
    """Keep so many workers of one engine busy until every item has its answer, or none is wanted any more."""
    queue = _Queue(len(items))
    busy: list[Handle] = []
    dismissed: list[Handle] = []
    if not queue.unanswered:
        return
    with engine as crew:
        try:
            while len(busy) < workers:
                busy.append(crew.start())
            while queue.unanswered and not (unwanted is not None and unwanted.is_set()):
                for handle in crew.wait(busy):
                    index = handle.index
                    try:
                        answer = handle.take()
                    except WorkerLost as lost:
                        busy.remove(handle)
                        handle.end()
                        answer = queue.lost(index, lost)
                        if queue.waiting:
                            busy.append(crew.start())
                    else:
                        _give_next(handle, queue, items, busy, dismissed)
                    # the worker is busy again before the caller sees the answer and takes its time with it
                    if index is not None and answer is not _TRY_AGAIN:
                        queue.unanswered -= 1
                        yield index, answer
        finally:
            for handle in [*busy, *dismissed]:
                handle.end()


def _give_next(
    handle: Handle, queue: _Queue, items: Sequence[Any], busy: list[Handle], dismissed: list[Handle]
) -> None:
    if queue.waiting:
        index = queue.next()
        handle.give(index, items[index])
    else:
        busy.remove(handle)
        dismissed.append(handle)
        handle.dismiss()


_TRY_AGAIN = object()


class _Queue:
    """Indexes of the items that no worker has: those lost with a worker first, then the fresh ones in order."""

    def __init__(self, count: int) -> None:
        self.unanswered = count
        self._count = count
        self._fresh = 0
        self._again: deque[int] = deque()
        self._lost_once: set[int] = set()
        self._failed_starts = 0

    @property
    def waiting(self) -> bool:
        return bool(self._again) or self._fresh < self._count

    def next(self) -> int:
        if self._again:
            return self._again.popleft()
        self._fresh += 1
        return self._fresh - 1

    def lost(self, index: int | None, lost: WorkerLost) -> object:
        """What becomes of the item of a lost worker: `_TRY_AGAIN` or its `Failure`."""
        if index is None:
            self._failed_starts += 1
            if self._failed_starts >= MOST_FAILED_STARTS:
                raise UsageError(f"{lost} (before its first item, {self._failed_starts} times)") from lost
            return _TRY_AGAIN
        if index in self._lost_once:
            return Failure(index, f"{lost} (twice with this item)", "WorkerLost")
        self._lost_once.add(index)
        self._again.append(index)
        return _TRY_AGAIN

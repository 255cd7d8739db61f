"""Two stages that work at the same time: threads look at the next recordings while the model answers about the last.

What was looked at while the model was busy is answered together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

J = TypeVar("J")
L = TypeVar("L")
R = TypeVar("R")

END_WAIT_S = 10.0
"""How long the end of a run waits for what is being looked at."""

_TICK_S = 0.05
"""How soon a thread that waits for room notices that nobody wants its work any more."""


class Pipeline(Generic[J, L, R]):
    """Jobs → results, in order of completion.

    `lookers`: what is done first with a job, one function a thread. `answer`: what is done then, with up to `batch`
    jobs at once, in the thread that asks for results. An exception of either becomes the result of its job; so many as
    `batch` are looked at ahead. An error of the jobs themselves is raised when what was looked at has its results.
    """

    def __init__(
        self,
        lookers: Sequence[Callable[[J], L]],
        answer: Callable[[Sequence[tuple[J, L]]], Sequence[R | Exception]],
        batch: int,
    ) -> None:
        self._lookers, self._answer, self._batch = lookers, answer, batch

    def results(self, jobs: Iterable[J]) -> Generator[tuple[J, R | Exception], None, None]:
        """Work all jobs off. Taking the next job may wait; closing the iterator ends the threads, they close `jobs`."""
        ahead: _Ahead[J, L] = _Ahead(iter(jobs), self._batch)
        threads = [threading.Thread(target=ahead.work, args=(look,), daemon=True) for look in self._lookers]
        for thread in threads:
            thread.start()
        working = len(self._lookers)
        try:
            while working:
                found = ahead.next_ones()
                working -= found.count(None)
                yield from self._answered([one for one in found if one is not None])
            if ahead.broken is not None:
                raise ahead.broken
        finally:
            ahead.unwanted.set()
            for thread in threads:  # a program that ended while one decodes or recognises would die of it
                thread.join(END_WAIT_S)

    def _answered(self, found: Sequence[tuple[J, L | Exception]]) -> Iterator[tuple[J, R | Exception]]:
        good: list[tuple[J, L]] = []
        for job, looked in found:
            if isinstance(looked, Exception):
                yield job, looked
            else:
                good.append((job, looked))
        if not good:
            return
        for (job, _), result in zip(good, self._answer(good), strict=True):
            yield job, result


class _Ahead(Generic[J, L]):
    """Jobs that are looked at ahead, by several threads; at most `batch` wait to be answered."""

    def __init__(self, jobs: Iterator[J], batch: int) -> None:
        self._jobs, self._batch = jobs, batch
        self._taking = threading.Lock()
        self._looked: Queue[tuple[J, L | Exception] | None] = Queue(batch)
        self.unwanted = threading.Event()
        self.broken: Exception | None = None

    def work(self, look: Callable[[J], L]) -> None:
        """Look at one job after the other; at the end hand over `None`."""
        while not self.unwanted.is_set():
            try:
                with self._taking:
                    job = next(self._jobs)
            except StopIteration:
                break
            except Exception as error:
                self.broken = error
                break
            looked: L | Exception
            try:
                looked = look(job)
            except Exception as error:
                looked = error
            self._hand_over((job, looked))
        self._hand_over(None)
        if self.unwanted.is_set():
            self._close()

    def _close(self) -> None:
        with self._taking:
            close = getattr(self._jobs, "close", None)
            if close is not None:
                close()

    def next_ones(self) -> list[tuple[J, L | Exception] | None]:
        """Wait for one; with it come those that are there already, up to a batch."""
        found = [self._looked.get()]
        while len(found) < self._batch:
            try:
                found.append(self._looked.get_nowait())
            except Empty:
                break
        return found

    def _hand_over(self, one: tuple[J, L | Exception] | None) -> None:
        while not self.unwanted.is_set():
            try:
                self._looked.put(one, timeout=_TICK_S)
                return
            except Full:
                continue

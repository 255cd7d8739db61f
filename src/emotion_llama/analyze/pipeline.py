"""Two stages that work at the same time: threads look at the next recordings while the model answers about the last.

What was looked at while the model was busy is answered together.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from queue import Empty, Full, Queue
from typing import Generic, TypeVar

J = TypeVar("J")
L = TypeVar("L")
R = TypeVar("R")

_TICK_S = 0.05
"""How soon a thread that waits for room notices that nobody wants its work any more."""


class Pipeline(Generic[J, L, R]):
    """Jobs → results, in order of completion.

    `lookers`: what is done first with a job, one function a thread. `answer`: what is done then, with up to `batch`
    jobs at once, in the thread that asks for results. An exception of either becomes the result of its job; so many as
    `batch` are looked at ahead.
    """

    def __init__(
        self,
        lookers: Sequence[Callable[[J], L]],
        answer: Callable[[Sequence[tuple[J, L]]], Sequence[R | Exception]],
        batch: int,
    ) -> None:
        self._lookers, self._answer, self._batch = lookers, answer, batch
        self._looked: Queue[tuple[J, L | Exception] | None] = Queue(batch)
        self._unwanted = threading.Event()
        self._taking = threading.Lock()

    def results(self, jobs: Iterable[J]) -> Iterator[tuple[J, R | Exception]]:
        """Work all jobs off. Taking the next job may wait; closing the iterator ends the threads."""
        source = iter(jobs)
        threads = [threading.Thread(target=self._look, args=(source, look), daemon=True) for look in self._lookers]
        for thread in threads:
            thread.start()
        working = len(threads)
        try:
            while working:
                found = self._next_ones()
                working -= found.count(None)
                yield from self._answered([one for one in found if one is not None])
        finally:
            self._unwanted.set()

    def _look(self, source: Iterator[J], look: Callable[[J], L]) -> None:
        while not self._unwanted.is_set():
            try:
                with self._taking:
                    job = next(source)
            except StopIteration:
                break
            looked: L | Exception
            try:
                looked = look(job)
            except Exception as error:
                looked = error
            self._hand_over((job, looked))
        self._hand_over(None)

    def _hand_over(self, one: tuple[J, L | Exception] | None) -> None:
        while not self._unwanted.is_set():
            try:
                self._looked.put(one, timeout=_TICK_S)
                return
            except Full:
                continue

    def _next_ones(self) -> list[tuple[J, L | Exception] | None]:
        """Wait for one; with it come those that are there already, up to a batch."""
        found = [self._looked.get()]
        while len(found) < self._batch:
            try:
                found.append(self._looked.get_nowait())
            except Empty:
                break
        return found

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

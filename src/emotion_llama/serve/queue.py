"""Requests that wait for the model: bounded by whoever admits them, urgent ones first, one thread that takes them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

from emotion_llama.errors import RequestError

T = TypeVar("T")


class Admission:
    """At most `most` requests under way at a time, from their first byte to their answer."""

    def __init__(self, most: int) -> None:
        self.most, self.under_way = most, 0
        self.usual_s = 2.0
        """How long one takes, as lately measured; for `Retry-After`."""

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Hold one place. Raises `RequestError` (429) where all are taken."""
        if self.under_way >= self.most:
            wait_s = min(60, max(1, round(self.usual_s * self.most / 2)))
            raise RequestError(
                f"the service is busy: {self.under_way} requests are under way, no more are taken; ask again in about "
                f"{wait_s} s",
                status=429,
                kind="busy",
                retry_after_s=wait_s,
            )
        self.under_way += 1
        try:
            yield
        finally:
            self.under_way -= 1

    def took(self, seconds: float) -> None:
        """Note how long one request took the model."""
        self.usual_s += 0.2 * (seconds - self.usual_s)


class WaitingLine(Generic[T]):
    """First come, first served; what is put in the second row waits until the first is empty."""

    def __init__(self) -> None:
        self._rows: tuple[deque[T], deque[T]] = (deque(), deque())
        self._changed = threading.Condition()
        self._closed = False

    def put(self, one: T, *, second_row: bool = False) -> int:
        """Add one; gives how many stand before it."""
        with self._changed:
            before = len(self._rows[0]) + (len(self._rows[1]) if second_row else 0)
            self._rows[second_row].append(one)
            self._changed.notify()
            return before

    def take(self) -> T | None:
        """Wait for the next; `None` once the line is closed and empty."""
        with self._changed:
            while not any(self._rows) and not self._closed:
                self._changed.wait()
            for row in self._rows:
                if row:
                    return row.popleft()
            return None

    def close(self) -> None:
        """Let `take` end when nothing is left."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def __len__(self) -> int:
        return sum(map(len, self._rows))

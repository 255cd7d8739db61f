"""Workers in processes of this machine.

Bare `multiprocessing` with one pipe a worker, not `concurrent.futures` (one dead worker breaks the whole pool and all
its items, with no word which was at fault), `multiprocessing.Pool` (a dead worker's item never returns), or loky
(breaks likewise, and comes only with the training extra).
"""

from __future__ import annotations

import multiprocessing
import os
import pickle
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from typing import Any

from emotion_llama.scale.spread import TICK_S, Crew, Handle, WorkerLost
from emotion_llama.scale.worker import Worker, open_answer, thread_share

EXIT_WAIT_S = 5.0
"""How long a worker with nothing left to do may take to leave by itself."""


@contextmanager
def local_crew(make_worker: Callable[[], Callable[[Any], Any]], workers: int) -> Iterator[Crew]:
    """Give the means for so many processes; `make_worker` that cannot be pickled fails here."""
    yield Crew(partial(ProcessHandle, pickle.dumps(make_worker), thread_share(workers)), wait_for_answers)


class ProcessHandle:
    """One process, begun afresh (spawn): torch's threads and FFmpeg's do not survive a fork."""

    def __init__(self, made: bytes, threads: int) -> None:
        context = multiprocessing.get_context("spawn")
        self.index: int | None = None
        self.connection, theirs = context.Pipe()
        self._process = context.Process(target=serve, args=(theirs,), daemon=True)
        with _interrupts_held():
            self._process.start()
        theirs.close()  # so that its death ends our side
        self._send(pickle.dumps((made, threads)))

    def give(self, index: int, item: Any) -> None:
        """Send the next item."""
        self.index = index
        self._send(pickle.dumps((index, item)))

    def take(self) -> Any:
        """Give its answer. Raises `WorkerLost`."""
        try:
            answer = self.connection.recv_bytes()
        except (EOFError, OSError) as error:  # OSError: it died in the middle of an answer
            raise WorkerLost(self._how_it_died()) from error
        return open_answer(answer)

    def dismiss(self) -> None:
        """Close the pipe; a worker that waits for an item then leaves."""
        self.connection.close()

    def end(self) -> None:
        """Let a dismissed worker leave; kill any other."""
        if self.connection.closed:
            self._process.join(EXIT_WAIT_S)
        self._process.kill()
        self._process.join()
        self.connection.close()

    def _send(self, message: bytes) -> None:
        # plain pickle, not connection.send, whose pickler lets torch put tensors into memory shared with this process
        with suppress(ConnectionError):  # it is dead; take() will say so
            self.connection.send_bytes(message)

    def _how_it_died(self) -> str:
        self._process.join(EXIT_WAIT_S)
        code = self._process.exitcode
        if code == -signal.SIGKILL:
            return "the worker process died (SIGKILL): likely out of memory; lower --jobs"
        how = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
        return f"the worker process died ({how}): possibly out of memory; lower --jobs, or look at this item alone"


def wait_for_answers(handles: Sequence[Handle]) -> list[Handle]:
    """Wait until at least one of these workers has an answer or is dead, at most for a moment; give those."""
    by_connection = {handle.connection: handle for handle in handles if isinstance(handle, ProcessHandle)}
    return [by_connection[ready] for ready in wait(list(by_connection), TICK_S) if isinstance(ready, Connection)]


def serve(connection: Connection) -> None:
    """What a worker process does: load, then answer until the parent closes the pipe or is no more."""
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    worker = Worker(pickle.dumps)
    with suppress(EOFError, ConnectionError):
        made, threads = pickle.loads(connection.recv_bytes())
        connection.send_bytes(worker.load(made, threads))
        while True:
            connection.send_bytes(worker.answer(connection.recv_bytes()))


def _leave_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)  # a parent that was killed could not end us


@contextmanager
def _interrupts_held() -> Iterator[None]:
    """A process started in here never sees Ctrl-C, not even while it imports: ending it is the parent's task."""
    resource_tracker.ensure_running()  # else it is started by the first process, and lets interrupts through again
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

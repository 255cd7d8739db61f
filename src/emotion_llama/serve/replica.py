"""One of several loaded models behind a service: requests in, events and results out. Lives in a process of its own.

It knows nothing of Ray, which calls it (`ray_app`), and nothing of HTTP.
"""

from __future__ import annotations

import tempfile
import threading
import traceback
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from emotion_llama.analyze.pipeline import Pipeline
from emotion_llama.scale.worker import limit_threads
from emotion_llama.serve.model import Looker, Model, Perceived
from emotion_llama.serve.ticket import AnalyzeRequest, Done, Event, Listener, Ticket


@dataclass(frozen=True)
class About:
    """What a model says of itself."""

    streams: bool
    card: Mapping[str, Any]


@dataclass(frozen=True)
class Ended:
    """The last of what a replica says about a request, and the seconds it spent by stage."""

    outcome: Done | Exception
    seconds: Mapping[str, float]


@dataclass(frozen=True)
class _Job:
    ticket: Ticket
    listener: Listener


class Replica:
    """A model of its own, loaded and warm once this is made, for several requests at a time.

    Recordings are looked at while the model answers about others; up to `batch_size` are answered together. `threads`:
    for its libraries, as they stand without.
    """

    def __init__(self, make_model: Callable[[], Model], batch_size: int, threads: int | None = None) -> None:
        if threads is not None:
            limit_threads(threads)
        self._model = make_model()
        self._model.warm()
        self._line: SimpleQueue[_Job | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, args=(batch_size,), name="model", daemon=True)
        self._thread.start()

    def about(self) -> About:
        """What the model is."""
        return About(self._model.streams, dict(self._model.card()))

    def check_health(self) -> None:
        """Raise where nothing would ever be answered any more: whoever asks then ends this process."""
        if not self._thread.is_alive():
            raise RuntimeError("the thread of the model has ended")

    async def ask(self, request: AnalyzeRequest, recording: bytes | None = None) -> AsyncIterator[Event | Ended]:
        """Give what happens to a request, ending with `Ended`; whoever stops listening ends the work.

        `recording`: the content of its file, where that cannot be seen from here.
        """
        with _placed(request, recording) as here:
            ticket = Ticket(here)
            job = _Job(ticket, Listener(ticket, self._model.streams))
            self._line.put(job)
            try:
                async for event in ticket.events():
                    yield Ended(event, job.listener.seconds) if isinstance(event, Done) else event
            except Exception as error:
                yield Ended(as_sent(error, here, request), job.listener.seconds)
            finally:
                ticket.cancel()

    def end(self) -> None:
        """Answer what waits, and end."""
        self._line.put(None)
        self._thread.join()
        self._model.close()

    def _work(self, batch_size: int) -> None:
        lookers = [partial(self._look, looker) for looker in self._model.lookers]
        pipeline: Pipeline[_Job, Done | Perceived, Done] = Pipeline(lookers, self._answered, batch_size)
        for job, outcome in pipeline.results(self._wanted()):
            job.ticket.tell(outcome)

    def _wanted(self) -> Iterator[_Job]:
        while (job := self._line.get()) is not None:
            if not job.ticket.cancelled.is_set():
                yield job

    def _look(self, looker: Looker, job: _Job) -> Done | Perceived:
        request = job.ticket.request
        if request.faces_only:
            return Done(None, looker.faces(request.clip, request.settings, job.listener))
        looked = looker.look(request.clip, request.settings, job.listener, request.drawn)
        return Perceived(looked, job.listener, request.drawn)

    def _answered(self, found: Sequence[tuple[_Job, Done | Perceived]]) -> list[Done | Exception]:
        answers = iter(self._model.answer([one for _, one in found if isinstance(one, Perceived)]))
        done: list[Done | Exception] = []
        for _, one in found:
            answer = one if isinstance(one, Done) else next(answers)
            done.append(
                answer if isinstance(answer, Done | Exception) else Done(answer.analysis, drawing=answer.drawing)
            )
        return done


@contextmanager
def _placed(request: AnalyzeRequest, recording: bytes | None) -> Iterator[AnalyzeRequest]:
    """The request with its recording at a place of this machine: in a folder of this user alone, removed afterwards."""
    path = request.clip.path
    if recording is None or path is None:
        yield request
        return
    with tempfile.TemporaryDirectory(prefix="emotion-llama-") as folder:
        here = Path(folder) / path.name
        here.write_bytes(recording)
        yield replace(request, clip=request.clip.model_copy(update={"path": here}))


def as_sent(error: Exception, here: AnalyzeRequest, asked: AnalyzeRequest) -> Exception:
    """The error as it can be sent: with its traceback as a note, and the file's name as whoever asked knows it.

    What is neither of this package nor of Python itself becomes a `RuntimeError`: its class may be known here alone, or
    load what is not wanted there.
    """
    text = "".join(traceback.format_exception(error))
    if type(error).__module__ not in ("builtins", "emotion_llama.errors"):
        error = RuntimeError(f"{type(error).__name__}: {error}")
    if here.clip.path != asked.clip.path:
        mine, theirs = str(here.clip.path), str(asked.clip.path)
        error.args = tuple(one.replace(mine, theirs) if isinstance(one, str) else one for one in error.args)
    error.__cause__ = error.__context__ = None
    error.add_note(f"in the replica:\n{text}")
    return error

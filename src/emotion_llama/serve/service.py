"""The service itself, without HTTP: requests in, events and results out.

One thread asks the language model; others look at the recordings of the next requests meanwhile. Those that wait
for the model together are answered together.

In the service's event loop:

    service = Service(lambda: ServedModel("nano"), ServeSettings())
    await service.start()
    ticket = service.submit(AnalyzeRequest(Clip(clip="text", transcript="Hello!"), AnalyzeSettings()))
    async for event in ticket.events():  # Waiting, Stage, Text, …, Done
        ...
    await service.stop()

A recording goes through `admitted` (a place), `check` (decoded in a child process first) and then `submit`.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from emotion_llama.analyze.pipeline import Pipeline
from emotion_llama.analyze.report import Drawing
from emotion_llama.errors import EmotionLlamaError, RequestError
from emotion_llama.serve.cache import ResultCache, result_key
from emotion_llama.serve.guard import Guard
from emotion_llama.serve.limits import Limits, check_settings
from emotion_llama.serve.metrics import Metrics
from emotion_llama.serve.model import Answer, Looker, Model, Perceived
from emotion_llama.serve.queue import Admission, WaitingLine
from emotion_llama.serve.refusals import as_refusal
from emotion_llama.serve.settings import MEGABYTE, ServeSettings
from emotion_llama.serve.ticket import AnalyzeRequest as AnalyzeRequest
from emotion_llama.serve.ticket import Cancelled, Listener
from emotion_llama.serve.ticket import Done as Done
from emotion_llama.serve.ticket import Event as Event
from emotion_llama.serve.ticket import Finished as Finished
from emotion_llama.serve.ticket import Stage as Stage
from emotion_llama.serve.ticket import Text as Text
from emotion_llama.serve.ticket import Ticket as Ticket
from emotion_llama.serve.ticket import Waiting as Waiting

MOST_PASSED = 256
"""Contents that are remembered to have passed the guard."""

MOST_DRAWINGS = 16
"""Drawings that are remembered, of some 0.5 MB each."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class _Work:
    """A ticket whose turn has come, and since when."""

    ticket: Ticket
    listener: Listener
    since_s: float


class Service:
    """A model, the line of requests before it, and the memory of its results.

    `make_model` is called in the model's own thread. `on_failure` is told when the model could not be loaded.
    """

    def __init__(
        self,
        make_model: Callable[[], Model],
        settings: ServeSettings,
        on_failure: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self.settings = settings
        self.model: Model | None = None
        self.since_s = int(time.time())
        self.metrics = Metrics()
        self._make_model, self._on_failure = make_model, on_failure
        self._admission = Admission(settings.queue)
        self._line: WaitingLine[Ticket] = WaitingLine()
        self._cache = ResultCache(settings.keep)
        self._thread = threading.Thread(target=self._work, name="model", daemon=True)
        self._guard: Guard | None = None
        self._passed: dict[str, None] = {}
        self._drawings: OrderedDict[str, Drawing] = OrderedDict()
        self._memory = threading.Condition()
        self._under_way: set[str] = set()
        self._last_s = 0.0
        self.metrics.watch(lambda: len(self._line), lambda: self._admission.under_way)

    async def start(self) -> None:
        """Begin to load the model; `ready` says when it is there."""
        self._guard = Guard(
            Limits(
                max_duration_s=self.settings.max_duration_s,
                max_pixels=self.settings.max_pixels,
                max_streams=self.settings.max_streams,
                cpu_s=max(1, round(self.settings.timeout_s)),
                memory_bytes=self.settings.decode_memory_mb * MEGABYTE,
            )
        )
        self._thread.start()

    async def stop(self) -> None:
        """Finish what waits and runs, then end the model's thread."""
        self._line.close()
        while self._thread.is_alive():
            await asyncio.sleep(0.02)
        if self._guard is not None:
            await self._guard.close()

    @property
    def ready(self) -> bool:
        """Whether the model is loaded and warm."""
        return self.model is not None

    def admitted(self) -> AbstractContextManager[None]:
        """Hold a place while a request is received, checked and answered. Raises `RequestError` (429, 503)."""
        if not self.ready:
            raise RequestError(
                "the model is still being loaded; ask again in a few seconds",
                status=503,
                kind="loading",
                retry_after_s=5,
            )
        return self._admission.admitted()

    async def check(self, path: Path, name: str, sha256: str) -> None:
        """Decode a recording once, in a child process, within the limits; content that passed lately passes again.

        Raises `RequestError`.
        """
        assert self._guard is not None, "start the service first"
        if sha256 in self._passed:
            return
        start_s = time.perf_counter()
        try:
            await self._guard.check(path)
        except EmotionLlamaError as error:
            raise renamed(error, path, name) from None
        finally:
            self.metrics.stage("check", time.perf_counter() - start_s)
        self._passed[sha256] = None
        while len(self._passed) > MOST_PASSED:
            self._passed.pop(next(iter(self._passed)))

    def submit(self, request: AnalyzeRequest) -> Ticket:
        """Put a request in line. Raises `RequestError` for settings beyond the limits."""
        if self.settings.blur_faces:
            request = replace(request, settings=request.settings.model_copy(update={"blur_faces": True}))
        check_settings(request.settings, request.clip.transcript)
        ticket = Ticket(request)
        before = self._line.put(ticket, second_row=request.background)
        ticket.tell(Waiting(before))
        return ticket

    def remove_old(self) -> None:
        """Remove kept results whose time is over."""
        with self._memory:
            self._cache.remove_older(self.settings.retention_days * 86_400)

    def _work(self) -> None:
        with ExitStack() as last:
            try:
                model = self._make_model()
                last.callback(model.close)
                model.warm()
            except BaseException as error:
                self._on_failure(error)
                return
            self.model = model
            pipeline: Pipeline[_Work, Done | Perceived, Done] = Pipeline(
                [partial(self._look, looker) for looker in model.lookers], self._answered, self.settings.batch_size
            )
            for work, outcome in pipeline.results(self._works(model)):
                self._finish(work, outcome)

    def _works(self, model: Model) -> Iterator[_Work]:
        while (ticket := self._line.take()) is not None:
            if not ticket.cancelled.is_set():
                yield _Work(ticket, Listener(ticket, model.streams), time.perf_counter())

    def _look(self, looker: Looker, work: _Work) -> Done | Perceived:
        """What is known already, or the clip as it was perceived."""
        request = work.ticket.request
        if request.faces_only:
            return Done(None, looker.faces(request.clip, request.settings, work.listener))
        if _recognised(request):
            known = self._known(request)
            if known is not None:
                self.metrics.from_memory()
                return known
        looked = looker.look(request.clip, request.settings, work.listener, request.drawn)
        return Perceived(looked, work.listener, request.drawn)

    def _answered(self, found: Sequence[tuple[_Work, Done | Perceived]]) -> list[Done | Exception]:
        assert self.model is not None, "it is loaded"
        answers = iter(self.model.answer([one for _, one in found if isinstance(one, Perceived)]))
        done: list[Done | Exception] = []
        for work, one in found:
            if isinstance(one, Done):
                done.append(one)
                continue
            answer = next(answers)
            done.append(answer if isinstance(answer, Exception) else self._remembered(work.ticket.request, answer))
        return done

    def _finish(self, work: _Work, outcome: Done | Exception) -> None:
        ticket, listener = work.ticket, work.listener
        if _recognised(ticket.request):
            with self._memory:
                self._under_way.discard(self._key(ticket.request))
                self._memory.notify_all()
        if isinstance(outcome, Exception):
            self._refuse(ticket, outcome)
        else:
            ticket.tell(outcome)
        now_s = time.perf_counter()
        # those that are answered together share the time since the last ones
        self._admission.took(now_s - max(work.since_s, self._last_s))
        self._last_s = now_s
        self.metrics.worked(listener.seconds, listener.pieces)

    def _refuse(self, ticket: Ticket, error: Exception) -> None:
        if isinstance(error, Cancelled) or ticket.cancelled.is_set():  # its recording may be gone already
            self.metrics.error("cancelled")
            return
        refusal = as_refusal(error)
        if refusal.status >= 500:
            log.error("%s", refusal.kind, exc_info=error)
        ticket.tell(renamed(refusal, ticket.request.clip.path, ticket.request.clip.clip))

    def _known(self, request: AnalyzeRequest) -> Done | None:
        """The result, if it is remembered; the same content may have another name now.

        Waits for the answer to the same request if that is under way; otherwise this one is, until `_finish`.
        """
        key = self._key(request)
        with self._memory:
            while key in self._under_way:
                self._memory.wait()
            drawing = self._drawings.get(key)
            if request.drawn and drawing is not None:
                self._drawings.move_to_end(key)
                analysis = drawing["a"].model_copy(update={"clip": request.clip.clip})
                return Done(analysis, drawing={**drawing, "a": analysis})
            known = None if request.drawn else self._cache.get(key, request.clip.clip)
            if known is None:
                self._under_way.add(key)
            return None if known is None else Done(known)

    def _remembered(self, request: AnalyzeRequest, answer: Answer) -> Done:
        """Remember a result, and of the latest what a page shows of them too."""
        if _recognised(request):
            key = self._key(request)
            with self._memory:
                self._cache.put(key, answer.analysis)
                if answer.drawing is not None:
                    self._drawings[key] = answer.drawing
                    while len(self._drawings) > MOST_DRAWINGS:
                        self._drawings.popitem(last=False)
        return Done(answer.analysis, drawing=answer.drawing)

    def _key(self, request: AnalyzeRequest) -> str:
        assert self.model is not None, "it is loaded"
        return result_key(request.clip, request.settings, request.sha256, self.model.name)


def _recognised(request: AnalyzeRequest) -> bool:
    """A recording without a known hash cannot be recognised."""
    return request.sha256 is not None or request.clip.path is None


def renamed(error: EmotionLlamaError, path: Path | None, name: str) -> RequestError:
    """Give the error as it is told to whoever asked: with the recording's name, never with a path of the server."""
    told = as_refusal(error)
    if path is None:
        return told
    text = str(told).replace(str(path), name).replace(str(path.parent), "")
    return RequestError(text, status=told.status, kind=told.kind, retry_after_s=told.retry_after_s)

"""The service itself, without HTTP: requests in, events and results out; one thread works the model.

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
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from pathlib import Path

from emotion_llama.analyze.report import Drawing
from emotion_llama.errors import EmotionLlamaError, RequestError
from emotion_llama.serve.cache import ResultCache, result_key
from emotion_llama.serve.guard import Guard
from emotion_llama.serve.limits import Limits, check_settings
from emotion_llama.serve.metrics import Metrics
from emotion_llama.serve.model import Model
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
        self._cache.remove_older(self.settings.retention_days * 86_400)

    def _work(self) -> None:
        try:
            model = self._make_model()
            model.warm()
        except BaseException as error:
            self._on_failure(error)
            return
        self.model = model
        while (ticket := self._line.take()) is not None:
            if not ticket.cancelled.is_set():
                self._answer(model, ticket)

    def _answer(self, model: Model, ticket: Ticket) -> None:
        start_s, listener = time.perf_counter(), Listener(ticket, model.streams)
        try:
            ticket.tell(self._done(model, ticket.request, listener))
        except Cancelled:
            self.metrics.error("cancelled")
        except Exception as error:
            if ticket.cancelled.is_set():  # its recording may be gone already
                self.metrics.error("cancelled")
                return
            refusal = as_refusal(error)
            if refusal.status >= 500:
                log.error("%s", refusal.kind, exc_info=error)
            ticket.tell(renamed(refusal, ticket.request.clip.path, ticket.request.clip.clip))
        finally:
            seconds = time.perf_counter() - start_s
            self._admission.took(seconds)
            self.metrics.worked(listener.seconds, listener.pieces)

    def _done(self, model: Model, request: AnalyzeRequest, listener: Listener) -> Done:
        clip, settings = request.clip, request.settings
        if request.faces_only:
            return Done(None, model.faces(clip, listener))
        key = result_key(clip, settings, request.sha256, model.name)
        if request.drawn:
            return self._drawn(model, request, key, listener)
        known = self._cache.get(key, clip.clip) if _recognised(request) else None
        if known is not None:
            self.metrics.from_memory()
            return Done(known)
        analysis = model.examine(clip, settings, listener)
        if _recognised(request):
            self._cache.put(key, analysis)
        return Done(analysis)

    def _drawn(self, model: Model, request: AnalyzeRequest, key: str, listener: Listener) -> Done:
        """The result with what a page shows of it; of the latest, drawings are remembered too."""
        if not _recognised(request):
            drawing = model.draw(request.clip, request.settings, listener)
            return Done(drawing["a"], drawing=drawing)
        if key in self._drawings:
            self.metrics.from_memory()
        else:
            self._drawings[key] = model.draw(request.clip, request.settings, listener)
            self._cache.put(key, self._drawings[key]["a"])
        self._drawings.move_to_end(key)
        while len(self._drawings) > MOST_DRAWINGS:
            self._drawings.popitem(last=False)
        # the same content may have another name now
        analysis = self._drawings[key]["a"].model_copy(update={"clip": request.clip.clip})
        return Done(analysis, drawing={**self._drawings[key], "a": analysis})


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

"""One request in the service: what is asked, what happens to it, and who waits for its end."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from emotion_llama.analyze.report import Drawing
from emotion_llama.analyze.stopwatch import Stopwatch
from emotion_llama.clip import Analysis, Clip
from emotion_llama.serve.model import Faces
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import Window


@dataclass(frozen=True)
class AnalyzeRequest:
    """What to analyse, and how. `clip.path` is a file that `Service.check` let pass, `sha256` its content's hash.

    `faces_only`: only find faces. `background`: let all others go first. `drawn`: with what a page shows of it.
    """

    clip: Clip
    settings: AnalyzeSettings
    sha256: str | None = None
    faces_only: bool = False
    background: bool = False
    drawn: bool = False


@dataclass(frozen=True)
class Waiting:
    """The request waits; so many go first."""

    before: int


@dataclass(frozen=True)
class Stage:
    """Something of the analysis began ("faces", "transcribe", "generate", …)."""

    name: str


@dataclass(frozen=True)
class Text:
    """A piece of what the model writes for a task; the pieces of a task join to its raw text."""

    task: str
    piece: str


@dataclass(frozen=True)
class Finished:
    """A window of the course of time is final (with `settings.timeline`)."""

    window: Window


@dataclass(frozen=True)
class Done:
    """The end: the result, or the faces where only these were asked for; `drawing` where one was asked for."""

    analysis: Analysis | None
    faces: Faces = field(default_factory=Faces)
    drawing: Drawing | None = None


Event = Waiting | Stage | Text | Finished | Done


class Cancelled(Exception):
    """Nobody waits for this answer any more."""


class Ticket:
    """One request under way. Used in the event loop it was made in."""

    def __init__(self, request: AnalyzeRequest) -> None:
        self.request = request
        self.cancelled = threading.Event()
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Event | Exception] = asyncio.Queue()

    async def events(self) -> AsyncIterator[Event]:
        """Give what happens, ending with `Done`. Raises what the analysis raised."""
        while True:
            event = await self._events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Done):
                return

    async def done(self) -> Done:
        """Wait for the end. Raises what the analysis raised."""
        async for event in self.events():
            if isinstance(event, Done):
                return event
        raise AssertionError("events end with Done or an error")

    async def result(self) -> Analysis:
        """Wait for the analysis. Raises what it raised."""
        done = await self.done()
        assert done.analysis is not None, "only faces were asked for"
        return done.analysis

    def cancel(self) -> None:
        """Say that nobody waits any more: it is not begun, or ends at its next step."""
        self.cancelled.set()

    def tell(self, event: Event | Exception) -> None:
        """Add an event, from any thread."""
        try:
            self._loop.call_soon_threadsafe(self._events.put_nowait, event)
        except RuntimeError:  # the loop is gone, and with it whoever waited
            self.cancel()


class Listener(Stopwatch):
    """Tells a ticket what is being done and written, and ends the work of a cancelled one."""

    def __init__(self, ticket: Ticket, listening: bool) -> None:
        super().__init__()
        self.listening = listening
        self.pieces = 0
        self._ticket = ticket

    @contextmanager
    def time(self, name: str) -> Iterator[None]:
        """Tell the stage, and time it."""
        self.check()
        self._ticket.tell(Stage(name))
        with super().time(name):
            yield

    def written(self, task: str, piece: str) -> None:
        """Tell a piece of a text, where texts may be shown while they are written."""
        self.check()
        if self.listening:
            self.pieces += 1
            self._ticket.tell(Text(task, piece))

    def window(self, window: Window) -> None:
        """Tell a finished window."""
        self.check()
        self._ticket.tell(Finished(window))

    def check(self) -> None:
        """Raise `Cancelled` where nobody waits any more."""
        if self._ticket.cancelled.is_set():
            raise Cancelled

"""What every route that asks the model shares: a place, a time limit, the recording received and checked, removed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from starlette.datastructures import UploadFile
from starlette.requests import Request

from emotion_llama.clip import Clip
from emotion_llama.errors import RequestError
from emotion_llama.serve.service import Done, Event, Service, Ticket
from emotion_llama.serve.uploads import Upload, UploadFolder, save_data, save_file

SIGN_OF_LIFE_S = 10.0
"""A stream in which nothing happens for so long gets an empty line: proxies close silent connections."""

T = TypeVar("T")


class ClientGone(Exception):
    """The client closed the connection; nobody is left to answer."""


async def while_wanted(work: Awaitable[T], left: Coroutine[Any, Any, Any], seconds: float) -> T:
    """Wait for something, but no longer than so many seconds, nor when `left` says that nobody waits for it any more.

    Not `asyncio.timeout` around a whole stream: each of its events may be asked for in another task. Raises
    `TimeoutError`, `ClientGone`.
    """
    working, leaving = asyncio.ensure_future(work), asyncio.create_task(left)
    try:
        done, _ = await asyncio.wait({working, leaving}, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
        if working in done:
            return working.result()
        raise ClientGone if leaving in done else TimeoutError
    finally:
        for task in (working, leaving):
            task.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


@dataclass
class Asking:
    """One request under way: the service, and the files that are removed when it is over."""

    service: Service
    folder: UploadFolder
    request: Request
    deadline_s: float
    files: list[Path] = field(default_factory=list)

    async def save_file(self, file: UploadFile) -> Upload:
        """Keep an uploaded file until the request is over. Raises `RequestError` for a bad name."""
        return await save_file(file, self._path())

    async def save_data(self, uri: str, name: str | None = None) -> Upload:
        """Keep what a data URI holds until the request is over. Raises `RequestError` for anything that is none."""
        return await save_data(uri, name, self._path())

    async def checked(self, upload: Upload) -> None:
        """Check a recording in the guard's child, within the time limit."""
        await self.in_time(self.service.check(upload.path, upload.name, upload.sha256))

    async def in_time(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for something, but no longer than the request may take, nor when its client has left.

        Raises `TimeoutError`, `ClientGone`.
        """
        return await while_wanted(work, self._left(), self.remaining_s())

    async def events(self, ticket: Ticket) -> AsyncIterator[Event | None]:
        """Give what happens to a ticket; `None` now and then while nothing does, for whoever would hang up otherwise.

        Raises `TimeoutError`, `ClientGone`, and what the analysis raised.
        """
        events = ticket.events()
        coming, left = asyncio.ensure_future(anext(events)), asyncio.create_task(self._left())
        try:
            while True:
                wait_s = min(SIGN_OF_LIFE_S, self.remaining_s())
                done, _ = await asyncio.wait({coming, left}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
                if coming in done:
                    event = coming.result()
                    yield event
                    if isinstance(event, Done):
                        return
                    coming = asyncio.ensure_future(anext(events))
                elif left in done:
                    raise ClientGone
                elif self.remaining_s() <= 0:
                    raise TimeoutError
                else:
                    yield None
        finally:
            for task in (coming, left):
                task.cancel()
            await asyncio.gather(coming, left, return_exceptions=True)

    def remaining_s(self) -> float:
        """Seconds that this request has left."""
        return max(0.0, self.deadline_s - asyncio.get_running_loop().time())

    def _path(self) -> Path:
        """A path that is removed at the end, noted before anything is there: writing may be broken off."""
        self.files.append(self.folder.new_path())
        return self.files[-1]

    async def _left(self) -> None:
        while (await self.request.receive())["type"] != "http.disconnect":
            pass


@asynccontextmanager
async def asking(request: Request) -> AsyncIterator[Asking]:
    """Take a place in the service for one request. Raises `RequestError` where there is none."""
    service: Service = request.app.state.service
    with service.admitted():
        deadline_s = asyncio.get_running_loop().time() + service.settings.timeout_s
        asked = Asking(service, request.app.state.uploads, request, deadline_s)
        try:
            yield asked
        finally:
            await request.close()
            for path in asked.files:
                path.unlink(missing_ok=True)


async def received(asked: Asking, reading: Coroutine[Any, Any, T]) -> T:
    """Read a body within the time limit; a client that sends too slowly is turned away (408)."""
    try:
        async with asyncio.timeout(asked.remaining_s()):
            return await reading
    except TimeoutError:
        raise RequestError("the request did not arrive in time", status=408, kind="slow_request") from None


def clip_of(name: str, path: Path | None, transcript: str | None, span_s: tuple[float | None, float | None]) -> Clip:
    """Give the clip to analyse. Raises `RequestError` where there is neither a recording nor words."""
    if path is None and transcript is None:
        raise RequestError(
            "nothing to analyse: send a recording (multipart field `clip`, or `clip.data` as a data URI) or a "
            "`transcript`",
            status=422,
            kind="wrong_request",
        )
    return Clip(clip=name, path=path, transcript=transcript, start_s=span_s[0], end_s=span_s[1])

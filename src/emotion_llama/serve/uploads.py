"""Recordings on their way in: bounded while they stream, in a private folder, gone when the request is over."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
import shutil
import tempfile
import uuid
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, UploadFile
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from emotion_llama.errors import RequestError
from emotion_llama.serve.limits import clean_name
from emotion_llama.serve.refusals import error_response
from emotion_llama.serve.settings import MEGABYTE, ServeSettings

PIECE_BYTES = 1 << 20
_PREFIX = "emotion-llama-serve-"
DATA_URI = re.compile(r"data:(?P<type>[\w.+-]*/?[\w.+-]*)(?:;[\w=.+-]+)*;base64,", re.ASCII)


@dataclass(frozen=True)
class Upload:
    """A recording that was received: where it lies, what it is called, the hash of its content."""

    path: Path
    name: str
    sha256: str


class UploadFolder:
    """A folder that only this user can read (0700), removed with everything in it when the service ends.

    Where a service was killed its folder stays; the next one that starts removes it.
    """

    def __init__(self) -> None:
        for old in Path(tempfile.gettempdir()).glob(f"{_PREFIX}*"):
            _remove_unless_held(old)
        self.root = Path(tempfile.mkdtemp(prefix=_PREFIX))
        self._held = FileLock(self.root.with_suffix(".lock"), thread_local=False)
        self._held.acquire()

    def new_path(self) -> Path:
        """Give a path in the folder at which nothing is yet."""
        return self.root / uuid.uuid4().hex

    def remove(self) -> None:
        """Remove the folder."""
        shutil.rmtree(self.root, ignore_errors=True)
        self._held.release()
        Path(self._held.lock_file).unlink(missing_ok=True)


async def save_file(file: UploadFile, path: Path) -> Upload:
    """Copy an uploaded file. Raises `RequestError` for a bad name."""
    name = clean_name(file.filename)
    return Upload(path, name, await run_in_threadpool(_copy, file, path))


async def save_data(uri: str, name: str | None, path: Path) -> Upload:
    """Write what a data URI holds. Raises `RequestError` for anything that is none."""
    return Upload(path, clean_name(name), await run_in_threadpool(_decode, uri, path))


def _copy(file: UploadFile, path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("xb") as out:
        while piece := file.file.read(PIECE_BYTES):
            digest.update(piece)
            out.write(piece)
    return digest.hexdigest()


def _decode(uri: str, path: Path) -> str:
    match = DATA_URI.match(uri)
    if match is None:
        raise RequestError(
            "expected the recording itself as a data URI (data:video/mp4;base64,…); paths and addresses are not "
            "opened by the service",
            status=422,
            kind="wrong_recording",
        )
    try:
        content = base64.b64decode(uri[match.end() :], validate=True)
    except (binascii.Error, ValueError) as error:
        raise RequestError(f"the data URI is not base64: {error}", status=422, kind="wrong_recording") from None
    path.write_bytes(content)
    return hashlib.sha256(content).hexdigest()


def _remove_unless_held(folder: Path) -> None:
    """Remove a folder whose service is gone (the system lets go of its lock then)."""
    lock = FileLock(folder.with_suffix(".lock"))
    if not folder.is_dir():
        return
    try:
        with lock.acquire(timeout=0):
            shutil.rmtree(folder, ignore_errors=True)
        Path(lock.lock_file).unlink(missing_ok=True)
    except (Timeout, OSError):  # in use, or another user's
        return


class BodyLimit:
    """Ends a request whose body is longer than its kind may be (413), by its header or while it streams."""

    def __init__(self, app: ASGIApp, settings: ServeSettings) -> None:
        self._app, self._settings = app, settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, counting what it brings."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers, most = Headers(scope=scope), self._most_bytes(scope)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > most:
            await error_response(_too_long(most), scope["path"])(scope, receive, send)
            return
        received = 0

        async def counted() -> Message:
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > most:
                raise _too_long(most)
            return message

        await self._app(scope, counted, send)

    def _most_bytes(self, scope: Scope) -> int:
        multipart = Headers(scope=scope).get("content-type", "").startswith("multipart/")
        return (self._settings.max_upload_mb if multipart else self._settings.max_json_mb) * MEGABYTE


def _too_long(most: int) -> RequestError:
    return RequestError(
        f"the request is too long: at most {most // MEGABYTE} MB are accepted; send a shorter recording, or send it "
        "as multipart/form-data where it was JSON",
        status=413,
        kind="too_large",
    )

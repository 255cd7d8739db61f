"""Who may ask: keys from a file, compared in constant time; without keys, loopback names only.

The key file has one key a line, with an optional name and an optional day after which it no longer counts:

    # name        key                               until
    ann           2f6c…                             2027-01-31
    page          91ab…
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

from emotion_llama.errors import RequestError, UsageError
from emotion_llama.serve.refusals import error_response
from emotion_llama.serve.settings import LOOPBACK

SHORTEST_KEY = 16
OPEN_PATHS = ("/healthz", "/readyz")
"""What anybody may ask: whether the service lives. It says nothing else."""


@dataclass(frozen=True)
class Key:
    """One key: whose it is, the sha256 of its text, and the last day on which it counts (`None`: no end)."""

    name: str
    sha256: bytes
    until: date | None = None


class Keys:
    """The keys of a file. Only hashes are held."""

    def __init__(self, keys: tuple[Key, ...]) -> None:
        self._keys = keys

    @classmethod
    def read(cls, path: Path) -> Keys:
        """Read a key file. Raises `UsageError` naming the line, never the key."""
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"key file {path}: cannot be read ({type(error).__name__}); {_HOW}") from None
        found = tuple(_keys(path, lines))
        if not found:
            raise UsageError(f"key file {path}: expected at least one key, found none; {_HOW}")
        return cls(found)

    def owner(self, header: str | None) -> str | None:
        """Give the name behind an `Authorization` header; `None` where it holds no key that counts.

        `Bearer <key>`, or `Basic` with the key as the password, which is what a browser sends. Every key is compared,
        whichever fits, so that the time taken says nothing.
        """
        digest, found = hashlib.sha256(_given(header or "").encode()).digest(), None
        for key in self._keys:
            fits = hmac.compare_digest(digest, key.sha256)
            valid = key.until is None or datetime.now(UTC).date() <= key.until
            if fits and valid:
                found = key.name
        return found


def _given(header: str) -> str:
    """The key inside a header; "" (which is nobody's) for a header that has none."""
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return value.strip()
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(value, validate=True).decode("utf-8").partition(":")[2]
    except ValueError:
        return ""


def _keys(path: Path, lines: list[str]) -> Iterator[Key]:
    for number, line in enumerate(lines, 1):
        words = line.split("#")[0].split()
        if not words:
            continue
        until = _day(words.pop(), path, number) if len(words) > 1 and _is_day(words[-1]) else None
        if len(words) > 2 or len(words[-1]) < SHORTEST_KEY or not words[-1].isascii():
            raise UsageError(
                f"key file {path}, line {number}: expected `[name] key [YYYY-MM-DD]` with a key of at least "
                f"{SHORTEST_KEY} characters; {_HOW}"
            )
        name = words[0] if len(words) == 2 else f"line-{number}"
        yield Key(name, hashlib.sha256(words[-1].encode()).digest(), until)


def _is_day(word: str) -> bool:
    return len(word) == 10 and word[4] == word[7] == "-"


def _day(word: str, path: Path, number: int) -> date:
    try:
        return date.fromisoformat(word)
    except ValueError as error:
        raise UsageError(f"key file {path}, line {number}: {word} is no day ({error})") from error


class Access:
    """Turns away requests without a key (401), those of other web pages (403), and foreign names of loopback (421).

    A page in the user's browser could send requests to a service on loopback, or with the key that the browser
    remembers: another origin is refused, and, without keys, a name that was made to point here. The name behind a key
    is put into `scope["owner"]`.
    """

    def __init__(self, app: ASGIApp, keys: Keys | None) -> None:
        self._app, self._keys = app, keys

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or answer it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in OPEN_PATHS:
            await self._app(scope, receive, send)
            return
        headers, owner = Headers(scope=scope), ""
        refused = _other_page(headers)
        if self._keys is None:
            refused = _other_name(headers) or refused
        else:
            owner = self._keys.owner(headers.get("authorization")) or ""
            refused = refused if owner else _no_key()
        if refused is not None:
            await error_response(refused, scope["path"])(scope, receive, send)
            return
        scope["owner"] = owner
        await self._app(scope, receive, send)


def _no_key() -> RequestError:
    return RequestError(
        "no valid key: expected the header `Authorization: Bearer <key>` with a key of the service's key file that "
        "has not run out",
        status=401,
        kind="no_key",
    )


def _other_name(headers: Headers) -> RequestError | None:
    if _part(f"//{headers.get('host', '')}", "hostname") in LOOPBACK:
        return None
    return RequestError("this name is not one of the service's: ask 127.0.0.1", status=421, kind="wrong_host")


def _other_page(headers: Headers) -> RequestError | None:
    origin = headers.get("origin")
    if origin is None or _part(origin, "netloc") == headers.get("host"):
        return None
    return RequestError("requests from other pages are not answered", status=403, kind="other_page")


def _part(address: str, name: str) -> str:
    try:
        return str(getattr(urlsplit(address), name) or "")
    except ValueError:  # a bracket that is never closed
        return ""


_HOW = "make a key with: python -c 'import secrets; print(secrets.token_hex(24))'"

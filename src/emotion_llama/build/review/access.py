"""Who may ask the server for what: host names, the token, sessions, and requests that other pages forge."""

from __future__ import annotations

import secrets
import time
from urllib.parse import urlsplit

from starlette.datastructures import Headers

from emotion_llama.build.review.records import LOOPBACK, ReviewSettings
from emotion_llama.errors import UsageError

SHORTEST_TOKEN = 16
SESSION_S = 12 * 3600.0
MOST_FAILURES = 10
"""Wrong passwords a minute, of all names together; then signing in rests."""

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; media-src 'self'; "
        "connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Sent with every answer."""


def read_token(settings: ReviewSettings) -> str | None:
    """Read the token, `None` where none is asked for. Raises `UsageError` for a file without a usable one."""
    path = settings.token_file
    if path is None:
        return None
    try:
        token = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"token file {path}: {error}; {_HOW}") from error
    if len(token) < SHORTEST_TOKEN or not token.isascii() or not token.isalnum():
        raise UsageError(
            f"token file {path}: expected at least {SHORTEST_TOKEN} letters and digits, found {len(token)} characters; "
            f"{_HOW}"
        )
    return token


def token_fits(given: str | None, token: str | None) -> bool:
    """Whether a request may pass: no token is asked for, or this is it."""
    return token is None or (given is not None and secrets.compare_digest(given.encode(), token.encode()))


def host_is_ours(headers: Headers, settings: ReviewSettings) -> bool:
    """Whether the request names this server.

    On loopback only loopback names do: another page's name that was made to point here must not reach the clips.
    """
    if settings.host not in LOOPBACK:
        return True
    return (urlsplit(f"//{headers.get('host', '')}").hostname or "") in LOOPBACK


def same_origin(headers: Headers) -> bool:
    """Whether a request was made by this page, or by a program that is no browser."""
    if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
        return False
    origin = headers.get("origin")
    return origin is None or urlsplit(origin).netloc == headers.get("host")


class Sessions:
    """Who is signed in, until the server ends or for 12 hours."""

    def __init__(self) -> None:
        self._known: dict[str, tuple[str, float]] = {}
        self._failures: list[float] = []

    def start(self, annotator: str) -> str:
        """Give the secret of a new session."""
        key = secrets.token_urlsafe(32)
        self._known[key] = (annotator, time.monotonic() + SESSION_S)
        return key

    def annotator(self, key: str | None) -> str | None:
        """Give who has this session, `None` if nobody does any more."""
        name, until = self._known.get(key or "", (None, 0.0))
        return name if until > time.monotonic() else None

    def end(self, key: str | None) -> None:
        """Forget a session."""
        self._known.pop(key or "", None)

    def failed(self) -> None:
        """Note a wrong password."""
        self._failures.append(time.monotonic())

    def rests(self) -> bool:
        """Whether there were too many wrong passwords within the last minute."""
        self._failures = [when for when in self._failures if when > time.monotonic() - 60.0]
        return len(self._failures) >= MOST_FAILURES


_HOW = "make one with: python -c 'import secrets; print(secrets.token_hex(16))'"

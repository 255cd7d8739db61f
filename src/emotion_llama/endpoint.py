"""A language model behind any OpenAI-compatible endpoint: one question, or many at a time.

Spoken: `POST <url>/chat/completions` and `GET <url>/models`. What may pass (429, 5xx, time-outs, broken connections,
broken answers) is tried again after growing pauses; what will not (400, 401, 404, …) fails at once. The key is read
from the environment when a request is sent, and stands in no settings, record or message.
"""

from __future__ import annotations

import os
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from pydantic import ConfigDict, Field, ValidationError, field_validator

from emotion_llama.clip import Record
from emotion_llama.errors import EndpointError, UsageError
from emotion_llama.settings import Settings

if TYPE_CHECKING:
    import requests

Message = Mapping[str, Any]
"""`{"role": "user", "content": text or a list of parts}`; picture and sound parts are passed on as they are."""
T = TypeVar("T")
R = TypeVar("R")

EXCERPT = 200  # characters of an error's body that are shown
_VERSION_SEGMENT = re.compile(r"/v\d+\w*(/|$)")
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_HINTS = {
    400: "the server refuses this request; check the model's name and what the server accepts",
    401: "check the key",
    403: "check the key and what it may use",
    404: "check the URL (the base of the API, often ending in /v1) and the model's name",
    413: "the request is too long for this server",
    422: "the server refuses this request; check the model's name and what the server accepts",
}


class EndpointSettings(Settings):
    """Where a model answers, and how it is asked.

    `url`: base of the API, with or without /v1. `key_env`: name of the environment variable with the key, "" = none.
    `timeout_s`: longest silence of the server. Pauses between attempts start at `first_pause_s` and double; a server
    that asks for more than `longest_pause_s` ends the attempts. `seed`, `temperature`, `max_tokens`: `None` = not
    sent. `extra`: more fields of the request body, for what one server needs.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # someone may have put a key where none belongs

    url: str
    model: str = Field(min_length=1)
    key_env: str = ""
    timeout_s: float = Field(default=120.0, gt=0)
    max_attempts: int = Field(default=5, ge=1, le=20)
    first_pause_s: float = Field(default=1.0, ge=0)
    longest_pause_s: float = Field(default=120.0, ge=0)
    seed: int | None = 0
    temperature: float | None = Field(default=0.0, ge=0)
    max_tokens: int | None = Field(default=1024, ge=1)
    extra: dict[str, Any] = {}

    @field_validator("url")
    @classmethod
    def _plain_url(cls, url: str) -> str:
        parts = urlsplit(url.strip())
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("expected a URL such as http://localhost:8000/v1")
        if parts.username or parts.password or parts.query or parts.fragment:
            raise ValueError("expected a URL without user, password or query; give a key by key_env")
        path = parts.path.rstrip("/").removesuffix("/chat/completions")
        return f"{parts.scheme}://{parts.netloc}{path}" + ("" if _VERSION_SEGMENT.search(path) else "/v1")

    @field_validator("key_env")
    @classmethod
    def _variable_name(cls, name: str) -> str:
        if name and not _VARIABLE.fullmatch(name):
            raise ValueError("expected the name of an environment variable, not the key itself")
        return name

    @classmethod
    def of(cls, **values: Any) -> Self:
        """Make settings from options. Raises `UsageError` naming the option that does not fit."""
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors(include_input=False)[0]
            raise UsageError(f"endpoint {'.'.join(map(str, first['loc']))}: {first['msg']}") from None


class Reply(Record):
    """What came back. `model` as the server names it; token counts and `finish` are `None` where it gives none.

    `finish` "length" = cut off at `max_tokens`. `took_s` counts all attempts and pauses.
    """

    text: str
    model: str
    prompt_tokens: int | None
    completion_tokens: int | None
    finish: str | None
    attempts: int
    took_s: float


@dataclass(frozen=True)
class _Failure:
    """Why one attempt gave nothing; `passes`: another may; `wait_s`: how long the server asks to wait."""

    message: str
    status: int | None
    passes: bool
    wait_s: float | None = None


class Endpoint:
    """A client; it may be used by several threads at once.

    `on_failure` is told of every request that came to nothing, in the thread that sent it: the message, and how long it
    took in seconds.
    """

    def __init__(
        self, settings: EndpointSettings, on_failure: Callable[[str, float], None] = lambda message, took_s: None
    ) -> None:
        self.settings = settings
        self._on_failure = on_failure
        self._jitter = random.Random(settings.seed or 0)
        self._takes_schema = True

    def complete(
        self, messages: Sequence[Message], *, json_schema: Mapping[str, Any] | None = None, seed: int | None = None
    ) -> Reply:
        """Ask one question. `json_schema`: the form of the answer; a server that refuses it is asked without it.

        `seed` replaces that of the settings. Raises `EndpointError` with URL and status when no answer came, and
        `UsageError` for a key that is not there or without the library `requests`.
        """
        body = self._body(messages, seed)
        if json_schema is None or not self._takes_schema:
            return self._complete(body)
        form = {"name": "answer", "schema": dict(json_schema), "strict": True}
        try:
            return self._complete({**body, "response_format": {"type": "json_schema", "json_schema": form}})
        except EndpointError as error:
            if error.status not in (400, 422) or not re.search(r"response_format|json_schema", str(error)):
                raise
            self._takes_schema = False
            return self._complete(body)

    def complete_many(
        self, questions: Sequence[Sequence[Message]], *, workers: int = 4, json_schema: Mapping[str, Any] | None = None
    ) -> list[Reply]:
        """Ask many, `workers` at a time, order kept. The first failure ends what has not begun, and is raised."""
        return in_order(lambda messages: self.complete(messages, json_schema=json_schema), questions, workers)

    def models(self) -> tuple[str, ...]:
        """Give the names of the models that the server offers. Raises `EndpointError`."""
        answer, _ = self._until_answered("/models", None)
        rows = answer.get("data")
        if not isinstance(rows, list) or not all(
            isinstance(row, dict) and isinstance(row.get("id"), str) for row in rows
        ):
            raise EndpointError(
                f"{self.settings.url}/models: expected a list of models, found {str(answer)[:EXCERPT]}", 200
            )
        return tuple(row["id"] for row in rows)

    def _body(self, messages: Sequence[Message], seed: int | None) -> dict[str, Any]:
        own = self.settings
        sent = {
            "temperature": own.temperature,
            "max_tokens": own.max_tokens,
            "seed": own.seed if seed is None else seed,
        }
        known = {name: value for name, value in sent.items() if value is not None}
        return {"model": own.model, "messages": [dict(message) for message in messages], **known, **own.extra}

    def _complete(self, body: Mapping[str, Any]) -> Reply:
        start_s = time.monotonic()
        answer, attempts = self._until_answered("/chat/completions", body)
        choice = answer["choices"][0]
        usage = answer.get("usage") if isinstance(answer.get("usage"), dict) else {}
        return Reply(
            text=_encodable(choice["message"]["content"]),
            model=_encodable(str(answer.get("model") or self.settings.model)),
            prompt_tokens=_count(usage, "prompt_tokens"),
            completion_tokens=_count(usage, "completion_tokens"),
            finish=choice.get("finish_reason") if isinstance(choice.get("finish_reason"), str) else None,
            attempts=attempts,
            took_s=time.monotonic() - start_s,
        )

    def _until_answered(self, path: str, body: Mapping[str, Any] | None) -> tuple[dict[str, Any], int]:
        """Give the server's JSON and the number of attempts it took."""
        attempt, start_s = 1, time.monotonic()
        while isinstance(outcome := self._attempt(self.settings.url + path, body), _Failure):
            self._on_failure(outcome.message, time.monotonic() - start_s)
            if not outcome.passes or attempt == self.settings.max_attempts:
                raise EndpointError(f"{outcome.message} (attempts: {attempt})", outcome.status)
            self._pause(attempt, outcome)
            attempt, start_s = attempt + 1, time.monotonic()
        return outcome, attempt

    def _attempt(self, url: str, body: Mapping[str, Any] | None) -> dict[str, Any] | _Failure:
        requests = _requests()
        key = self._key()
        options: dict[str, Any] = {"timeout": self.settings.timeout_s, "allow_redirects": False, "auth": _Bearer(key)}
        try:
            # one connection a request: sessions are not made for threads
            response = requests.get(url, **options) if body is None else requests.post(url, json=body, **options)
        except requests.RequestException as error:
            passing = (requests.Timeout, requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
            passes = isinstance(error, passing) and not isinstance(error, requests.exceptions.SSLError)
            text = _hidden(str(error), key)[:EXCERPT]
            return _Failure(f"{url}: no answer ({type(error).__name__}: {text}); is the server running?", None, passes)
        return self._read(url, response, key, chat=body is not None)

    def _read(self, url: str, response: requests.Response, key: str, chat: bool) -> dict[str, Any] | _Failure:
        status = response.status_code
        excerpt = " ".join(_hidden(response.content[:4000].decode("utf-8", errors="replace"), key).split())[:EXCERPT]
        if status != 200:
            hint = _HINTS.get(
                status, "try later" if _passes(status) else "is this the base of an OpenAI-compatible API?"
            )
            if status in (401, 403):
                hint += f" ({self._key_place()})"
            wait_s = _retry_after_s(response.headers.get("Retry-After"))
            return _Failure(f"{url}: status {status}: {excerpt!r}; {hint}", status, _passes(status), wait_s)
        try:
            answer = response.json()
        except ValueError:
            # status None: whatever answers here, it is not the API
            return _Failure(f"{url}: expected JSON, found {excerpt!r}", None, passes=True)
        if not isinstance(answer, dict) or (chat and not _has_text(answer)):
            return _Failure(f"{url}: expected choices with a message's text, found {excerpt!r}", status, passes=True)
        return answer

    def _pause(self, attempt: int, failure: _Failure) -> None:
        own = self.settings
        if failure.wait_s is not None and failure.wait_s > own.longest_pause_s:
            raise EndpointError(
                f"{failure.message}; it asks to wait {failure.wait_s:.0f} s, longer than longest_pause_s "
                f"({own.longest_pause_s:g} s); run again then",
                failure.status,
            )
        grown_s = min(own.first_pause_s * 2 ** (attempt - 1), own.longest_pause_s)
        # never shorter than the server asks; the jitter keeps many workers from coming back at one moment
        time.sleep(max(grown_s * self._jitter.uniform(0.5, 1.0), failure.wait_s or 0.0))

    def _key(self) -> str:
        if not self.settings.key_env:
            return ""
        key = os.environ.get(self.settings.key_env, "").strip()
        if not key or not key.isascii() or not key.isprintable():
            raise UsageError(
                f"{self._key_place()}: expected the key of {self.settings.url}, found none that can be sent"
            )
        return key

    def _key_place(self) -> str:
        name = self.settings.key_env
        if not name:
            return "no key was sent: give key_env"
        # a name in small letters may be a key that was put in the wrong place
        return f"environment variable {name}" if name.isupper() else "environment variable given as key_env"


def in_order(function: Callable[[T], R], things: Sequence[T], workers: int) -> list[R]:
    """Apply `function` in `workers` threads; results in the order of `things`.

    The first error (in that order) stops what has not begun, and is raised. Raises `UsageError` for no worker.
    """
    if workers < 1:
        raise UsageError(f"expected at least one worker, found {workers}")
    with ThreadPoolExecutor(max_workers=workers) as pool:
        futures = [pool.submit(function, thing) for thing in things]
        try:
            return [future.result() for future in futures]
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


class _Bearer:
    """Puts the key into the header; being there, it also keeps `requests` from sending a password of ~/.netrc."""

    def __init__(self, key: str) -> None:
        self._key = key

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        if self._key:
            request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _passes(status: int) -> bool:
    return status in (408, 425, 429) or status >= 500


def _has_text(answer: Mapping[str, Any]) -> bool:
    choices = answer.get("choices")
    choice = choices[0] if isinstance(choices, list) and choices else None
    message = choice.get("message") if isinstance(choice, dict) else None
    return isinstance(message, dict) and isinstance(message.get("content"), str)


def _count(usage: Any, name: str) -> int | None:
    value = usage.get(name)
    return value if isinstance(value, int) else None


def _retry_after_s(header: str | None) -> float | None:
    """Read seconds or a date; `None` for neither."""
    if header is None:
        return None
    if re.fullmatch(r"\d+(\.\d+)?", header.strip()):
        return float(header)
    try:
        when = parsedate_to_datetime(header)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max((when - datetime.now(UTC)).total_seconds(), 0.0)


def _encodable(text: str) -> str:
    """Escape half characters, which JSON can carry and UTF-8 cannot."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def _hidden(text: str, key: str) -> str:
    return text.replace(key, "***") if key else text


def _requests() -> Any:
    try:
        import requests
    except ImportError as error:
        raise UsageError(f"asking an endpoint needs requests ({error}); install emotion-llama[evaluate]") from error
    return requests

"""A judge's answers on disk: one readable JSON file a question, written once, never asked again.

The file's name is the sha256 of model, prompt version, messages, temperature, seed and what else shapes the answer.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotion_llama.analyze.writers import write_text
from emotion_llama.clip import Record
from emotion_llama.endpoint import Reply
from emotion_llama.errors import EndpointError, OutputError


class JudgeRecord(Record):
    """One question and its answer. `request` is what the key is the hash of; `served_model` as the server named it."""

    key: str
    prompt: str
    request: dict[str, Any]
    served_model: str
    raw: str
    raw_sha256: str
    finish: str | None
    time: str


class JudgeCache:
    """The answers in one folder. Several threads may use it; a question that two of them ask is asked once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._lock = threading.Lock()
        self._locks: dict[str, threading.Lock] = {}

    def get_or_ask(self, prompt: str, request: Mapping[str, Any], ask: Callable[[], Reply]) -> JudgeRecord:
        """Give the stored answer to a request, or ask and store.

        Raises `EndpointError` for a stored answer that was damaged, `OutputError` if the folder cannot be written.
        """
        key = request_key(request)
        with self._lock:
            lock = self._locks.setdefault(key, threading.Lock())
        with lock:
            return self._read(key) or self._write(_record(key, prompt, request, ask()))

    def _path(self, key: str) -> Path:
        return self.folder / f"{key}.json"

    def _read(self, key: str) -> JudgeRecord | None:
        path = self._path(key)
        if not path.exists():
            return None
        try:
            record = JudgeRecord.model_validate_json(path.read_bytes())
        except (OSError, ValidationError) as error:
            what = error.errors()[0]["msg"] if isinstance(error, ValidationError) else error.strerror
            raise EndpointError(f"{path}: not a stored answer of a judge ({what}); delete it to ask again") from error
        if record.key != key or request_key(record.request) != key or _sha256(record.raw) != record.raw_sha256:
            raise EndpointError(f"{path}: the stored answer was changed (hashes differ); delete it to ask again")
        return record

    def _write(self, record: JudgeRecord) -> JudgeRecord:
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise OutputError(f"{self.folder}: cannot make the folder of judge answers ({error.strerror})") from error
        write_text(json.dumps(record.model_dump(), ensure_ascii=False, indent=2) + "\n", self._path(record.key))
        return record


def request_key(request: Mapping[str, Any]) -> str:
    """Give the sha256 of a request as JSON with sorted keys."""
    return _sha256(json.dumps(request, sort_keys=True, separators=(",", ":")))


def _record(key: str, prompt: str, request: Mapping[str, Any], reply: Reply) -> JudgeRecord:
    return JudgeRecord(
        key=key,
        prompt=prompt,
        request=dict(request),
        served_model=reply.model,
        raw=reply.text,
        raw_sha256=_sha256(reply.text),
        finish=reply.finish,
        time=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", errors="surrogatepass")).hexdigest()

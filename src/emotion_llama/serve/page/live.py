"""What the camera sees, a picture at a time: each is analysed as a still picture, and removed."""

from __future__ import annotations

import asyncio
import logging
import time
import uuid
from pathlib import Path

from emotion_llama.clip import Clip
from emotion_llama.errors import RequestError
from emotion_llama.labels import parse_label_set
from emotion_llama.serve.asking import ClientGone
from emotion_llama.serve.bodies import AnalyzeBody, checked_body
from emotion_llama.serve.conversation import ask
from emotion_llama.serve.page.shown import answered_note_html, live_html, live_note_html
from emotion_llama.serve.page.words import Words
from emotion_llama.serve.refusals import as_refusal
from emotion_llama.serve.service import Done, Service
from emotion_llama.serve.uploads import save_data
from emotion_llama.settings import AnalyzeSettings

EVERY_S = 0.5
"""How often the browser takes a picture."""

LONGEST_S = 300
"""A camera that nobody stops is let go after so long."""

log = logging.getLogger(__name__)


class Live:
    """Pictures of cameras → what is shown of each. Of a session at most one is under way; others are dropped.

    `folder`: where a picture lies while it is looked at. Used in one event loop.
    """

    def __init__(self, service: Service, words: Words, folder: Path) -> None:
        self.service, self.words, self.folder = service, words, folder
        self._under_way: set[str] = set()

    async def picture(self, session: str, uri: str, labels: str, gone: asyncio.Event) -> tuple[str | None, str | None]:
        """Give a note and the answer as HTML, `None` each where what is shown shall stay.

        `uri` is the picture as a data URI, `labels` a label set or words with commas, `gone` is set when the page was
        closed.
        """
        if session in self._under_way:
            return None, None
        self._under_way.add(session)
        try:
            return await self._answer(uri, labels, gone)
        except ClientGone:
            return None, None
        except Exception as error:
            return self._refused(error), None
        finally:
            self._under_way.discard(session)

    async def _answer(self, uri: str, labels: str, gone: asyncio.Event) -> tuple[str, str]:
        received_s = time.perf_counter()
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{uuid.uuid4().hex}.jpg"
        try:
            await save_data(uri, None, path)
            clip = Clip(clip="camera", path=path)
            async for event in ask(
                self.service, clip, _settings(labels, self.words["language"]), drawn=True, fleeting=True, gone=gone
            ):
                if isinstance(event, Done):
                    assert event.drawing is not None, "it was asked for"
                    took_ms = 1000 * (time.perf_counter() - received_s)
                    return answered_note_html(event.drawing["a"], took_ms, self.words), live_html(
                        event.drawing, self.words
                    )
        finally:
            path.unlink(missing_ok=True)
        raise AssertionError("events end with Done or an error")

    def _refused(self, error: Exception) -> str:
        refusal: RequestError = as_refusal(error)
        self.service.metrics.error(refusal.kind)
        if refusal.kind == "internal_error":
            log.error("the page, live", exc_info=error)
        if refusal.status == 429:
            return live_note_html(self.words["live_skipped"], trouble=True)
        return live_note_html(f"{self.words['failed']}. {refusal}", trouble=True)


def _settings(labels: str, language: str) -> AnalyzeSettings:
    """The settings. Raises `RequestError`, `UsageError` for labels that are none."""
    asked = {"labels": list(parse_label_set(labels)), "tasks": ["emotion"], "without": ["audio", "text"],
             "transcribe": False, "language": language}  # fmt: skip
    return checked_body(asked, AnalyzeBody).settings()

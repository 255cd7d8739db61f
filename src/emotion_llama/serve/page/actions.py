"""What the page's buttons do: ask the service in this process, and give what is to be shown."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from emotion_llama.analyze.report import Drawing
from emotion_llama.clip import Clip
from emotion_llama.errors import RequestError
from emotion_llama.labels import parse_label_set
from emotion_llama.serve.asking import ClientGone
from emotion_llama.serve.bodies import AnalyzeBody, checked_body
from emotion_llama.serve.conversation import Conversation, ask
from emotion_llama.serve.limits import clean_name
from emotion_llama.serve.page.shown import (
    compared_html,
    details_html,
    faces_html,
    player_html,
    progress_html,
    refusal_html,
    result_html,
)
from emotion_llama.serve.page.words import Words
from emotion_llama.serve.refusals import as_refusal
from emotion_llama.serve.service import Done, Event, Finished, Service, Text
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import Window

log = logging.getLogger(__name__)

OWN = "own"
"""The choice of labels that means: those typed beside it."""


@dataclass(frozen=True)
class Choice:
    """What was chosen on the page: a label set or `OWN` and words, tasks, inputs to leave out, whom it is about."""

    labels: str
    own_labels: str | None
    tasks: Sequence[str] = ("emotion",)
    without: Sequence[str] = ()
    timeline: bool = False
    person: str = "main"

    @property
    def label_words(self) -> str:
        """The label set as the command line takes it."""
        return (self.own_labels or "") if self.labels == OWN else self.labels

    def settings(self, language: str = "en") -> AnalyzeSettings:
        """The settings; `language`: of the texts. Raises `RequestError`, `UsageError` for what does not go together."""
        asked = {"labels": list(parse_label_set(self.label_words)), "tasks": list(self.tasks) or ["emotion"],
                 "without": list(self.without), "timeline": self.timeline, "person": self.person,
                 "language": language}  # fmt: skip
        return checked_body(asked, AnalyzeBody).settings()


@dataclass(frozen=True)
class Given:
    """What is to be analysed: a recording (`transcript`: words that were corrected), else words alone.

    `gone` is set when the page was closed.
    """

    path: str | None = None
    words: str | None = None
    transcript: str | None = None
    gone: asyncio.Event | None = None

    def clip(self) -> Clip | None:
        """The clip; `None` where nothing was given.

        Raises `RequestError` for a file name that is none, or a recording that was removed because its time was over.
        """
        if self.path is not None:
            if not Path(self.path).is_file():
                raise RequestError(
                    "the recording is not kept any longer; give it again", status=422, kind="wrong_recording"
                )
            name = clean_name(Path(self.path).name)
            return Clip(clip=name, path=Path(self.path), transcript=self.transcript)
        said = (self.words or "").strip()
        return Clip(clip="text", transcript=said) if said else None


class Actions:
    """The answers to the page's buttons, in one language."""

    def __init__(self, service: Service, words: Words) -> None:
        self.service, self.words = service, words

    async def analyse(self, given: Given, choice: Choice) -> AsyncIterator[tuple[str, Drawing | None]]:
        """Give the HTML to show, again and again, and with the last one the result."""
        try:
            async for shown in self._run(given, choice):
                if isinstance(shown, str):
                    yield shown, None
                else:
                    yield result_html(shown, self.words), shown
        except ClientGone:
            return
        except Exception as error:
            yield self._refusal(error), None

    async def record(self, given: Given, choice: Choice) -> dict[str, Any]:
        """Give the record of an analysis, for programs that use the page. Raises `RequestError`."""
        clip = given.clip()
        if clip is None:
            raise RequestError(self.words["player_empty"], status=422, kind="wrong_request")
        settings = choice.settings(self.words["language"])
        async for event in ask(self.service, clip, settings, gone=given.gone):
            if isinstance(event, Done):
                assert event.analysis is not None, "it was asked for"
                return event.analysis.model_dump(mode="json")
        raise AssertionError("events end with Done or an error")

    def details(self, drawing: Drawing) -> str:
        """What a result rests on."""
        return details_html(drawing, self.words)

    async def compare(self, given: Given, one: Choice, other: Choice) -> AsyncIterator[str]:
        """Give the HTML to show; at the end both results side by side."""
        sides: dict[str, Drawing] = {}
        try:
            for heading, choice in ((self.words["side_a"], one), (self.words["side_b"], other)):
                async for shown in self._run(given, choice):
                    if isinstance(shown, str):
                        yield shown
                    else:
                        sides[f"{heading}: {_told(choice, self.words)}"] = shown
            yield compared_html(sides, self.words)
        except ClientGone:
            return
        except Exception as error:
            yield self._refusal(error)

    async def chat(
        self, given: Given, choice: Choice, history: list[dict[str, Any]], message: str
    ) -> AsyncIterator[tuple[list[dict[str, Any]], str]]:
        """Give the history with the question and as much of its answer as there is, and a picture for it as HTML."""
        asked = [*history, _turn("user", message)]
        yield asked, ""
        said = ""
        try:
            conversation = Conversation(self.service, given.clip(), choice.label_words, gone=given.gone)
            async for piece in conversation.ask(message):
                said += piece
                yield [*asked, _turn("assistant", said)], ""
            if conversation.faces is not None:
                yield [*asked, _turn("assistant", said)], faces_html(conversation.faces, self.words)
        except ClientGone:
            return
        except Exception as error:
            refusal = self._known(error)
            yield [*asked, _turn("assistant", f"{self.words['failed']}. {refusal}")], ""

    def player(self, path: str | None) -> str:
        """The player of a recording."""
        return player_html(path, self.words)

    async def _run(self, given: Given, choice: Choice) -> AsyncIterator[str | Drawing]:
        clip = given.clip()
        if clip is None:
            raise RequestError(self.words["player_empty"], status=422, kind="wrong_request")
        last: Event | None = None
        written: dict[str, str] = {}  # several tasks are written at the same time
        windows: list[Window] = []
        settings = choice.settings(self.words["language"])
        async for event in ask(self.service, clip, settings, drawn=True, gone=given.gone):
            if isinstance(event, Done):
                assert event.drawing is not None, "it was asked for"
                yield event.drawing
                return
            if isinstance(event, Finished):
                windows.append(event.window)
            elif isinstance(event, Text):
                written[event.task] = written.get(event.task, "") + event.piece
            else:
                last = event
            yield progress_html(last, "\n".join(written.values()), self.words, windows)

    def _refusal(self, error: Exception) -> str:
        return refusal_html(self._known(error), self.words)

    def _known(self, error: Exception) -> RequestError:
        refusal = as_refusal(error)
        self.service.metrics.error(refusal.kind)
        if refusal.kind == "internal_error":
            log.error("the page", exc_info=error)
        return refusal


def _turn(role: str, text: str) -> dict[str, Any]:
    """A message of the chat, which is shown as HTML."""
    return {"role": role, "content": escape(text)}


def _told(choice: Choice, words: Words) -> str:
    left_out = ", ".join(words[name] for name in choice.without)
    return choice.label_words + (f" − {left_out}" if left_out else "")

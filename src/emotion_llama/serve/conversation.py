"""Asking the service in this process: a place, the check, a time limit; and a conversation about one recording."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from starlette.concurrency import run_in_threadpool

from emotion_llama.clip import Analysis, Clip
from emotion_llama.media.probe import sha256_of
from emotion_llama.serve.asking import while_wanted
from emotion_llama.serve.chat import read_question, words_said
from emotion_llama.serve.chat_answer import Speaking, cannot
from emotion_llama.serve.model import Faces
from emotion_llama.serve.service import AnalyzeRequest, Done, Event, Service, Stage
from emotion_llama.settings import AnalyzeSettings


async def ask(
    service: Service,
    clip: Clip,
    settings: AnalyzeSettings,
    *,
    faces_only: bool = False,
    drawn: bool = False,
    own_file: bool = False,
    fleeting: bool = False,
    gone: asyncio.Event | None = None,
) -> AsyncIterator[Event]:
    """Give what happens to one request, ending with `Done`: what a route does for one that came over HTTP.

    `own_file`: the recording is the user's own, and is not decoded in a child process first. `fleeting`: nobody will
    ask for this result again, so it is not remembered. `gone` is set when nobody waits any more. Raises `RequestError`
    where there is no place or the recording is refused, `TimeoutError`, `ClientGone`, and what the analysis raised.
    Whoever stops listening ends the work.
    """
    clock = asyncio.get_running_loop().time
    gone = gone or asyncio.Event()
    with service.admitted():
        until_s, sha256 = clock() + service.settings.timeout_s, None
        if clip.path is not None:
            sha256 = await run_in_threadpool(sha256_of, clip.path)
            if not own_file:
                yield Stage("check")
                await while_wanted(service.check(clip.path, clip.clip, sha256), gone.wait(), until_s - clock())
        known_by = None if fleeting else sha256
        ticket = service.submit(AnalyzeRequest(clip, settings, known_by, faces_only=faces_only, drawn=drawn))
        events = ticket.events()
        try:
            while True:
                event = await while_wanted(anext(events), gone.wait(), until_s - clock())
                yield event
                if isinstance(event, Done):
                    return
        finally:
            ticket.cancel()


@dataclass
class Conversation:
    """Questions and answers about one recording, or about words alone (`clip` has no path then).

    `labels`: the label set that is asked for, `None` = the usual one. `turns`: what was asked and answered; `analysis`:
    the last result, `faces` what was found where only faces were asked for. `own_file`, `gone`: as `ask` has them.
    """

    service: Service
    clip: Clip | None = None
    labels: str | None = None
    own_file: bool = False
    gone: asyncio.Event | None = None
    turns: list[tuple[str, str]] = field(default_factory=list)
    analysis: Analysis | None = None
    faces: Faces | None = None

    async def ask(self, text: str) -> AsyncIterator[str]:
        """Give the answer in pieces as it is written. Raises what `ask` raises."""
        transcript = words_said(text, False, None if self.clip is None else self.clip.transcript)
        has_recording = self.clip is not None and self.clip.path is not None
        question = read_question(text, "recording" if has_recording else None, transcript, self.labels)
        self.turns.append((text, ""))
        self.faces = None
        refused = cannot(question)
        if refused is not None:
            self.turns[-1] = (text, refused)
            yield refused
            return
        clip = (self.clip or Clip(clip="text")).model_copy(update={"transcript": transcript})
        self.clip = clip  # words that were told once hold for the next question
        speaking = Speaking(question)
        only = question.task == "detection"
        events = ask(self.service, clip, question.settings(), faces_only=only, own_file=self.own_file, gone=self.gone)
        async for event in events:
            if isinstance(event, Done):
                self.analysis = event.analysis
                self.faces = event.faces if only else None
            piece = speaking.piece(event)
            if piece:
                self.turns[-1] = (text, self.turns[-1][1] + piece)
                yield piece

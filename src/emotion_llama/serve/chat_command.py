"""What `emotion-llama chat` does with its words: a conversation in the terminal, by the same code as the API."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from emotion_llama.analyze.console import printable
from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import EmotionLlamaError
from emotion_llama.labels import parse_label_set
from emotion_llama.media.probe import probe
from emotion_llama.serve.chat_answer import HOW_TO_ASK
from emotion_llama.serve.conversation import Conversation
from emotion_llama.serve.model import Model
from emotion_llama.serve.refusals import as_refusal
from emotion_llama.serve.service import Service
from emotion_llama.serve.settings import ServeSettings

COMMANDS = "/labels SET (mer9, mer6, … or a,b,c), /words WHAT IS SAID, /history, /quit"
MOST_SHOWN = 3
LONGEST_ANSWER_S = 3600.0


class Line(Protocol):
    """Reads one line after a prompt; raises `EOFError` at the end."""

    def __call__(self, prompt: str, /) -> str:
        """Read a line."""


def chat(clip: Path | None, labels: str | None, make_model: Callable[[], Model], read: Line = input) -> None:
    """Talk about one recording until /quit or the end of the input.

    Raises `MediaError` for what is no recording, `UsageError` for a wrong label set, and whatever kept the model from
    being loaded.
    """
    if clip is not None:
        probe(clip)
    if labels is not None:
        parse_label_set(labels)
    asyncio.run(_talk(clip, labels, make_model, read))


async def _talk(clip: Path | None, labels: str | None, make_model: Callable[[], Model], read: Line) -> None:
    failures: list[BaseException] = []
    service = Service(make_model, ServeSettings(timeout_s=LONGEST_ANSWER_S), failures.append)
    await service.start()
    try:
        print("Loading the model …", flush=True)
        while not service.ready and not failures:
            await asyncio.sleep(0.02)
        if failures:
            raise failures[0]
        print(f"{HOW_TO_ASK}\n{COMMANDS}")
        about = None if clip is None else Clip(clip=clip.name, path=clip)
        conversation = Conversation(service, about, labels, own_file=True)
        while await _turn(conversation, read):
            pass
    finally:
        await service.stop()


async def _turn(conversation: Conversation, read: Line) -> bool:
    """Read a line and answer it; false where it was the last."""
    try:
        text = (await asyncio.to_thread(read, "> ")).strip()
    except EOFError:
        return False
    if text in ("/quit", "/exit", "/q"):
        return False
    try:
        if text.startswith("/"):
            print(_obeyed(conversation, text))
        elif text:
            await _answer(conversation, text)
    except (EmotionLlamaError, TimeoutError) as error:
        print(f"That did not work: {printable(str(as_refusal(error)))}")
    return True


async def _answer(conversation: Conversation, text: str) -> None:
    conversation.analysis = None
    async for piece in conversation.ask(text):
        print(printable(piece), end="", flush=True)
    print()
    if text.startswith("[emotion]") and conversation.analysis is not None:
        print(f"({likeliest(conversation.analysis)})")


def likeliest(analysis: Analysis) -> str:
    """The first few labels with their probabilities."""
    ranked = sorted(analysis.probabilities.items(), key=lambda item: -item[1])[:MOST_SHOWN]
    return ", ".join(f"{label} {chance:.0%}" for label, chance in ranked)


def _obeyed(conversation: Conversation, text: str) -> str:
    """Do what a command asks, and say what was done. Raises `UsageError` for a wrong label set."""
    name, _, rest = text.partition(" ")
    if name == "/labels":
        if rest.strip():
            parse_label_set(rest.strip())
            conversation.labels = rest.strip()
        return f"Labels: {conversation.labels or 'mer9'}"
    if name == "/words":
        conversation.clip = (conversation.clip or Clip(clip="text")).model_copy(update={"transcript": rest.strip()})
        return "These words are taken for what is said."
    if name == "/history":
        return (
            "\n".join(f"> {asked}\n{printable(said)}" for asked, said in conversation.turns) or "Nothing was asked yet."
        )
    return f"Commands: {COMMANDS}"

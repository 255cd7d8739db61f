"""refine: the clues sorted and reasoned from, in one text that ends with the label (the paper's fine-grained text).

A language model behind an endpoint writes it, and may find that the clues do not fit; without one, the composer puts
measured clues into sentences and says so in the record.
"""

from __future__ import annotations

import json
import random
from typing import Any

from emotion_llama.build.entry import Entry, Written
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.clip import Record
from emotion_llama.perception.compose import compose_reason

COMPOSER = "composer-1"
PROMPT_VERSION = "refine-1"
SYSTEM = (
    "You are an expert in reading emotions from face, voice and words. You are given clues about one person in a short "
    "clip, some of which may be wrong, and the emotion that was found. Sort out which clues support it, then explain "
    "in two to four plain sentences why the person feels it, from the clues alone: invent nothing. "
    "The last sentence names the emotion with the very word given. If the clues clearly contradict the emotion, say so."
)
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "reasoning": {"type": "string"},
        "supporting": {"type": "array", "items": {"type": "integer"}},
        "contradicting": {"type": "array", "items": {"type": "integer"}},
        "plausible": {"type": "boolean"},
    },
    "required": ["reasoning", "supporting", "contradicting", "plausible"],
    "additionalProperties": False,
}


class RefineSettings(StepSettings):
    """`endpoint`: which of the build's endpoints writes; `None`: the composer. `seed`: for the composer's wording.

    `reject_implausible`: a clip whose writer finds that the clues contradict the label is rejected.
    """

    endpoint: str | None = None
    seed: int = 0
    reject_implausible: bool = True


class Refined(Record):
    """What the writer answers: the text, numbers of clues for and against, whether the label is plausible."""

    reasoning: str
    supporting: tuple[int, ...]
    contradicting: tuple[int, ...]
    plausible: bool


def write_reason(entry: Entry, settings: RefineSettings, look: Look) -> Found | Reject:
    """Write the reason. Raises `EndpointError` when the endpoint gives no usable answer."""
    if entry.coarse is None:
        return Reject(reason="it has no label that could be explained; put coarse_label before refine")
    if settings.endpoint is not None:
        return _asked(entry, entry.coarse.emotion, settings, look)
    draw = random.Random(f"{settings.seed} {entry.name}")
    text = compose_reason(entry.clip.observations, entry.coarse.emotion, draw, entry.clip.transcript)
    return Found(words=text, fine_text=Written(text=text, writer=COMPOSER))


def _asked(entry: Entry, emotion: str, settings: RefineSettings, look: Look) -> Found | Reject:
    assert settings.endpoint is not None
    clues = [o.text for o in entry.clip.observations]
    question = "\n".join(
        [
            "Clues:",
            *(f"{n}. [{o.channel}] {o.text}" for n, o in enumerate(entry.clip.observations, start=1)),
            *([f"The person says: “{entry.clip.transcript}”"] if entry.clip.transcript else []),
            f"Emotion: {emotion}",
            "Answer with one JSON object: reasoning (text), supporting and contradicting (numbers of clues), plausible "
            "(false if the clues contradict the emotion).",
        ]
    )
    messages = [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]
    answer = look.ask("refine", settings.endpoint, messages, lambda text: read_refined(text, len(clues)), SCHEMA)
    refined = answer.value
    if settings.reject_implausible and not refined.plausible:
        return Reject(reason=f"{answer.model} finds that the clues contradict {emotion}: {refined.reasoning}")
    written = Written(text=refined.reasoning, writer=answer.model, prompt_version=PROMPT_VERSION)
    return Found(words=refined.reasoning, fine_text=written)


def read_refined(text: str, clues: int) -> Refined:
    """Read the writer's answer, with or without a fence around it. Raises `ValueError` saying what is wrong with it."""
    start, end = text.find("{"), text.rfind("}")
    if start < 0 or end < start:
        raise ValueError("expected one JSON object, found none")
    try:
        refined = Refined.model_validate(json.loads(text[start : end + 1]))
    except ValueError as error:  # pydantic's and json's errors are both of this kind
        raise ValueError(f"expected a JSON object with {', '.join(SCHEMA['required'])} ({str(error)[:200]})") from error
    wrong = [n for n in (*refined.supporting, *refined.contradicting) if not 1 <= n <= clues]
    if wrong:
        raise ValueError(f"expected numbers of clues from 1 to {clues}, found {wrong[0]}")
    if not refined.reasoning.strip():
        raise ValueError("expected a reasoning text, found an empty one")
    return refined.model_copy(update={"reasoning": " ".join(refined.reasoning.split())})


REFINE = Step(
    "refine", "1", RefineSettings, write_reason,
    reads=("coarse_label", "describe_face", "describe_scene", "describe_voice", "transcribe"),
    place=lambda settings: "driver",
    models=lambda settings: (COMPOSER,) if settings.endpoint is None else (PROMPT_VERSION,),
)  # fmt: skip

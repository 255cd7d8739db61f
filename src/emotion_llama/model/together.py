"""Texts of several clips, written side by side: each step of the language model adds one token to every text.

A step costs about as much for eight texts as for one, because it is the weights that must be read from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from emotion_llama.clip import Task
from emotion_llama.model.processing import EmotionLlamaProcessor
from emotion_llama.model.steps import Begun, Stepper

Told = Callable[[int, str], bool]
"""Takes a text's number and its next piece; false ends that text."""


@dataclass(frozen=True)
class Question:
    """What is to be written: a task, its labels and clues, and how many tokens the text may have."""

    task: Task
    labels: tuple[str, ...] = ()
    clues: tuple[str, ...] = ()
    max_new_tokens: int = 96


@dataclass
class _Text:
    """One text under way: its number, its tokens, how many there may be, and what was told of it."""

    number: int
    most: int
    ids: list[int] = field(default_factory=list)
    told: str = ""


@torch.inference_mode()
def write_together(
    stepper: Stepper,
    processor: EmotionLlamaProcessor,
    questions: Sequence[Begun],
    told: Told,
) -> list[str]:
    """Give the likeliest text behind each question; `told` gets its pieces, which join to it."""
    if not questions:
        return []
    if len(questions) > 1 and not stepper.joins(questions):
        each = [_Renumbered(told, number) for number in range(len(questions))]
        return [write_together(stepper, processor, [one], tell)[0] for one, tell in zip(questions, each, strict=True)]
    going = [_Text(number, question.most) for number, question in enumerate(questions)]
    texts, steps = list(going), stepper.start(questions)
    logits = torch.stack([question.logits for question in questions])  # (B, V)
    while True:
        tokens = _likeliest(logits, processor.config.placeholder_token_id)
        rows = [row for row, text in enumerate(going) if _goes_on(text, tokens[row], processor, told)]
        if not rows:
            return [text.told for text in texts]
        going = [going[row] for row in rows]
        logits = steps.next([text.ids[-1] for text in going], rows)


@dataclass(frozen=True)
class _Renumbered:
    told: Told
    number: int

    def __call__(self, _: int, piece: str) -> bool:
        return self.told(self.number, piece)


def _likeliest(logits: Tensor, placeholder_id: int | None) -> list[int]:
    logits[:, placeholder_id] = -torch.inf  # it would ask for features that no clip has
    tokens: list[int] = logits.argmax(-1).tolist()
    return tokens


def _goes_on(text: _Text, token: int, processor: EmotionLlamaProcessor, told: Told) -> bool:
    """Add a token to a text and tell what is new; gives whether it goes on."""
    if token != processor.end_id:
        text.ids.append(token)
    ended = token == processor.end_id or len(text.ids) >= text.most
    whole = processor.decode(text.ids)
    if whole.endswith("\ufffd") and not ended:  # half a character: wait for its other bytes
        return True
    piece, text.told = whole[len(text.told) :], whole
    return (not piece or told(text.number, piece)) and not ended

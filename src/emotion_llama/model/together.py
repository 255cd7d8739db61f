"""Texts of several clips, written side by side: each step of the language model adds one token to every text.

A step costs about as much for eight texts as for one, because it is the weights that must be read from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from emotion_llama.clip import Task
from emotion_llama.model.drafts import Drafts, guessed_at_once
from emotion_llama.model.processing import EmotionLlamaProcessor
from emotion_llama.model.steps import Begun, Stepper

Told = Callable[[int, str], bool]
"""Takes a text's number and its next piece; false ends that text."""


@dataclass(frozen=True)
class Question:
    """What is to be written: a task, its labels and clues, and how many tokens the text may have.

    `drafts`: texts that the answer may resemble; they change how fast it is written, not what is.
    """

    task: Task
    labels: tuple[str, ...] = ()
    clues: tuple[str, ...] = ()
    max_new_tokens: int = 96
    drafts: tuple[str, ...] = ()


@dataclass
class _Text:
    """One text under way: its number, its tokens, how many there may be, and what was told of it."""

    number: int
    most: int
    drafts: Drafts
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
    going = [_Text(number, question.most, question.drafts) for number, question in enumerate(questions)]
    texts, steps, place_id = list(going), stepper.start(questions), processor.config.placeholder_token_id
    guesses = stepper.joins(questions)  # a cache that forgets cannot take back either
    logits = torch.stack([question.logits for question in questions])[:, None]  # (B, 1, V)
    guessed: list[list[int]] = [[] for _ in going]
    while True:
        rows, wrong = [], []
        for row, (text, tokens) in enumerate(zip(going, _likeliest(logits, place_id), strict=True)):
            right = _right(guessed[row], tokens)
            if all(_goes_on(text, token, processor, told) for token in tokens[: right + 1]):
                rows.append(row)
            wrong.append(len(tokens) - 1 - right)
        if not rows:
            return [text.told for text in texts]
        if any(wrong):
            steps.forget(wrong)
        going = [going[row] for row in rows]
        most = guessed_at_once(len(going)) if guesses else 0
        guessed = [text.drafts.after(text.ids, min(most, text.most - len(text.ids) - 1)) for text in going]
        longest = max(map(len, guessed))
        read = [
            [text.ids[-1], *one, *[text.ids[-1]] * (longest - len(one))]
            for text, one in zip(going, guessed, strict=True)
        ]
        logits = steps.next(read, rows)


def _right(guessed: Sequence[int], tokens: Sequence[int]) -> int:
    """How many guesses are what the model writes: `tokens` are its own behind the last token and behind each guess."""
    pairs = enumerate(zip(guessed, tokens, strict=False))
    return next((place for place, (one, own) in pairs if one != own), len(guessed))


@dataclass(frozen=True)
class _Renumbered:
    told: Told
    number: int

    def __call__(self, _: int, piece: str) -> bool:
        return self.told(self.number, piece)


def _likeliest(logits: Tensor, placeholder_id: int | None) -> list[list[int]]:
    logits[..., placeholder_id] = -torch.inf  # it would ask for features that no clip has
    tokens: list[list[int]] = logits.argmax(-1).tolist()
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

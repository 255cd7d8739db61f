"""Texts of several clips, written side by side: each step of the language model adds one token to every text.

A step costs about as much for eight texts as for one, because it is the weights that must be read from memory.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from emotion_llama.clip import Task
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor

Told = Callable[[int, str], bool]
"""Takes a text's number and its next piece; false ends that text."""


@dataclass(frozen=True)
class Question:
    """What is to be written: a task, its labels and clues, and how many tokens the text may have."""

    task: Task
    labels: tuple[str, ...] = ()
    clues: tuple[str, ...] = ()
    max_new_tokens: int = 96


@dataclass(frozen=True)
class Begun:
    """A question that the model has read: the cache behind it (`write` uses it up), its tokens, the next one's logits.

    `length`: positions of the cache; `logits` (V,); `most`: tokens that may be written.
    """

    cache: DynamicCache
    length: int
    logits: Tensor
    most: int


@dataclass
class _Text:
    """One text under way: its number, its tokens, how many there may be, and what was told of it."""

    number: int
    most: int
    ids: list[int] = field(default_factory=list)
    told: str = ""


@torch.inference_mode()
def write_together(
    model: EmotionLlamaForConditionalGeneration,
    processor: EmotionLlamaProcessor,
    questions: Sequence[Begun],
    told: Told,
) -> list[str]:
    """Give the likeliest text behind each question; `told` gets its pieces, which join to it."""
    if not questions:
        return []
    if len(questions) > 1 and any(layer.is_sliding for one in questions for layer in one.cache.layers):
        # a cache that forgets its beginning cannot be laid beside others
        each = [_Renumbered(told, number) for number in range(len(questions))]
        return [write_together(model, processor, [one], tell)[0] for one, tell in zip(questions, each, strict=True)]
    going = [_Text(number, question.most) for number, question in enumerate(questions)]
    texts = list(going)
    lengths = torch.tensor([question.length for question in questions], device=model.device)
    logits = torch.stack([question.logits for question in questions])  # (B, V)
    cache, step = _side_by_side(questions), 0
    sees = _unpadded(lengths)  # (B, T)
    while going:
        tokens = _likeliest(logits, model.config.placeholder_token_id)
        stay = [row for row, text in enumerate(going) if _goes_on(text, tokens[row], processor, told)]
        if not stay:
            break
        if len(stay) < len(going):
            rows = torch.tensor(stay, device=lengths.device)
            cache.batch_select_indices(rows)
            going, sees, lengths = [going[row] for row in stay], sees[rows], lengths[rows]
        sees = torch.cat([sees, sees.new_ones(len(going), 1)], 1)
        logits = model(
            input_ids=torch.tensor([[text.ids[-1]] for text in going], device=lengths.device),
            attention_mask=None if bool(sees.all()) else sees,
            position_ids=(lengths + step)[:, None],
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=1,
        ).logits[:, -1]
        step += 1
    return [text.told for text in texts]


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


def _unpadded(lengths: Tensor) -> Tensor:
    """Which positions (B, T) are a text's own: shorter ones begin with padding."""
    places = torch.arange(int(lengths.max()), device=lengths.device)
    own: Tensor = places >= (lengths.max() - lengths)[:, None]
    return own


def _side_by_side(questions: Sequence[Begun]) -> DynamicCache:
    """One cache of all questions, each padded at its front to the longest."""
    if len(questions) == 1:
        return questions[0].cache
    longest, joint = max(one.length for one in questions), DynamicCache()
    for index in range(len(questions[0].cache.layers)):
        both = (
            torch.cat([
                pad(getattr(one.cache.layers[index], name), (0, 0, longest - one.length, 0)) for one in questions
            ])
            for name in ("keys", "values")
        )  # fmt: skip
        joint.update(*both, index)
    return joint

"""How the language model goes on from what it has read: by more of a prompt, or by some more tokens of each of several
texts that it writes."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from transformers import DynamicCache

from emotion_llama.model.drafts import Drafts
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.pages import Before, Page, Read, side_by_side


@dataclass(frozen=True)
class Begun:
    """A question that the model has read: the cache behind it (writing uses it up), its tokens, the next one's logits.

    `length`: positions of the cache; `logits` (V,); `most`: tokens that may be written; `drafts`: guesses at the text.
    """

    cache: DynamicCache
    length: int
    logits: Tensor
    most: int
    drafts: Drafts = field(default_factory=Drafts)


class Steps(Protocol):
    """Texts under way, side by side."""

    def next(self, tokens: Sequence[Sequence[int]], rows: Sequence[int]) -> Tensor:
        """Read L tokens of each text that goes on; gives the logits (B, L, V) behind each of them.

        `rows`: which of the texts of the last step go on (places among them, ascending), `tokens`: theirs.
        """

    def forget(self, counts: Sequence[int]) -> None:
        """Take back so many of the last tokens of each text: they were guessed wrong."""


class Stepper(Protocol):
    """What runs the language model: reads a prompt on, writes texts on."""

    @property
    def bytes_a_weight(self) -> tuple[float, float]:
        """Bytes that a weight of the layers takes, and one of the output layer."""

    def read(self, page: Page) -> list[Read]:
        """Read passages side by side; the caches before them stay as they are."""

    def joins(self, begun: Sequence[Begun]) -> bool:
        """Whether these can be written side by side."""

    def start(self, begun: Sequence[Begun]) -> Steps:
        """Begin to write behind them."""


class PlainStepper:
    """The model as it was loaded, by the library that it was trained with."""

    def __init__(self, model: EmotionLlamaForConditionalGeneration) -> None:
        self.model = model

    @property
    def bytes_a_weight(self) -> tuple[float, float]:
        """Bytes of a weight as the model was loaded."""
        size = next(self.model.get_output_embeddings().parameters()).element_size()
        return size, size

    def read(self, page: Page) -> list[Read]:
        """Read passages side by side."""
        device, mask, alone = self.model.device, None, len(page.passages) == 1
        if page.sees is not None:
            dtype = next(self.model.get_input_embeddings().parameters()).dtype
            mask = torch.zeros(page.sees.shape, dtype=dtype).masked_fill(~page.sees, torch.finfo(dtype).min)
            mask = mask[:, None].to(device)  # (B, 1, P, T + P)
        cache = _fork(page.passages[0].behind) if alone else _joint(page.before)
        logits: Tensor = self.model(
            input_ids=page.ids.to(device),
            features={name: rows.to(device) for name, rows in page.features.items()},
            feature_mask={name: rows.to(device) for name, rows in page.present.items()},
            attention_mask=mask,
            position_ids=page.positions.to(device),
            past_key_values=cache,
            use_cache=True,
            logits_to_keep=page.wanted.to(device),
        ).logits
        if alone:
            return [Read(logits, cache)]
        return page.split(logits, [(layer.keys, layer.values) for layer in cache.layers])

    def joins(self, begun: Sequence[Begun]) -> bool:
        """A cache that forgets its beginning cannot be laid beside others."""
        return not any(layer.is_sliding for one in begun for layer in one.cache.layers)

    def start(self, begun: Sequence[Begun]) -> Steps:
        """Begin to write."""
        return _PlainSteps(self.model, begun)


class _PlainSteps:
    def __init__(self, model: EmotionLlamaForConditionalGeneration, begun: Sequence[Begun]) -> None:
        self._model = model
        self._cache = begun[0].cache if len(begun) == 1 else _joint([(one.cache, one.length) for one in begun])
        self._lengths = torch.tensor([one.length for one in begun], device=model.device)
        self._sees = unpadded(self._lengths)  # (B, T)

    def next(self, tokens: Sequence[Sequence[int]], rows: Sequence[int]) -> Tensor:
        device, count = self._lengths.device, len(tokens[0])
        if len(rows) < len(self._lengths):
            kept = torch.tensor(rows, device=device)
            self._cache.batch_select_indices(kept)
            self._sees, self._lengths = self._sees[kept], self._lengths[kept]
        self._sees = torch.cat([self._sees, self._sees.new_ones(len(tokens), count)], 1)
        logits: Tensor = self._model(
            input_ids=torch.tensor(tokens, device=device),
            attention_mask=None if bool(self._sees.all()) else self._sees,
            position_ids=self._lengths[:, None] + torch.arange(count, device=device),
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=count,
        ).logits
        self._lengths = self._lengths + count
        return logits

    def forget(self, counts: Sequence[int]) -> None:
        forgotten = torch.tensor(counts, device=self._lengths.device)
        width = self._sees.shape[1]
        self._sees = self._sees & (torch.arange(width, device=forgotten.device) < width - forgotten[:, None])
        self._lengths = self._lengths - forgotten


def unpadded(lengths: Tensor) -> Tensor:
    """Which positions (B, T) are a text's own: shorter ones begin with padding."""
    places = torch.arange(int(lengths.max()), device=lengths.device)
    own: Tensor = places >= (lengths.max() - lengths)[:, None]
    return own


def _fork(cache: DynamicCache) -> DynamicCache:
    """Share the cached tensors: a fork that grows makes new ones, the original stays as it was."""
    fork = copy.copy(cache)
    fork.layers = [copy.copy(layer) for layer in cache.layers]
    return fork


def _joint(before: Sequence[Before]) -> DynamicCache:
    joint = DynamicCache()
    for layer, (keys, values) in enumerate(side_by_side(before)):
        joint.update(keys, values, layer)
    return joint

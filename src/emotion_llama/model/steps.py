"""Some more tokens for each of several texts: how the language model goes on from what it has read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from emotion_llama.model.drafts import Drafts
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration


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
    """What writes texts on, behind what the model has read."""

    @property
    def bytes_a_weight(self) -> tuple[float, float]:
        """Bytes that a weight of the layers takes, and one of the output layer."""

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

    def joins(self, begun: Sequence[Begun]) -> bool:
        """A cache that forgets its beginning cannot be laid beside others."""
        return not any(layer.is_sliding for one in begun for layer in one.cache.layers)

    def start(self, begun: Sequence[Begun]) -> Steps:
        """Begin to write."""
        return _PlainSteps(self.model, begun)


class _PlainSteps:
    def __init__(self, model: EmotionLlamaForConditionalGeneration, begun: Sequence[Begun]) -> None:
        self._model = model
        self._cache = begun[0].cache if len(begun) == 1 else _joint(begun)
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


def side_by_side(begun: Sequence[Begun], layer: int, name: str) -> Tensor:
    """`keys` or `values` (B, heads, T, width) of one layer, each text padded at its front to the longest."""
    longest = max(one.length for one in begun)
    return torch.cat([
        pad(getattr(one.cache.layers[layer], name), (0, 0, longest - one.length, 0)) for one in begun
    ])  # fmt: skip


def _joint(begun: Sequence[Begun]) -> DynamicCache:
    joint = DynamicCache()
    for layer in range(len(begun[0].cache.layers)):
        joint.update(side_by_side(begun, layer, "keys"), side_by_side(begun, layer, "values"), layer)
    return joint

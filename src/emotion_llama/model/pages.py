"""Passages of several prompts laid out side by side, to be read by the language model in one go.

What was read before is padded at its front, the passages at their end; a mask keeps padding from being seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate

import torch
from torch import Tensor
from torch.nn.functional import pad
from transformers import DynamicCache

from emotion_llama.model.processing import Features

MOST_PADDING = 0.25
"""Share of a page that may be padding: passages of other lengths go on other pages."""

MOST_TOKENS = 4096
"""Of a page, padding included: bounds the mask and what the layers hold at once."""

Collate = Callable[[Sequence[Features]], tuple[dict[str, Tensor], dict[str, Tensor]]]
"""Pads features of several clips to (B, N, E), with masks (B, N) of what is there."""

Before = tuple[DynamicCache, int]
"""What was read before, and how many positions that is."""


@dataclass(frozen=True)
class Passage:
    """P tokens of one prompt, to be read at once.

    `features`: group → (N, E), for the placeholders among them. `behind`: what was read before, `start` positions.
    `wanted`: the tokens behind which logits are wanted, ascending. Where the tokens are not one text, `positions` (P,)
    says where in its text each stands, and `sees` (P, P) bool which tokens of the passage it sees (all see what was
    read before).
    """

    ids: Sequence[int]
    behind: DynamicCache
    start: int
    wanted: Sequence[int]
    features: Features = field(default_factory=dict)
    positions: Tensor | None = None
    sees: Tensor | None = None

    @property
    def length(self) -> int:
        """Its tokens."""
        return len(self.ids)


@dataclass(frozen=True)
class Read:
    """What a passage gave: logits (W, V) behind its wanted tokens, and the cache behind it."""

    logits: Tensor
    cache: DynamicCache


@dataclass(frozen=True)
class Page:
    """B passages side by side: tokens and positions (B, P), and who sees whom (B, P, T + P) bool.

    `features` (B, N, E) and `present` (B, N) by group. `sees` is `None` where every token sees all before it. `wanted`
    (B, P) bool.
    """

    passages: Sequence[Passage]
    ids: Tensor
    features: dict[str, Tensor]
    present: dict[str, Tensor]
    positions: Tensor
    sees: Tensor | None
    wanted: Tensor

    @property
    def before(self) -> list[Before]:
        """What was read before each passage."""
        return [(one.behind, one.start) for one in self.passages]

    def split(self, logits: Tensor, layers: Sequence[tuple[Tensor, Tensor]]) -> list[Read]:
        """Give each passage what is its own of the logits (W, V) and of keys and values (B, heads, T + P, width)."""
        longest, found = max(one.start for one in self.passages), []
        ends = list(accumulate(len(one.wanted) for one in self.passages))
        for row, (one, end) in enumerate(zip(self.passages, ends, strict=True)):
            cache, own = DynamicCache(), slice(longest - one.start, longest + one.length)
            for number, (keys, values) in enumerate(layers):
                cache.update(keys[row : row + 1, :, own], values[row : row + 1, :, own], number)
            found.append(Read(logits[end - len(one.wanted) : end], cache))
        return found


def seen(page: Page) -> Tensor:
    """Who sees whom (B, P, T + P), also where every token sees all before it."""
    if page.sees is not None:
        return page.sees
    one = page.passages[0]
    return _seen(one, one.start, one.length).expand(len(page.passages), -1, -1)


def lay_out(passages: Sequence[Passage], collate: Collate) -> Page:
    """Lay passages side by side; `collate` is the processor's."""
    longest, start = max(one.length for one in passages), max(one.start for one in passages)
    plain = all((one.length, one.start) == (longest, start) and one.sees is None for one in passages)
    wanted = torch.zeros(len(passages), longest, dtype=torch.bool)
    for row, one in enumerate(passages):
        wanted[row, list(one.wanted)] = True
    features, present = collate([one.features for one in passages])
    return Page(
        passages,
        torch.stack([pad(torch.tensor(one.ids), (0, longest - one.length), value=one.ids[-1]) for one in passages]),
        features,
        present,
        torch.stack([pad(_placed(one), (0, longest - one.length)) for one in passages]),
        None if plain else torch.stack([_seen(one, start, longest) for one in passages]),
        wanted,
    )


def pages(passages: Sequence[Passage]) -> Iterator[list[int]]:
    """Sort passages by length onto pages (their numbers), so that little of each is padding.

    One behind a cache that forgets its beginning has a page of its own: such caches cannot be laid beside others.
    """
    alone = [number for number, one in enumerate(passages) if any(layer.is_sliding for layer in one.behind.layers)]
    yield from ([number] for number in alone)
    page: list[int] = []
    others = set(range(len(passages))).difference(alone)
    for number in sorted(others, key=lambda one: (passages[one].length, passages[one].start)):
        longest = passages[number].length
        own = sum(passages[one].length for one in page) + longest
        whole = longest * (len(page) + 1)
        if page and (whole > MOST_TOKENS or own < (1 - MOST_PADDING) * whole):
            yield page
            page = []
        page.append(number)
    if page:
        yield page


def side_by_side(before: Sequence[Before]) -> list[tuple[Tensor, Tensor]]:
    """Keys and values (B, heads, T, width) of each layer, each text padded at its front to the longest.

    Nothing where nothing was read before.
    """
    longest = max(length for _, length in before)
    if not longest:
        return []
    layers = range(max(len(cache.layers) for cache, _ in before))
    return [(_rows(before, layer, "keys", longest), _rows(before, layer, "values", longest)) for layer in layers]


def _rows(before: Sequence[Before], layer: int, name: str, longest: int) -> Tensor:
    return torch.cat([pad(getattr(cache.layers[layer], name), (0, 0, longest - n, 0)) for cache, n in before])


def _placed(passage: Passage) -> Tensor:
    """Position of each token (P,)."""
    usual = torch.arange(passage.start, passage.start + passage.length)
    return usual if passage.positions is None else passage.positions


def _seen(passage: Passage, start: int, longest: int) -> Tensor:
    """Which of all places each token sees (P, T + P); padding sees itself, so that nothing is divided by zero."""
    count = passage.length
    sees = torch.zeros(longest, start + longest, dtype=torch.bool)
    sees[:count, start - passage.start : start] = True
    own = torch.ones(count, count, dtype=torch.bool).tril() if passage.sees is None else passage.sees
    sees[:count, start : start + count] = own
    padding = torch.arange(count, longest)
    sees[padding, start + padding] = True
    return sees

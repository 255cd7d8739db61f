"""Training examples: what was extracted from one clip, with its label, person and side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Observation
from emotion_llama.train.sources import Item, Side

Arrays = Mapping[str, NDArray[np.float32]]
"""Encoder output → (N, E); only what the clip has."""


@dataclass(frozen=True)
class Example:
    """One clip (or one altered copy of it) as training sees it.

    `id` is "source/clip", with "#1", "#2" for copies. `emotion` is the canonical name of `label`, the word of the
    source's own set `labels`. `transcript` and `observations` were measured on this very copy. `take` is the same for
    several recordings of one moment (views, copies).
    """

    id: str
    source: str
    side: Side
    person: str
    label: str | None
    emotion: str | None
    labels: tuple[str, ...]
    transcript: str | None
    observations: tuple[Observation, ...]
    arrays: Arrays
    reasoning: str | None = None
    question: str | None = None
    copy: int = 0
    take: str = ""


def example_of(
    item: Item, arrays: Arrays, transcript: str | None, observations: tuple[Observation, ...], copy: int = 0
) -> Example:
    """Put an item and what was extracted from it together. The item must have a side."""
    assert item.side is not None
    return Example(
        id=f"{item.source}/{item.clip.clip}" + (f"#{copy}" if copy else ""),
        source=item.source,
        side=item.side,
        person=item.person,
        label=item.label,
        emotion=item.emotion,
        labels=item.labels,
        transcript=transcript,
        observations=observations,
        arrays=arrays,
        reasoning=item.clip.reasoning,
        question=item.question,
        copy=copy,
        take=item.take,
    )

"""Training examples: what was extracted from one clip, with its label, person and side."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open

from emotion_llama.clip import Observation
from emotion_llama.errors import OutputError
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


class StoredArrays(Mapping[str, NDArray[np.float32]]):
    """Arrays of one cache file, read from it when they are asked for and not kept: memory does not grow with clips."""

    def __init__(self, path: Path, names: tuple[str, ...]) -> None:
        self.path = path
        self.names = names

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        """Read one array. Raises `OutputError` if the cache file is gone or cut short."""
        if name not in self.names:
            raise KeyError(name)
        try:
            with safe_open(self.path, framework="numpy") as file:
                array: NDArray[np.float32] = file.get_tensor(name)
        except (OSError, SafetensorError) as error:
            raise OutputError(
                f"feature cache {self.path}: cannot be read any more ({error}); run emotion-llama extract again"
            ) from error
        return array

    def __contains__(self, name: object) -> bool:
        """Whether there is an array of this name; nothing is read."""
        return name in self.names

    def __iter__(self) -> Iterator[str]:
        """Names of the arrays."""
        return iter(self.names)

    def __len__(self) -> int:
        """Number of arrays."""
        return len(self.names)


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

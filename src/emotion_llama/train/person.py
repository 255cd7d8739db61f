"""Clips as they look beside their own person: recentred examples for training, validation and scoring."""

from __future__ import annotations

import hashlib
import random
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from emotion_llama.encoders.person import LEAST, PersonBaseline
from emotion_llama.errors import ManifestError
from emotion_llama.train.config import SUFFIX, Source
from emotion_llama.train.examples import Arrays, Example

MOST_FOR_POPULATION = 3000
_COUNTS = (LEAST, 8, 16, None)
"""So many other clips make a training baseline, by turns; `None` = all there are."""

Rows = NDArray[np.float32]


def population_means(examples: Sequence[Example], names: Sequence[str]) -> dict[str, Rows]:
    """Give the mean of each array (E,) over people of the training side, each person counting the same.

    Raises `ManifestError` for an array that no training example has.
    """
    found: dict[str, Rows] = {}
    for name in names:
        people: dict[str, list[Rows]] = defaultdict(list)
        having = [e for e in examples if e.side == "train" and e.copy == 0 and name in e.arrays]
        for example in having[:: max(1, len(having) // MOST_FOR_POPULATION)]:
            people[example.person].append(example.arrays[name].mean(axis=0))
        if not people:
            raise ManifestError(
                f"model.recentre: expected the array {name!r} in training clips, found it in none; take it out"
            )
        found[name] = np.mean([np.mean(rows, axis=0) for rows in people.values()], axis=0).astype(np.float32)
    return found


def with_baselines(
    examples: Sequence[Example], sources: Sequence[Source], population: Mapping[str, Rows], seed: int
) -> list[Example]:
    """Give the recentred versions of the examples whose source asks for them, under the source "NAME@person".

    Each baseline is made of other clips of the person, never of the clip itself or another recording of the same take;
    for validation and test of all others, or of as many as `Source.baseline` says.
    """
    asking = {source.name: source for source in sources if source.baseline is not None}
    people: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        if example.source in asking and example.copy == 0:
            people[example.person].append(example)
    found = []
    for example in examples:
        if example.source not in asking:
            continue
        others = [other for other in people[example.person] if other.take != example.take]
        rng = random.Random(_seed(seed, example.id))
        count = asking[example.source].baseline
        wanted = rng.choice(_COUNTS) if example.side == "train" else (None if count == "others" else int(str(count)))
        chosen = others if wanted is None else rng.sample(others, min(wanted, len(others)))
        if len(chosen) >= LEAST:
            found.append(_recentred(example, chosen, population))
    return found


def _seed(seed: int, name: str) -> int:
    return int(hashlib.sha256(f"{seed}-{name}".encode()).hexdigest()[:12], 16)


def _recentred(example: Example, others: Sequence[Example], population: Mapping[str, Rows]) -> Example:
    return replace(
        example,
        id=f"{example.id}{SUFFIX}",
        source=f"{example.source}{SUFFIX}",
        arrays=Recentred(example.arrays, tuple(other.arrays for other in others), population),
    )


class Recentred(Mapping[str, Rows]):
    """Arrays of one clip, recentred when they are asked for; the baseline is worked out once an array."""

    def __init__(self, arrays: Arrays, others: tuple[Arrays, ...], population: Mapping[str, Rows]) -> None:
        self.arrays = arrays
        self.others = others
        self.population = population
        self._shift: dict[str, PersonBaseline] = {}

    def __getitem__(self, name: str) -> Rows:
        """Give one array, moved where the population names it."""
        rows = self.arrays[name]
        if name not in self.population:
            return rows
        if name not in self._shift:
            having = [{name: other[name]} for other in self.others if name in other]
            if len(having) < LEAST:
                return rows
            self._shift[name] = PersonBaseline.of(having)
        return self._shift[name].recentred({name: rows}, self.population)[name]

    def __contains__(self, name: object) -> bool:
        """Whether there is an array of this name; nothing is read."""
        return name in self.arrays

    def __iter__(self) -> Iterator[str]:
        """Names of the arrays."""
        return iter(self.arrays)

    def __len__(self) -> int:
        """Number of arrays."""
        return len(self.arrays)

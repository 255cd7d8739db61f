"""All samples of a run, in the order in which they are trained on.

A few steps' samples are drawn together and sorted by length, so that a batch pads little. Nothing depends on what was
drawn before, so a run that was killed goes on with exactly the samples it would
have had, and two processes see between them what one with the double batch sees.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch.utils.data import Dataset

from emotion_llama.model.processing import TrainSample
from emotion_llama.official.text import official_answer


class Sampler(Protocol):
    """Something that makes sample number `index`."""

    def draw(self, index: int) -> TrainSample:
        """Draw one sample."""


class MixedSampler:
    """Combinations for a share of the samples, clips as they are for the rest."""

    def __init__(self, clips: Sampler, combinations: Sampler, share: float, seed: int) -> None:
        self.clips = clips
        self.combinations = combinations
        self.share = share
        self.seed = seed

    def draw(self, index: int) -> TrainSample:
        """Draw one sample of either kind."""
        combined = random.Random(f"{self.seed}-kind-{index}").random() < self.share
        return (self.combinations if combined else self.clips).draw(index)


class Samples(Dataset[TrainSample]):
    """`steps` × `a_step` samples; the sample at place `i` is seen in step `i // a_step`.

    `bucket` steps are sorted together (1: samples come in the order of their numbers, and no length is measured).
    """

    def __init__(
        self,
        sampler: Sampler,
        *,
        steps: int,
        a_step: int,
        bucket: int,
        seed: int,
        noise: float = 0.0,
        spread: Mapping[str, NDArray[np.float32]] | None = None,
        official_answers: bool = False,
    ) -> None:
        self.sampler = sampler
        self.steps = steps
        self.a_step = a_step
        self.bucket = bucket
        self.seed = seed
        self.noise = noise
        self.spread = spread or {}
        self.official_answers = official_answers
        self._first = -1
        self._order: list[int] = []

    def __len__(self) -> int:
        """Samples of the whole run."""
        return self.steps * self.a_step

    def __getitem__(self, place: int) -> TrainSample:
        """Give one sample, with noise on its encoder features (not on the heads' opinions)."""
        index = self._number(place)
        sample = self._noisy(self.sampler.draw(index), index)
        return replace(sample, answer=official_answer(sample.answer)) if self.official_answers else sample

    def _number(self, place: int) -> int:
        """Which sample stands at a place; the order of the last bucket asked for is kept."""
        if self.bucket == 1:
            return place
        first = place // (self.bucket * self.a_step) * self.bucket  # step
        if first != self._first:
            self._first, self._order = first, self._sorted(first, min(self.bucket, self.steps - first))
        return self._order[place - first * self.a_step]

    def _sorted(self, first: int, count: int) -> list[int]:
        """Order the samples of some steps: steps of equal lengths, the steps shuffled."""
        numbers = range(first * self.a_step, (first + count) * self.a_step)
        by_length = sorted(numbers, key=lambda number: _length(self.sampler.draw(number)))
        chunks = [by_length[start : start + self.a_step] for start in range(0, len(by_length), self.a_step)]
        random.Random(f"{self.seed}-bucket-{first}").shuffle(chunks)
        return [number for chunk in chunks for number in chunk]

    def _noisy(self, sample: TrainSample, index: int) -> TrainSample:
        if not self.noise:
            return sample
        rng = np.random.default_rng([self.seed, index])
        features = dict(sample.features)
        for name, rows in sample.features.items():
            if name in self.spread:
                noise = rng.normal(0, self.noise, rows.shape) * self.spread[name]
                features[name] = (rows + noise).astype(np.float32)
        return replace(sample, features=features)


def _length(sample: TrainSample) -> int:
    """Characters of a sample's texts and four for each soft token: near enough to its number of tokens."""
    texts = (sample.answer, sample.transcript or "", sample.question or "", *sample.labels, *sample.clues)
    return sum(map(len, texts)) + 4 * sum(len(rows) for rows in sample.features.values())

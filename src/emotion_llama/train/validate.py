"""Score a model on closed label questions: for choosing the best checkpoint, for calibration, and once on the test."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray

from emotion_llama.analyze.calibration import Calibration, Opinions, opinions_of
from emotion_llama.clip import MODALITIES, Modality
from emotion_llama.metrics.classes import class_statistic
from emotion_llama.metrics.confidence import confidence_statistic
from emotion_llama.metrics.resample import point_scores
from emotion_llama.metrics.statistic import Statistic
from emotion_llama.model.configuration import FeatureGroup
from emotion_llama.model.processing import TrainSample
from emotion_llama.model.score import ClipReader
from emotion_llama.train.progress import working

Scores = dict[str, float]

AS_MOVING = " as moving"
"""Behind the source of questions that stand in for others: still pictures, asked as moving faces are."""


@dataclass(frozen=True)
class Answered:
    """One question and what the model says: scores and prior (L,) in the order of `labels`, the right column.

    `inputs` really reached the model, `opinions` are those of its heads. `order_sensitivity`: how much the order of the
    labels matters. `per_order` (O, L): the scores under each label order, `raw` is their mean; empty = not kept.
    """

    clip: str
    source: str
    labels: tuple[str, ...]
    raw: NDArray[np.float64]
    prior: NDArray[np.float64]
    right: int
    inputs: tuple[Modality, ...]
    order_sensitivity: float
    opinions: Opinions = field(default_factory=dict)
    per_order: NDArray[np.float64] = field(default_factory=lambda: np.zeros((0, 0)))

    @property
    def stands_in(self) -> bool:
        """Whether it stands in for questions that the validation side has none of."""
        return self.source.endswith(AS_MOVING)

    def corrected(self, calibration: Calibration) -> dict[str, float]:
        """Scores of the labels with the prior taken off."""
        raw = dict(zip(self.labels, self.raw.tolist(), strict=True))
        return calibration.correct(raw, dict(zip(self.labels, self.prior.tolist(), strict=True)))

    def probabilities(self, calibration: Calibration | None = None) -> dict[str, float]:
        """Chances of the labels, as `analyze` would give them with this calibration."""
        chosen = calibration or Calibration()
        return chosen.probabilities(self.corrected(chosen), self.inputs, self.opinions)


def answer_all(
    reader: ClipReader,
    samples: Iterable[TrainSample],
    *,
    orders: int = 1,
    seed: int = 0,
) -> list[Answered]:
    """Ask every label question, exactly as `analyze` does."""
    found = []
    for sample in samples:
        scored = reader.score(reader.read(sample.features, sample.transcript), sample.labels, orders=orders, seed=seed)
        prior = reader.prior(sample.labels, orders=orders, seed=seed)
        found.append(
            Answered(
                clip=sample.clip,
                source=sample.source,
                labels=sample.labels,
                raw=scored.mean,
                prior=prior.mean,
                right=sample.labels.index(sample.answer),
                inputs=inputs_of_sample(sample, reader.model.config.groups),
                order_sensitivity=scored.order_sensitivity,
                opinions=opinions_of(sample.features, reader.model.config.groups),
                per_order=scored.per_order,
            )
        )
    return found


Ask = Callable[[Sequence[TrainSample], int], list[Answered]]
"""Asks label questions under so many label orders; where there are several processes each gets all answers."""


def answer_together(
    reader: ClipReader, samples: Sequence[TrainSample], orders: int, *, seed: int, sharded: bool = False
) -> list[Answered]:
    """Ask label questions, each on one of the processes; every process gives all answers.

    `sharded`: the weights lie in parts on all processes, which then must all take part in every question.
    """
    state = PartialState()
    world, rank = state.num_processes, state.process_index
    alone = world == 1 or sharded
    mine = list(samples) if alone else list(samples)[rank::world]
    bar = working(mine, total=len(mine), about="asking") if orders > 1 and rank == 0 else mine
    found = answer_all(reader, bar, orders=orders, seed=seed)
    if alone:
        return found
    parts: list[Any] = [None] * world
    torch.distributed.all_gather_object(parts, found)
    whole: list[Any] = [None] * len(samples)
    for number, part in enumerate(parts):
        whole[number::world] = part
    return whole


def inputs_of_sample(sample: TrainSample, groups: Sequence[FeatureGroup]) -> tuple[Modality, ...]:
    """Which inputs a sample has."""
    found = {group.modality for group in groups if group.name in sample.features}
    return tuple(m for m in MODALITIES if m in found or (m == "text" and sample.transcript is not None))


def scores_of(answers: Sequence[Answered], calibration: Calibration | None = None) -> Scores:
    """Give war, uar, weighted_f1, nll, ece, n and mean order sensitivity of answers to one label set."""
    found: dict[str, NDArray[np.float64]] = {}
    for statistic in statistics_of([answer.probabilities(calibration) for answer in answers], answers):
        found |= point_scores(statistic)
    kept = {name: float(found[name][0]) for name in ("war", "uar", "weighted_f1", "nll", "ece")}
    return {**kept, "order_sensitivity": float(np.mean([a.order_sensitivity for a in answers])), "n": len(answers)}


def order_spread(answers: Sequence[Answered], calibration: Calibration) -> float | None:
    """Give the highest less the lowest WAR that a single label order has; `None` where orders were not kept."""
    orders = min(len(answer.per_order) for answer in answers)
    if orders < 2:
        return None
    wars = []
    for order in range(orders):
        single = [replace(answer, raw=answer.per_order[order]) for answer in answers]
        wars.append(scores_of(single, calibration)["war"])
    return max(wars) - min(wars)


def statistics_of(chances: Sequence[Mapping[str, float]], answers: Sequence[Answered]) -> list[Statistic]:
    """Accuracy and calibration of some chances of the answers' labels."""
    labels = answers[0].labels
    table = np.array([[one[label] for label in labels] for one in chances])  # (n, L)
    right = np.array([labels.index(answer.labels[answer.right]) for answer in answers])
    classes = class_statistic(right, table.argmax(axis=1), len(labels), over="present")
    return [classes, confidence_statistic(table, right)]


def by_source(answers: Sequence[Answered], calibration: Calibration | None = None) -> dict[str, Scores]:
    """Give the scores of each source (its clips are all asked about one label set)."""
    groups: dict[str, list[Answered]] = defaultdict(list)
    for answer in answers:
        groups[answer.source].append(answer)
    return {source: scores_of(members, calibration) for source, members in groups.items()}


def averaged(scores: dict[str, Scores]) -> Scores:
    """Give the mean of each score over sources, and the number of clips in all."""
    names = [name for name in next(iter(scores.values())) if name != "n"]
    mean = {name: float(np.mean([one[name] for one in scores.values()])) for name in names}
    return {**mean, "n": sum(one["n"] for one in scores.values())}

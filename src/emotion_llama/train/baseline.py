"""Logistic regression on the same frozen features, beside every score: what the language model must not fall below.

One regression an input, on the array that the input's first head reads (without a head: on its first feature group), or
on word counts where there are words alone. Fitted on the training side of the clips' own source where it has one, on
all sources else, without altered copies; its strength is chosen out of fold, people apart. Where a clip has several
inputs the log-chances are added (late fusion).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from emotion_llama.clip import Modality
from emotion_llama.encoders.heads import EmotionHead
from emotion_llama.encoders.temporal import MOVEMENT
from emotion_llama.errors import ManifestError
from emotion_llama.labels import canonical, is_known
from emotion_llama.train.config import SUFFIX, FeatureSettings
from emotion_llama.train.examples import Example
from emotion_llama.train.head_settings import HeadSettings
from emotion_llama.train.heads import fit_head
from emotion_llama.train.validate import Answered

STRENGTHS = (0.0003, 0.001, 0.003, 0.01)
LEAST_CHANCE = 1e-6
SENSES: tuple[Modality, ...] = ("video", "audio")

Chances = dict[str, dict[str, float]]
"""Example id → emotion → its chance."""


class Baseline:
    """Fits a regression when it is first asked for, and keeps it for the other sources that it serves."""

    def __init__(
        self,
        examples: Sequence[Example],
        groups: Sequence[FeatureSettings],
        heads: Mapping[str, EmotionHead],
        seed: int,
    ) -> None:
        self.examples = [e for e in examples if e.copy == 0 and e.question is None]
        self.groups = groups
        self.heads = heads
        self.seed = seed
        self._fitted: dict[tuple[str, ...], EmotionHead | None] = {}
        self._words: dict[str, Chances] = {}

    def answers(self, asked: Sequence[Answered]) -> list[dict[str, float] | None]:
        """Chances of the labels for each question; `None` where no regression can be fitted."""
        known = {e.id: e for e in self.examples}
        return [self._answer(known[one.clip], one) if one.clip in known else None for one in asked]

    def _answer(self, example: Example, asked: Answered) -> dict[str, float] | None:
        arrays = [first_array(name, self.groups, self.heads, example) for name in SENSES if name in asked.inputs]
        there = [array for array in arrays if array is not None and array in example.arrays]
        parts = [self._sensed(example, array) for array in there]
        if not there and asked.inputs == ("text",):
            parts = [self._read(example)]
        found = [part for part in parts if part is not None]
        if not found:
            return None
        score = {
            label: sum(float(np.log(max(part.get(_emotion(label), 0.0), LEAST_CHANCE))) for part in found)
            for label in asked.labels
        }
        top = max(score.values())
        weights = {label: float(np.exp(value - top)) for label, value in score.items()}
        return {label: weight / sum(weights.values()) for label, weight in weights.items()}

    def _sensed(self, example: Example, array: str) -> dict[str, float] | None:
        """What the regression on one array says of a clip."""
        teachers = self._teachers(example.source, array)
        key = (array, *sorted({e.source for e in teachers}))
        if key not in self._fitted:
            self._fitted[key] = self._fit(array, teachers)
        head = self._fitted[key]
        if head is None:
            return None
        return dict(zip(head.labels, map(float, head.opinion(example.arrays[array])[0]), strict=True))

    def _fit(self, array: str, teachers: Sequence[Example]) -> EmotionHead | None:
        settings = HeadSettings(name=f"baseline {array}", array=array, strengths=STRENGTHS, balance=0)
        try:
            return fit_head(settings, teachers, self.seed).head
        except ManifestError:  # too few people or emotions to fit on: there is no baseline
            return None

    def _teachers(self, source: str, array: str) -> list[Example]:
        """Training examples of the clips' own source; if there are none, of all sources, seen as these clips are."""
        having = [e for e in self.examples if e.side == "train" and array in e.arrays]
        alike = [e for e in having if e.source.endswith(SUFFIX) == source.endswith(SUFFIX)]
        own = [e for e in having if e.source == source]
        return own or alike or having

    def _read(self, example: Example) -> dict[str, float] | None:
        """What the regression on word counts says of a line of text."""
        if example.source not in self._words:
            self._words[example.source] = self._fit_words(example.source)
        return self._words[example.source].get(example.id)

    def _fit_words(self, source: str) -> Chances:
        lines = [e for e in self.examples if e.source == source and e.emotion is not None and e.transcript]
        train, test = [e for e in lines if e.side == "train"], [e for e in lines if e.side == "test"]
        if len({e.emotion for e in train}) < 2 or not test:
            return {}
        model = make_pipeline(
            TfidfVectorizer(ngram_range=(1, 2), min_df=2, sublinear_tf=True),
            LogisticRegression(class_weight="balanced", max_iter=400),
        )
        model.fit([str(e.transcript) for e in train], [str(e.emotion) for e in train])
        rows: NDArray[np.float64] = model.predict_proba([str(e.transcript) for e in test])
        labels = [str(label) for label in model.classes_]
        return {e.id: dict(zip(labels, map(float, row), strict=True)) for e, row in zip(test, rows, strict=True)}


def first_array(
    modality: Modality, groups: Sequence[FeatureSettings], heads: Mapping[str, EmotionHead], example: Example
) -> str | None:
    """Name the array of an input: what its first head reads, or its first feature group.

    A head for still pictures comes before those for all faces, which know less of a still; where the face moves, it is
    none of the input's. What is made from both inputs is neither's.
    """
    moves = MOVEMENT in example.arrays
    mine = [group for group in groups if group.needed() == (modality,) and not (group.still and moves)]
    for group in sorted(mine, key=lambda group: not group.still):
        if group.head is not None and group.head in heads:
            return heads[group.head].array
    return mine[0].name if mine else None


def _emotion(label: str) -> str:
    """What an example calls a label: its canonical name, or a word of one's own as it is (`Item.emotion`)."""
    return canonical(label) if is_known(label) else label

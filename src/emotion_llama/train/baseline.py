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
from emotion_llama.errors import ManifestError
from emotion_llama.labels import canonical
from emotion_llama.train.config import FeatureSettings, HeadSettings
from emotion_llama.train.examples import Example
from emotion_llama.train.heads import fit_head
from emotion_llama.train.person import SUFFIX
from emotion_llama.train.validate import Answered

STRENGTHS = (0.0003, 0.001, 0.003, 0.01)
LEAST_CHANCE = 1e-6
SENSES: tuple[Modality, ...] = ("video", "audio")

Chances = dict[str, dict[str, float]]
"""Example id → emotion → its chance."""


class Baseline:
    """Fits a regression when it is first asked for, and keeps it for the other sources."""

    def __init__(
        self,
        examples: Sequence[Example],
        groups: Sequence[FeatureSettings],
        heads: Mapping[str, EmotionHead],
        seed: int,
    ) -> None:
        self.examples = [e for e in examples if e.copy == 0 and e.question is None]
        self.arrays = {name: array for name in SENSES if (array := first_array(name, groups, heads)) is not None}
        self.seed = seed
        self._fitted: dict[tuple[str, str], Chances] = {}

    def answers(self, asked: Sequence[Answered]) -> list[dict[str, float] | None]:
        """Chances of the labels for each question; `None` where no regression can be fitted."""
        known = {e.id: e for e in self.examples}
        return [self._answer(known[one.clip], one) if one.clip in known else None for one in asked]

    def _answer(self, example: Example, asked: Answered) -> dict[str, float] | None:
        names = [name for name in SENSES if name in asked.inputs and self.arrays.get(name) in example.arrays]
        parts = [self._sensed(example, self.arrays[name]) for name in names]
        if not names and asked.inputs == ("text",):
            parts = [self._read(example)]
        found = [part for part in parts if part is not None]
        if not found:
            return None
        score = {
            label: sum(float(np.log(max(part.get(canonical(label), 0.0), LEAST_CHANCE))) for part in found)
            for label in asked.labels
        }
        top = max(score.values())
        weights = {label: float(np.exp(value - top)) for label, value in score.items()}
        return {label: weight / sum(weights.values()) for label, weight in weights.items()}

    def _sensed(self, example: Example, array: str) -> dict[str, float] | None:
        """What the regression on one array says of a clip."""
        if (array, example.source) not in self._fitted:
            self._fitted[array, example.source] = self._fit(array, example.source)
        return self._fitted[array, example.source].get(example.id)

    def _fit(self, array: str, source: str) -> Chances:
        settings = HeadSettings(name=f"baseline {array}", array=array, strengths=STRENGTHS, balance=0)
        asked = [e for e in self.examples if e.source == source and e.side == "test"]
        try:
            fitted = fit_head(settings, [*self._teachers(source, array), *asked], self.seed)
        except ManifestError:  # too few people or emotions to fit on: there is no baseline
            return {}
        labels = fitted.head.labels
        return {name: dict(zip(labels, map(float, row[0]), strict=True)) for name, row in fitted.opinions.items()}

    def _teachers(self, source: str, array: str) -> list[Example]:
        """Training examples of the clips' own source; if there are none, of all sources, seen as these clips are."""
        having = [e for e in self.examples if e.side == "train" and array in e.arrays]
        alike = [e for e in having if e.source.endswith(SUFFIX) == source.endswith(SUFFIX)]
        own = [e for e in having if e.source == source]
        return own or alike or having

    def _read(self, example: Example) -> dict[str, float] | None:
        """What the regression on word counts says of a line of text."""
        if ("words", example.source) not in self._fitted:
            self._fitted["words", example.source] = self._fit_words(example.source)
        return self._fitted["words", example.source].get(example.id)

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


def first_array(modality: Modality, groups: Sequence[FeatureSettings], heads: Mapping[str, EmotionHead]) -> str | None:
    """Name the array of an input: what its first head reads, or its first feature group."""
    mine = [group for group in groups if group.modality == modality]
    for group in mine:
        if group.head is not None and group.head in heads:
            return heads[group.head].array
    return mine[0].name if mine else None

"""The shipped model as a compiled graph: the same probabilities; with weights in 8 bits near ones."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from emotion_llama.analyze.numerics import Numerics
from emotion_llama.analyze.scoring import Inputs, score_labels
from emotion_llama.settings import AnalyzeSettings

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama
    from emotion_llama.analyze.calibration import Calibration
    from emotion_llama.model.score import ClipReader

pytest.importorskip("openvino", reason="needs openvino (emotion-llama[fast])")

WORDS = (
    "I can't believe that you did this to me!",
    "we won, we really won, this is the best day of my life",
    "he died last night and I was not there",
    "the train leaves at ten past eight from the second platform",
    "don't open that door, something is behind it",
    "that is disgusting, take it away",
    None,
)


def chances(reader: ClipReader, calibration: Calibration, orders: int) -> NDArray[np.float64]:
    """Probabilities (texts, labels) as a user gets them; of words alone, which only the language model judges."""
    settings = AnalyzeSettings(tasks=("emotion",), label_orders=orders)
    asked = [Inputs({}, words, () if words is None else ("text",)) for words in WORDS]
    found = [score_labels(reader, calibration, one, settings).probabilities for one in asked]
    return np.array([list(one.values()) for one in found])


@pytest.mark.weights
@pytest.mark.slow
def test_labels_are_scored_as_by_the_model(nano: EmotionLlama) -> None:
    exactly = replace(nano.preset, dtype=torch.float32, numerics=Numerics())
    plain = exactly.load_reader()
    for orders in (1, 4):
        exact = chances(plain, nano.calibration, orders)
        for numerics, most, mean in ((Numerics(compiled=True), 1e-4, 1e-4), (Numerics(quantize="int8"), 0.15, 0.02)):
            reader = replace(exactly, numerics=numerics).running(plain)
            difference = np.abs(chances(reader, nano.calibration, orders) - exact)
            assert difference.max() < most and difference.mean() < mean, (numerics, orders)

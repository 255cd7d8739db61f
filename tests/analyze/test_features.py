"""What was perceived becomes named features; what is missing has no entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from emotion_llama.analyze.features import OPINION_SAMPLES, encode
from emotion_llama.analyze.perceive import Percept, Stopwatch
from emotion_llama.encoders.face_tokens import HEAD_WIDTH
from emotion_llama.encoders.features import FeatureCache
from emotion_llama.encoders.heads import EmotionHead
from emotion_llama.measurements import FaceMeasures


def flat_head(name: str, width: int, labels: int) -> EmotionHead:
    zeros = np.zeros(width, np.float32)
    words = tuple(f"label{n}" for n in range(labels))
    return EmotionHead(name, words, zeros, zeros + 1, np.zeros((width, labels), np.float32), np.zeros(labels))


class FakeParts(SimpleNamespace):
    """Constant encoders that keep what they were shown."""

    feature_cache: FeatureCache | None = None

    def __init__(self) -> None:
        self.crops: list[int] = []
        super().__init__(
            global_encoder=lambda rgb: np.full((1, 1280), rgb.mean(), np.float32),
            opinion_net=self.opinion,
            audio_encoder=SimpleNamespace(features=self.hear),
            heads={"face_emotion": flat_head("face", HEAD_WIDTH, 4), "voice_emotion": flat_head("voice", 9, 5)},
        )

    def opinion(self, crops: np.ndarray) -> np.ndarray:
        self.crops.append(len(crops))
        return np.full((len(crops), 7), 1 / 7, np.float32)

    def hear(self, waveform: Any) -> dict[str, np.ndarray]:
        return {"audio": np.ones((4, 512), np.float32), "audio_layers": np.ones((1, 9), np.float32)}


def features(percept: Percept, heard: bool = True, parts: FakeParts | None = None) -> dict[str, tuple[int, ...]]:
    found = encode(percept, parts or FakeParts(), heard, Stopwatch())  # type: ignore[arg-type]
    assert all(rows.dtype == np.float32 and np.isfinite(rows).all() for rows in found.values())
    return {name: rows.shape for name, rows in found.items()}


def test_everything_there(percept: Percept, make_faces: Callable[..., FaceMeasures]) -> None:
    parts = FakeParts()
    assert features(replace(percept, faces=make_faces(frames=60)), parts=parts) == {
        "global": (1, 1280), "local": (2, 135), "face_emotion": (1, 4), "temporal": (4, 36),
        "audio": (4, 512), "voice_emotion": (1, 5),
    }  # fmt: skip
    assert parts.crops == [OPINION_SAMPLES]


def test_probabilities_of_the_heads_sum_to_one(percept: Percept) -> None:
    found = encode(percept, FakeParts(), True, Stopwatch())  # type: ignore[arg-type]
    for name in ("face_emotion", "voice_emotion"):
        assert found[name].sum() == pytest.approx(1, abs=1e-5)


def test_missing_things_have_no_entry(
    percept: Percept, no_face: FaceMeasures, make_faces: Callable[..., FaceMeasures]
) -> None:
    assert features(percept, heard=False).keys() == {"global", "local", "face_emotion", "temporal"}
    assert features(replace(percept, faces=no_face), heard=False).keys() == {"global"}
    assert "temporal" not in features(replace(percept, faces=make_faces(frames=1)))
    blind = replace(percept, faces=None, frame=None)
    assert features(blind).keys() == {"audio", "voice_emotion"}
    assert features(replace(blind, waveform=None)) == {}


def test_a_recording_seen_before_is_not_encoded_again(percept: Percept, tmp_path: Path) -> None:
    parts = FakeParts()
    parts.feature_cache = FeatureCache(tmp_path)
    first = encode(percept, parts, True, Stopwatch())  # type: ignore[arg-type]
    parts.audio_encoder = parts.global_encoder = None  # would fail if they were asked again
    again = encode(percept, parts, True, Stopwatch())  # type: ignore[arg-type]
    assert set(first) == set(again) and all(np.array_equal(first[name], again[name]) for name in first)


def test_a_cache_that_cannot_be_written_costs_no_analysis(percept: Percept, tmp_path: Path) -> None:
    (tmp_path / "features").write_text("a file where the folder should be")
    parts = FakeParts()
    parts.feature_cache = FeatureCache(tmp_path / "features")
    assert "audio" in encode(percept, parts, True, Stopwatch())  # type: ignore[arg-type]

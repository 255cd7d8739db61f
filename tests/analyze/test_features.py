"""What was perceived becomes named features; what is missing has no entry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from emotion_llama.analyze.features import OPINION_SAMPLES, encode, for_model
from emotion_llama.analyze.perceive import Percept, Stopwatch
from emotion_llama.encoders.features import FeatureCache
from emotion_llama.encoders.heads import EmotionHead, Layer
from emotion_llama.measurements import FaceMeasures, VoiceTrace
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.model.configuration import FeatureGroup


def flat_head(name: str, array: str, width: int, labels: int) -> EmotionHead:
    """A head that prefers its first label a little, whatever it sees."""
    words = tuple(f"label{n}" for n in range(labels))
    layer = Layer(np.zeros((width, labels), np.float32), np.eye(1, labels, dtype=np.float32)[0])
    return EmotionHead.linear(name, array, words, (np.zeros(width, np.float32), np.ones(width, np.float32)), layer)


HEADS = {
    "face_emotion": flat_head("face_emotion", "face_expressions", 14, 4),
    "voice_emotion": flat_head("voice_emotion", "audio_statistics", 9, 5),
}
GROUPS = tuple(
    FeatureGroup(name, width, tokens, modality)
    for name, width, tokens, modality in (
        ("voice_emotion", 5, 1, "audio"), ("global", 1280, 1, "video"), ("face_emotion", 4, 1, "video"),
        ("temporal", 36, 4, "video"), ("audio", 512, 4, "audio"),
    )
)  # fmt: skip


class FakeParts(SimpleNamespace):
    """Constant encoders that keep what they were shown."""

    feature_cache: FeatureCache | None = None

    def __init__(self) -> None:
        self.crops: list[int] = []
        self.heard_s: list[float] = []
        super().__init__(
            own_global=None,
            own_local=None,
            own_temporal=None,
            own_audio=None,
            released=False,
            global_encoder=lambda rgb: np.full((1, 1280), rgb.mean(), np.float32),
            opinion_net=SimpleNamespace(look=self.look),
            expression_net=SimpleNamespace(grid=lambda crops: np.zeros((len(crops), 512), np.float32)),
            audio_encoder=SimpleNamespace(features=self.hear),
        )

    def look(self, crops: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        self.crops.append(len(crops))
        return np.full((len(crops), 7), 1 / 7, np.float32), np.zeros((len(crops), 1280), np.float32)

    def hear(self, waveform: Any) -> dict[str, np.ndarray]:
        self.heard_s.append(waveform.duration_s)
        return {"audio": np.ones((4, 512), np.float32), "audio_statistics": np.ones((1, 9), np.float32)}


def features(percept: Percept, heard: bool = True, parts: FakeParts | None = None) -> dict[str, tuple[int, ...]]:
    found = encode(percept, parts or FakeParts(), heard, Stopwatch())  # type: ignore[arg-type]
    assert all(rows.dtype == np.float32 and np.isfinite(rows).all() for rows in found.values())
    return {name: rows.shape for name, rows in found.items()}


def test_everything_there(percept: Percept, make_faces: Callable[..., FaceMeasures]) -> None:
    parts = FakeParts()
    assert features(replace(percept, faces=make_faces(frames=60)), parts=parts) == {
        "global": (1, 1280), "local": (2, 135), "face_expressions": (OPINION_SAMPLES, 14),
        "face_view": (OPINION_SAMPLES, 1829), "temporal": (4, 36), "audio": (4, 512), "audio_statistics": (1, 9),
    }  # fmt: skip
    assert parts.crops == [OPINION_SAMPLES]


def test_long_silence_around_speech_is_not_part_of_the_voice(percept: Percept) -> None:
    assert percept.sound is not None
    nothing = np.zeros(0, np.float32)
    trace = VoiceTrace(nothing, nothing, nothing, speech_s=((5.0, 6.0),))
    sound = Waveform(np.zeros(20 * SAMPLE_RATE_HZ, np.float32))
    parts, own = FakeParts(), FakeParts()
    own.own_audio, own.own_audio.folder = own.audio_encoder, Path("somebodys-encoder")
    for one in (parts, own):
        features(replace(percept, waveform=sound, sound=replace(percept.sound, trace=trace)), parts=one)
    assert parts.heard_s == [4.0], "1.5 s on either side are kept"
    assert own.heard_s == [20.0], "an encoder of one's own hears what its makers gave it"


def test_a_model_gets_its_groups_in_its_order_and_its_heads_opinions(percept: Percept) -> None:
    encoded = encode(percept, FakeParts(), True, Stopwatch())  # type: ignore[arg-type]
    found = for_model(encoded, HEADS, GROUPS)
    assert list(found) == ["voice_emotion", "global", "face_emotion", "temporal", "audio"]
    for name in ("global", "temporal", "audio"):
        np.testing.assert_array_equal(found[name], encoded[name])
    for name, labels in (("face_emotion", 4), ("voice_emotion", 5)):
        expected = np.array([np.e] + [1] * (labels - 1)) / (np.e + labels - 1)
        assert found[name].shape == (1, labels)  # one row, however many frames were looked at
        np.testing.assert_allclose(found[name][0], expected, rtol=1e-5)


def test_a_group_whose_input_is_missing_has_no_entry(percept: Percept) -> None:
    deaf = encode(percept, FakeParts(), False, Stopwatch())  # type: ignore[arg-type]
    assert list(for_model(deaf, HEADS, GROUPS)) == ["global", "face_emotion", "temporal"]
    assert for_model({}, HEADS, GROUPS) == {}
    assert list(for_model(deaf, {}, GROUPS)) == ["global", "temporal"]  # a checkpoint without heads


def test_a_group_for_still_pictures_is_left_out_where_the_face_moves(
    percept: Percept, make_faces: Callable[..., FaceMeasures]
) -> None:
    groups = [replace(group, still=group.name == "face_emotion") for group in GROUPS]
    moving, still = (
        encode(replace(percept, faces=make_faces(frames=count)), FakeParts(), False, Stopwatch())  # type: ignore[arg-type]
        for count in (9, 1)
    )
    assert list(for_model(moving, HEADS, groups)) == ["global", "temporal"]
    assert list(for_model(still, HEADS, groups)) == ["global", "face_emotion"]


def test_missing_things_have_no_entry(
    percept: Percept, no_face: FaceMeasures, make_faces: Callable[..., FaceMeasures]
) -> None:
    assert features(percept, heard=False).keys() == {
        "global",
        "local",
        "face_view",
        "temporal",
        "face_expressions",
    }
    assert features(replace(percept, faces=no_face), heard=False).keys() == {"global"}
    assert "temporal" not in features(replace(percept, faces=make_faces(frames=1)))
    blind = replace(percept, faces=None, frame=None)
    assert features(blind).keys() == {"audio", "audio_statistics"}
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

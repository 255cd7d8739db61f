"""What was perceived → the named features that the language model reads."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Percept, Stopwatch
from emotion_llama.encoders.face_tokens import face_emotion, head_rows, local_tokens, pick_samples
from emotion_llama.encoders.temporal import FaceDynamics
from emotion_llama.media.types import Frame, Waveform
from emotion_llama.perception.measurements import FaceMeasures

OPINION_SAMPLES = 8
"""Frames the second expression net looks at: it is the slowest of the face nets (about 15 ms a frame)."""

Features = dict[str, NDArray[np.float32]]


def encode(percept: Percept, parts: Parts, heard: bool, watch: Stopwatch) -> Features:
    """Give the features of one clip, name → (N, E). An input that is missing has no entry.

    `heard` says whether the sound counts as present (it may be silent, too short, or left out by the user).
    """
    features: Features = {}
    if percept.faces is not None and percept.frame is not None:
        features |= encode_picture(percept.frame, percept.faces, parts, watch)
    if heard and percept.waveform is not None:
        with watch.time("audio encoder"):
            features |= encode_sound(percept.waveform, parts)
    return features


def encode_picture(frame: Frame, faces: FaceMeasures, parts: Parts, watch: Stopwatch) -> Features:
    """`global` (1, 1280); `local` (2, 135), `face_emotion` (1, K) with a face, `temporal` (4, 36) if it moves."""
    with watch.time("global encoder"):
        features: Features = {"global": parts.global_encoder(frame.rgb)}
    local = local_tokens(faces)
    if local is None:
        return features
    features["local"] = local
    with watch.time("face head"):
        features["face_emotion"] = face_emotion(parts.heads["face_emotion"], face_rows(faces, parts))
    if faces.action_units is not None and len(faces.action_units.time_s) > 1:
        features["temporal"] = FaceDynamics()(faces.action_units)
    return features


def face_rows(faces: FaceMeasures, parts: Parts) -> NDArray[np.float32]:
    """Rows for the face head from a few samples of the main track (n, `HEAD_WIDTH`)."""
    assert faces.main is not None and faces.action_units is not None
    assert faces.face_features is not None and faces.expressions is not None
    picked = pick_samples(faces, OPINION_SAMPLES)
    samples = faces.tracks[faces.main].samples
    opinions = parts.opinion_net(np.stack([samples[i].crop for i in picked]))  # (n, 7)
    return head_rows(
        faces.face_features[picked], faces.expressions[picked], opinions, faces.action_units.intensity[picked]
    )


def encode_sound(waveform: Waveform, parts: Parts) -> Features:
    """`audio` (4, 512) and `voice_emotion` (1, K)."""
    heard = parts.audio_encoder.features(waveform)
    probabilities = np.exp(parts.heads["voice_emotion"].log_probabilities(heard["audio_layers"]))
    return {"audio": heard["audio"], "voice_emotion": probabilities}

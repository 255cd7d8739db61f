"""What was perceived → the named features that the language model reads."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Percept, Stopwatch
from emotion_llama.encoders.face_mae import FaceMae
from emotion_llama.encoders.face_tokens import expression_rows, local_tokens, pick_samples, view_rows
from emotion_llama.encoders.features import Features, feature_key
from emotion_llama.encoders.heads import EmotionHead
from emotion_llama.encoders.picture import PictureEncoder
from emotion_llama.encoders.pooling import pool_rows
from emotion_llama.encoders.temporal import MOVEMENT, FaceDynamics
from emotion_llama.errors import OutputError
from emotion_llama.measurements import FaceMeasures
from emotion_llama.media.types import Frame, Waveform
from emotion_llama.model.configuration import FeatureGroup
from emotion_llama.perception.geometry import measure, neutral_face
from emotion_llama.perception.sound import near_speech

OPINION_SAMPLES = 16
"""Frames the second expression net looks at: it is the slowest of the face nets (about 6 ms a frame)."""

LOCAL_SAMPLES = 16
"""Frames an own local encoder looks at, as the paper's."""

FEATURES_VERSION = "5"
"""Part of the cache key: changes when an encoder or what goes into it changes."""


def encode(percept: Percept, parts: Parts, heard: bool, watch: Stopwatch, given: Collection[str] = ()) -> Features:
    """Give what the encoders say of one clip, name → (N, E). An input that is missing has no entry.

    `heard` says whether the sound counts as present (it may be silent, too short, or left out by the user). Features in
    `given` are had from elsewhere: the slow encoders of a released model are not run for them. Names:
    `global` (1, 1280); `local` (2, 135), `face_expressions` (n, 14) and `face_view` (n, 1829) with a face; `temporal`
    (4, 36) if it moves; `audio` (4, 512), `audio_mix` (4, 1536), `audio_statistics` (1, 6144).
    """
    features: Features = {}
    if percept.faces is not None and percept.frame is not None:
        features |= encode_picture(percept, percept.frame, percept.faces, parts, watch, given)
    if heard and percept.waveform is not None and not (parts.own_audio is not None and "audio" in given):
        with watch.time("audio encoder"):
            features |= encode_sound(percept, percept.waveform, parts)
    return features


def for_model(encoded: Features, heads: Mapping[str, EmotionHead], groups: Iterable[FeatureGroup]) -> Features:
    """Give the feature groups a model reads, in its order: encoder outputs as they are, and its heads' opinions.

    A group whose input is missing has no entry, and one for still pictures none where the face moves.
    """
    found: Features = {}
    for group in groups:
        if group.still and MOVEMENT in encoded:
            continue
        if group.name in heads:
            head = heads[group.name]
            if head.array in encoded:
                found[group.name] = head.opinion(encoded[head.array])
        elif group.name in encoded:
            found[group.name] = pool_rows(encoded[group.name], group.tokens)
    return found


def kept(
    percept: Percept, parts: Parts, step: str, settings: dict[str, object], compute: Callable[[], Features]
) -> Features:
    """Give the features of one encoder from the cache, or compute and keep them.

    A cache folder that cannot be written costs speed, not the analysis: it is logged.
    """
    if parts.feature_cache is None or percept.media is None or not percept.whole:
        return compute()
    span_s = (percept.clip.start_s, percept.clip.end_s)
    key = feature_key(percept.media.sha256, span_s, step, FEATURES_VERSION, settings)
    try:
        return parts.feature_cache.get_or_compute(key, compute)
    except OutputError as error:
        logging.getLogger(__name__).warning("%s", error)
        return compute()


def encode_picture(
    percept: Percept,
    frame: Frame,
    faces: FaceMeasures,
    parts: Parts,
    watch: Stopwatch,
    given: Collection[str] = (),
) -> Features:
    """`global`, and `local`, `face_expressions`, `face_view`, `temporal` where there is a face.

    The heads' rows (`face_…`) are left out where the global encoder is an own one: such a model has no such heads.
    """
    features: Features = {}
    if "global" not in given:
        with watch.time("global encoder"):
            features |= encode_whole(percept, frame, parts)
    local = local_tokens(faces)
    if local is None:
        return features
    features["local"] = local
    if parts.own_local is not None and "local" not in given:
        with watch.time("local encoder"):
            features["local"] = own_local(faces, parts.own_local, parts.released)
    if parts.own_global is None:
        with watch.time("face rows"):
            features |= face_rows(faces, parts)
    series = faces.mesh_action_units or faces.action_units
    if series is not None and len(series.time_s) > 1:
        features[MOVEMENT] = FaceDynamics()(series)
        if parts.own_temporal is not None and MOVEMENT not in given:
            with watch.time("temporal encoder"):
                features[MOVEMENT] = parts.own_temporal(crops_of(faces))
    if parts.released:  # such a model reads the paper's encoders, and nothing in their place
        own = {"local": parts.own_local, MOVEMENT: parts.own_temporal}
        features = {name: rows for name, rows in features.items() if own.get(name, rows) is not None}
    return features


def encode_whole(percept: Percept, frame: Frame, parts: Parts) -> Features:
    """`global` of one whole frame, and `global_cls` of an own global encoder."""
    settings: dict[str, object] = {"time_s": frame.time_s}
    own = parts.own_global
    if own is None:
        return kept(percept, parts, "global", settings, lambda: {"global": parts.global_encoder(frame.rgb)})
    return kept(percept, parts, "global", settings | _own_key(own.folder), lambda: own.features(frame.rgb))


def crops_of(faces: FaceMeasures) -> NDArray[np.uint8]:
    """Crops of the main face, in time order (n, H, W, 3)."""
    assert faces.main is not None
    return np.stack([sample.crop for sample in faces.tracks[faces.main].samples])


def own_local(faces: FaceMeasures, encoder: FaceMae | PictureEncoder, every_frame: bool = False) -> NDArray[np.float32]:
    """Rows of an own local encoder (2, E): the mean over evenly spread frames, and the peak frame.

    `every_frame`: one row (1, E), the mean over all of them, as the released features are.
    """
    assert faces.peak is not None
    if every_frame:
        mean: NDArray[np.float32] = encoder.frames(crops_of(faces)).mean(axis=0, keepdims=True)
        return mean
    crops, picked = crops_of(faces), pick_samples(faces, LOCAL_SAMPLES)
    rows = encoder.frames(crops[picked])
    peak = rows[int(np.flatnonzero(picked == faces.peak)[0])]
    return np.stack([rows.mean(axis=0), peak]).astype(np.float32)


def face_rows(faces: FaceMeasures, parts: Parts) -> Features:
    """Rows for face heads from a few samples of the main track: `face_expressions` (n, 14), `face_view` (n, 1829)."""
    assert faces.main is not None and faces.expressions is not None
    picked = pick_samples(faces, OPINION_SAMPLES)
    samples = faces.tracks[faces.main].samples
    crops = np.stack([samples[i].crop for i in picked])
    opinions, pooled = parts.opinion_net.look(crops)  # (n, 7), (n, 1280)
    population = neutral_face()
    meshes, _ = measure(np.stack([samples[i].mesh_px for i in picked]))
    distances = ((meshes - population.mean) / population.spread).astype(np.float32)  # (n, 23)
    expressions = faces.expressions[picked]
    return {
        "face_expressions": expression_rows(expressions, opinions),
        "face_view": view_rows(parts.expression_net.grid(crops), pooled, expressions, opinions, distances),
    }


def _own_key(folder: Path) -> dict[str, object]:
    """What tells the features of one own encoder from those of another: the size and time of its weight files."""
    files = sorted(folder.glob("*.safetensors"))
    return {"own": [(file.name, file.stat().st_size, file.stat().st_mtime_ns) for file in files]}


def encode_sound(percept: Percept, waveform: Waveform, parts: Parts) -> Features:
    """`audio`, `audio_mix`, `audio_statistics`; of an own audio encoder `audio` alone.

    Our own projectors and heads learned from recordings with little around the speech, and take long silence for part
    of the voice: they are given what lies near speech. An own encoder gets the sound as it is, as its makers had it.
    """
    own = parts.own_audio
    if own is not None:
        return dict(kept(percept, parts, "audio", _own_key(own.folder), lambda: own.features(waveform)))
    near = near_speech(waveform, percept.speech_s)
    return dict(kept(percept, parts, "audio", {}, lambda: parts.audio_encoder.features(near)))

"""A preset or checkpoint folder as the service uses it: what was perceived lately is remembered."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emotion_llama import assets
from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.perceive import Percept
from emotion_llama.analyze.preset import WEIGHTS_LICENCE, Preset, load_preset
from emotion_llama.analyze.report import Drawing, draw
from emotion_llama.analyze.stopwatch import Stopwatch
from emotion_llama.clip import TASKS, Analysis, Clip
from emotion_llama.encoders.features import Features
from emotion_llama.media.probe import sha256_of
from emotion_llama.model.checkpoint import adapter_sha256
from emotion_llama.perception.faces import MIN_SCORE, FaceDetector
from emotion_llama.serve.model import Box
from emotion_llama.settings import AnalyzeSettings

PERCEPTS = 4
"""Clips whose perception is remembered, for the next question about them: up to some 50 MB each."""

AFTER_PERCEPTION = (
    "labels", "tasks", "label_orders", "max_new_tokens", "phrasing", "layout", "label_method", "verified",
    "attribution", "min_confidence", "max_risk", "gate", "baseline", "blur_faces", "language",
)  # fmt: skip
"""Settings that change nothing of what is perceived."""


@dataclass
class _Remembered:
    """What was perceived of a clip, and the features by what counted as present."""

    percept: Percept
    features: dict[tuple[bool, tuple[str, ...]], Features] = field(default_factory=dict)


class _Remembering(EmotionLlama):
    """Perceives and encodes the same content once, whatever is asked about it. One thread at a time."""

    def __init__(self, preset: Preset) -> None:
        super().__init__(preset)
        self._known: OrderedDict[tuple[object, ...], _Remembered] = OrderedDict()
        self._last: _Remembered | None = None

    def perceive(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Percept:
        if clip.path is None:
            return super().perceive(clip, settings, watch)
        asked = settings.model_dump_json(exclude=set(AFTER_PERCEPTION))
        key = (sha256_of(clip.path), clip.start_s, clip.end_s, clip.transcript, asked)
        if key not in self._known:
            self._known[key] = _Remembered(super().perceive(clip, settings, watch))
        self._known.move_to_end(key)
        while len(self._known) > PERCEPTS:
            self._known.popitem(last=False)
        self._last = self._known[key]
        found = self._last.percept
        media = None if found.media is None else replace(found.media, path=clip.path)
        return replace(found, clip=clip, media=media)

    def encode(self, percept: Percept, heard: bool, watch: Stopwatch, given: tuple[str, ...] = ()) -> Features:
        last = self._last
        # only what was perceived just now: words alone, parts of a recording, or other ones are encoded as ever
        if percept.media is None or last is None or not _same(percept, last.percept):
            return super().encode(percept, heard, watch, given)
        if (heard, given) not in last.features:
            last.features[heard, given] = super().encode(percept, heard, watch, given)
        return last.features[heard, given]


def _same(one: Percept, other: Percept) -> bool:
    return all(getattr(one, name) is getattr(other, name) for name in ("faces", "frame", "sound", "waveform"))


class ServedModel:
    """A loaded preset or checkpoint folder. Nothing about a recording is written to disk."""

    def __init__(self, name: str, device: str = "auto") -> None:
        preset = replace(load_preset(name, device=device, dtype="auto", threads=None), keep_features=False)
        # a folder's path is the server's own business
        self.name = Path(name).name if Path(name).is_dir() else name
        self._model = _Remembering(preset)
        # a converted release writes without capitals and full stops, which are put back when it has finished
        self.streams = not self._model.parts.released

    @cached_property
    def _detector(self) -> FaceDetector:
        return FaceDetector(assets.path("blazeface-short-range"))

    def warm(self) -> None:
        """Load the nets of perception, the encoders and the language model, and ask it once."""
        parts = self._model.parts
        _ = parts.face_reader, parts.transcriber, parts.heads
        own = {"global": parts.own_global, "audio": parts.own_audio}
        if own["global"] is None and not parts.released:
            _ = parts.global_encoder, parts.opinion_net
        if own["audio"] is None and not parts.released:
            _ = parts.audio_encoder
        _ = parts.own_local, parts.own_temporal
        self._model.analyze(transcript="Hello there!")

    def card(self) -> Mapping[str, Any]:
        """What the model is."""
        preset = self._model.preset
        return {
            "tasks": list(TASKS),
            "trained_labels": list(self._model.trained),
            "weights_licence": WEIGHTS_LICENCE if preset.name == "nano" else None,
            "weights_sha256": adapter_sha256(preset.folder),
            "device": preset.device,
        }

    def examine(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Analysis:
        """Analyse one clip."""
        return self._model.examine(clip, settings, lambda window, _: watch.window(window), watch).analysis

    def draw(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Drawing:
        """Analyse one clip, and draw its pictures and curves."""
        result = self._model.examine(clip, settings, watch=watch)
        with watch.time("draw"):
            return draw(result.analysis, result.material)

    def faces(self, clip: Clip, watch: Stopwatch) -> tuple[Box, ...]:
        """Give the faces of the chosen frame."""
        settings = AnalyzeSettings(transcribe=False, without=("audio", "text"))
        percept = self._model.perceive(clip, settings, watch)
        if percept.frame is None:
            return ()
        height, width = percept.frame.rgb.shape[:2]
        found = self._detector.everywhere(percept.frame.rgb, MIN_SCORE)
        shares = (box.corners_px / np.array([width, height, width, height]) for box in found)
        return distinct([(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in shares])


def distinct(boxes: Sequence[Box]) -> tuple[Box, ...]:
    """Leave out boxes around a face that a surer one holds already: the same face, found at another size.

    Two boxes are of one face where the middle of one lies in the other. `boxes`: surest first.
    """
    kept: list[Box] = []
    for box in boxes:
        if not any(_holds_middle(box, other) or _holds_middle(other, box) for other in kept):
            kept.append(box)
    return tuple(kept)


def _holds_middle(box: Box, other: Box) -> bool:
    x, y = (other[0] + other[2]) / 2, (other[1] + other[3]) / 2
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]

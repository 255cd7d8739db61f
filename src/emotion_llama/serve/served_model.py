"""A preset or checkpoint folder as the service uses it: what was perceived lately is remembered."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from emotion_llama import assets
from emotion_llama.analyze.analyzer import EmotionLlama, Looked, Result
from emotion_llama.analyze.numerics import Numerics
from emotion_llama.analyze.perceive import Percept
from emotion_llama.analyze.preset import WEIGHTS_LICENCE, Preset, load_preset
from emotion_llama.analyze.report import draw
from emotion_llama.analyze.results import build_material
from emotion_llama.analyze.stopwatch import Stopwatch
from emotion_llama.clip import TASKS, Clip
from emotion_llama.encoders.features import Features
from emotion_llama.media.probe import probe, sha256_of
from emotion_llama.model.checkpoint import adapter_sha256
from emotion_llama.model.score import ClipReader
from emotion_llama.perception.faces import MIN_SCORE, FaceDetector
from emotion_llama.serve.model import Answer, Box, Faces, Looker, Perceived
from emotion_llama.settings import AnalyzeSettings

PERCEPTS = 4
"""Recordings, and still pictures, whose perception is remembered: a recording's takes up to some 50 MB."""

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


class _Memory:
    """The last clips that were perceived, for all threads.

    Pictures of a camera, which come by the second, have a memory of their own, or they would drive recordings out.
    """

    def __init__(self) -> None:
        self._turn = threading.Lock()
        self._known: dict[bool, OrderedDict[tuple[object, ...], _Remembered]] = {
            True: OrderedDict(),
            False: OrderedDict(),
        }

    def recall(self, key: tuple[object, ...], picture: bool) -> _Remembered | None:
        """Give what is known of a clip, which is then the latest."""
        with self._turn:
            if key in self._known[picture]:
                self._known[picture].move_to_end(key)
            return self._known[picture].get(key)

    def keep(self, key: tuple[object, ...], picture: bool, found: _Remembered) -> None:
        """Keep a clip, and of the others the latest."""
        with self._turn:
            self._known[picture][key] = found
            while len(self._known[picture]) > PERCEPTS:
                self._known[picture].popitem(last=False)


class _Remembering(EmotionLlama):
    """Perceives and encodes the same content once, whatever is asked about it. One thread at a time.

    `other`: one whose language model and memory it shares; each has eyes and ears of its own.
    """

    def __init__(self, preset: Preset, other: _Remembering | None = None) -> None:
        super().__init__(preset)
        self._memory: _Memory = _Memory() if other is None else other._memory
        self._last: _Remembered | None = None
        self._other = other

    @cached_property
    def reader(self) -> ClipReader:
        """The language model: one for all that share it."""
        return super().reader if self._other is None else self._other.reader

    def perceive(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Percept:
        if clip.path is None:
            return super().perceive(clip, settings, watch)
        asked = settings.model_dump_json(exclude=set(AFTER_PERCEPTION))
        key = (sha256_of(clip.path), clip.start_s, clip.end_s, clip.transcript, asked)
        picture = probe(clip.path).kind == "image"
        known = self._memory.recall(key, picture)
        if known is None:
            known = _Remembered(super().perceive(clip, settings, watch))
            self._memory.keep(key, picture, known)
        self._last = known
        found = known.percept
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


class ServedLooker:
    """Eyes and ears of their own; `model` answers with the language model of all."""

    def __init__(self, model: _Remembering) -> None:
        self.model = model

    @cached_property
    def _detector(self) -> FaceDetector:
        return FaceDetector(assets.path("blazeface-short-range"))

    def look(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch, drawn: bool = False) -> Looked | Result:
        """Perceive and encode one clip; with `settings.timeline` that is all there is to do."""
        if not settings.timeline:
            return self.model.look(clip, settings, watch=watch)
        with watch.time("windows"):
            return self.model.look(clip, settings, lambda window, _: watch.window(window))

    def faces(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Faces:
        """Give the faces of the chosen frame, and the frame, in which `settings.blur_faces` hides them."""
        seen = AnalyzeSettings(transcribe=False, without=("audio", "text"))
        percept = self.model.perceive(clip, seen, watch)
        if percept.frame is None:
            return Faces()
        height, width = percept.frame.rgb.shape[:2]
        found = self._detector.everywhere(percept.frame.rgb, MIN_SCORE)
        shares = (box.corners_px / np.array([width, height, width, height]) for box in found)
        boxes = distinct([(float(x0), float(y0), float(x1), float(y1)) for x0, y0, x1, y1 in shares])
        finder = self.model.parts.all_faces if settings.blur_faces else None
        return Faces(boxes, build_material(percept, finder).peak_rgb)

    def warm(self) -> None:
        """Load the nets of perception and the encoders."""
        parts = self.model.parts
        _ = parts.face_reader, parts.transcriber, parts.heads
        own = {"global": parts.own_global, "audio": parts.own_audio}
        if own["global"] is None and not parts.released:
            _ = parts.global_encoder, parts.opinion_net
        if own["audio"] is None and not parts.released:
            _ = parts.audio_encoder
        _ = parts.own_local, parts.own_temporal


class ServedModel:
    """A loaded preset or checkpoint folder, with `workers` that look at recordings. Nothing is written to disk."""

    def __init__(
        self,
        name: str,
        device: str = "auto",
        workers: int = 1,
        dtype: str = "auto",
        numerics: Numerics | None = None,
    ) -> None:
        found = load_preset(name, device=device, dtype=dtype, threads=None, numerics=numerics)
        preset = replace(found, keep_features=False)
        # a folder's path is the server's own business
        self.name = Path(name).name if Path(name).is_dir() else name
        self._model = _Remembering(preset)
        others = [_Remembering(preset, self._model) for _ in range(workers - 1)]
        self._lookers = [ServedLooker(one) for one in (self._model, *others)]
        self.lookers: Sequence[Looker] = self._lookers
        # a converted release writes without capitals and full stops, which are put back when it has finished
        self.streams = not self._model.parts.released

    def warm(self) -> None:
        """Load everything, and ask the language model once."""
        for looker in self._lookers:
            looker.warm()
        self._model.analyze(transcript="Hello there!", max_new_tokens=8)

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

    def answer(self, clips: Sequence[Perceived]) -> list[Answer | Exception]:
        """Answer about several clips, side by side."""
        found: list[Answer | Exception] = []
        for clip, result in zip(clips, self._model.answer_together([clip.looked for clip in clips]), strict=True):
            try:
                found.append(result if isinstance(result, Exception) else _answer(clip, result))
            except Exception as error:  # while drawing
                found.append(error)
        return found

    def close(self) -> None:
        """Nothing of it runs outside this process."""


def _answer(clip: Perceived, result: Result) -> Answer:
    if not clip.drawn:
        return Answer(result.analysis)
    with clip.watch.time("draw"):
        return Answer(result.analysis, draw(result.analysis, result.material))


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

"""A model that answers at once, and never mixes two clips up. Loaded by path: the test folders are no packages."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from emotion_llama.analyze.report import ReportMaterial, draw
from emotion_llama.analyze.stopwatch import Stopwatch
from emotion_llama.clip import Analysis, Clip, Face, InputState, Provenance, Transcript
from emotion_llama.errors import ModelError
from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries
from emotion_llama.serve.model import Answer, Faces, Perceived
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import PersonEmotion, Stretch, Timeline, Window

FACE = Face(track=0, main=True, first_s=0.0, last_s=0.0, presence=1.0, box_px=(50, 20, 110, 100), score=0.9)
"""The face of `made_up_material`."""


def own_mark(clip: Clip) -> str:
    """What only this clip has: the hash of its content and words."""
    content = clip.path.read_bytes() if clip.path is not None else b""
    return hashlib.sha256(content + (clip.transcript or "").encode()).hexdigest()


def made_up_material() -> ReportMaterial:
    """A grey picture with a face, and ten seconds of curves."""
    angles = np.linspace(0, 2 * np.pi, 468)
    mesh = np.stack([80 + 30 * np.cos(angles), 60 + 40 * np.sin(angles), 0 * angles], axis=1)
    times = np.linspace(0, 10, 40)
    moves = np.abs(np.sin(times))[:, None] * np.linspace(0.5, 3, len(ACTION_UNITS))[None]
    return ReportMaterial(
        peak_rgb=np.full((120, 160, 3), 90, dtype=np.uint8),
        mesh_px=mesh.astype(np.float32),
        box_px=np.array([50, 20, 110, 100], dtype=np.float32),
        action_units=ActionUnitSeries(
            times.astype(np.float32),
            moves.astype(np.float32),
            np.ones_like(moves, dtype=np.float32),
            np.zeros((40, 3), dtype=np.float32),
            "own",
        ),
        duration_s=10.0,
    )


def made_up_timeline(labels: Sequence[str]) -> Timeline:
    """Three seconds of person 0: the first label, the second, the first again, each with 80 %."""
    shown = (labels[0], labels[1], labels[0])
    rest = 0.2 / (len(labels) - 1)
    windows = tuple(
        Window(
            start_s=at, end_s=at + 1, emotion=emotion, confidence=0.8, person=0, inputs=("video",),
            probabilities={label: 0.8 if label == emotion else rest for label in labels},
        )
        for at, emotion in enumerate(shown)
    )  # fmt: skip
    stretches = tuple(
        Stretch(start_s=w.start_s, end_s=w.end_s, emotion=str(w.emotion), confidence=0.8, peak_s=w.start_s + 0.5)
        for w in windows
    )
    counts = {labels[0]: {labels[1]: 1}, labels[1]: {labels[0]: 1}}
    return Timeline(
        window_s=1, step_s=1, windows=windows, stretches=stretches, expressions=(), transitions=counts, cuts_s=()
    )


def made_up_people(labels: Sequence[str]) -> tuple[PersonEmotion, ...]:
    """Two people, each with a label of their own; the first one speaks."""
    return tuple(
        PersonEmotion(
            person=number, role=role, seconds=2.0, emotion=labels[number], confidence=0.7,
            probabilities={labels[number]: 0.7},
        )
        for number, role in ((0, "all"), (0, "speaking"), (1, "all"))
    )  # fmt: skip


class FakeModel:
    """The likeliest label is the first; the reason holds the clip's own mark. `seconds`: how long one takes.

    `gate`: each analysis waits for it; `last_word`: the last word of a text waits for it, `last_window`: the end of an
    analysis over time. `begun` counts analyses, `closed` its own ends, `together` says how many were answered at once,
    `order` the words of clips as they were looked at. Over time three windows of one second each show the first label,
    the second and the first.
    """

    name = "fake"
    streams = True

    def __init__(self, seconds: float = 0.0, gate: threading.Event | None = None) -> None:
        self.seconds, self.gate, self.begun = seconds, gate, 0
        self.last_word: threading.Event | None = None
        self.together: list[int] = []
        self.order: list[str | None] = []
        self.last_window: threading.Event | None = None
        self.sees_face = True
        self.closed = 0

    def _pieces(self, text: str) -> Iterator[str]:
        *first, last = text.split(" ")
        yield from (f"{word} " for word in first)
        if self.last_word is not None:
            self.last_word.wait(20)
        yield last

    def warm(self) -> None:
        pass

    def card(self) -> Mapping[str, Any]:
        return {"tasks": ["emotion"]}

    def faces(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Faces:
        picture = made_up_material().peak_rgb
        if settings.blur_faces:
            picture = np.zeros_like(picture)
        if "no face" in clip.clip:
            return Faces((), picture)
        return Faces(((0.25, 0.1, 0.5, 0.404), (0.0, 0.0, 1.2, 1.0)), picture)

    @property
    def lookers(self) -> Sequence[FakeModel]:
        return (self,)

    def look(
        self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch, drawn: bool = False
    ) -> tuple[Clip, AnalyzeSettings]:
        self.begun += 1
        self.order.append(clip.transcript)
        if clip.transcript == "break":
            raise RuntimeError("a secret of the server")
        if clip.transcript == "refuse":
            raise ModelError(f"{clip.path}: does not fit")
        with watch.time("look"):
            if self.gate is not None:
                self.gate.wait(20)
            time.sleep(self.seconds)
        labels = settings.labels or ("happy", "sad")
        timeline = made_up_timeline(labels) if settings.timeline else None
        for window in timeline.windows if timeline is not None else ():
            watch.window(window)
        if timeline is not None and self.last_window is not None:
            self.last_window.wait(20)
        return clip, settings

    def answer(self, clips: Sequence[Perceived]) -> list[Answer | Exception]:
        self.together.append(len(clips))
        found: list[Answer | Exception] = []
        for one in clips:
            clip, settings = one.looked
            try:
                analysis = self._analysis(clip, settings, one.watch)
            except Exception as error:
                found.append(error)
                continue
            material = ReportMaterial() if clip.path is None else made_up_material()
            found.append(Answer(analysis, draw(analysis, material) if one.drawn else None))
        return found

    def close(self) -> None:
        self.closed += 1

    def _analysis(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Analysis:
        labels = settings.labels or ("happy", "sad")
        timeline = made_up_timeline(labels) if settings.timeline else None
        texts = {}
        with watch.time("generate"):
            for task in settings.tasks:
                if task != "emotion":
                    texts[task] = ""
                    for piece in self._pieces(f"{task} of {own_mark(clip)}."):
                        watch.written(task, piece)
                        texts[task] += piece
        share = 1 / (len(labels) + 1)
        there = InputState(present=True, reason="present")
        return Analysis(
            clip=clip.clip,
            duration_s=None,
            emotion=labels[0],
            labels=(),
            valence=None,
            confidence=2 * share,
            probabilities={label: share * (1 + (place == 0)) for place, label in enumerate(labels)},
            label_scores=None,
            order_sensitivity=None,
            reasoning=texts.get("reason"),
            visual=texts.get("visual"),
            audio=texts.get("audio"),
            evidence=(),
            transcript=Transcript(text=clip.transcript, source="given"),
            peak_frame=None,
            faces=(FACE,) if clip.path is not None and self.sees_face else (),
            action_units={},
            voice=None,
            inputs={"video": there, "audio": InputState(present=clip.path is not None, reason="silent"), "text": there},
            warnings=(),
            timings_s={},
            language=settings.language,
            raw=dict(texts),
            timeline=timeline,
            people=made_up_people(labels) if settings.person == "all" else (),
            provenance=Provenance(
                package="emotion-llama 0", model="fake", weights_sha256=None, weights_licence=None, prompt_version="1",
                layout="aligned", label_orders=1, seed=0, device="cpu", dtype="float32", versions={},
            ),
        )  # fmt: skip

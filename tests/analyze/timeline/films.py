"""Synthetic films with known shots, faces and speech, and stand-ins for all that looks, listens and judges."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.baseline import Beside
from emotion_llama.analyze.perceive import Percept
from emotion_llama.analyze.timeline.ear import Heard, Spans
from emotion_llama.analyze.timeline.eye import Eye
from emotion_llama.analyze.timeline.glimpse import Faces
from emotion_llama.analyze.timeline.smoothing import Scored
from emotion_llama.analyze.timeline.watch import Scorer, Watcher
from emotion_llama.clip import Clip, Segment, Transcript
from emotion_llama.measurements import FaceBox
from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, Waveform
from emotion_llama.perception.crop import Region
from emotion_llama.perception.geometry import neutral_face
from emotion_llama.perception.identity import stored_spaces
from emotion_llama.perception.mesh import box_of_mesh
from emotion_llama.perception.people import People
from emotion_llama.perception.tracking import FaceTracker
from emotion_llama.settings import AnalyzeSettings

SIDE_PX = 96
RATE_HZ = 10.0
LABELS = ("happy", "sad")

_MESH = neutral_face().mesh * np.array([1.0, -1.0, -1.0]) * 20.0 + np.array([48.0, 44.0, 0.0])


class OneFace:
    """A detector and a mesher for pictures whose first pixel says whether there is a face (always at one place)."""

    def detect(self, rgb: NDArray[np.uint8], thorough: bool = True) -> list[FaceBox]:
        return [box_of_mesh(_MESH.astype(np.float32), 0.9)] if rgb[0, 0, 0] else []

    def read(self, rgb: NDArray[np.uint8], region: Region) -> tuple[NDArray[np.float32], float]:
        return _MESH.astype(np.float32), 0.99 if rgb[0, 0, 0] else 0.01


class AtCuts:
    """Finds cuts where a film has them."""

    def __init__(self, cuts_s: tuple[float, ...]) -> None:
        self._left = list(cuts_s)
        self.cuts_s: tuple[float, ...] = ()

    def update(self, frame: Frame) -> bool:
        cut = bool(self._left) and frame.time_s >= self._left[0] - 1e-6
        while self._left and frame.time_s >= self._left[0] - 1e-6:
            self._left.pop(0)
        self.cuts_s += (frame.time_s,) * cut
        return cut


class FlatNet:
    """An expression net without opinion; faces look as alike as the crops are bright."""

    expression_net = property(lambda self: self)

    def __call__(self, crops: NDArray[np.uint8]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return np.full((len(crops), 7), 1 / 7, np.float32), np.ones((len(crops), 128), np.float32)


def looks_of(crops: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Looks (n, 512) that are the same for equally bright crops and unrelated between others."""
    looks = [np.random.default_rng(int(crop[80, 80, 0])).normal(0, 1, 512) for crop in crops]
    return (stored_spaces()[0].mean + np.stack(looks)).astype(np.float32)


@dataclass
class Film:
    """What is in a film: when a face is seen, when somebody speaks, where cuts are, how long sound and pictures are.

    `light`: brightness of the pictures over time; who is equally bright looks the same.
    """

    length_s: float
    face_s: Spans = ()
    speech_s: Spans = ()
    cuts_s: tuple[float, ...] = ()
    sound_s: float | None = None
    times_s: NDArray[np.float64] | None = None
    percepts: list[Percept] = field(default_factory=list)
    happy: Callable[[float], float] = lambda middle_s: 0.8
    light: Callable[[float], int] = lambda time_s: 200

    def frames(self) -> Iterator[Frame]:
        times = self.times_s if self.times_s is not None else np.arange(0, self.length_s, 1 / RATE_HZ)
        for index, time_s in enumerate(times.tolist()):
            there = any(start <= time_s < end for start, end in self.face_s)
            yield Frame(np.full((SIDE_PX, SIDE_PX, 3), self.light(time_s) * there, np.uint8), index, time_s)

    def blocks(self) -> Iterator[Heard]:
        end_s = self.length_s if self.sound_s is None else self.sound_s
        for start_s in np.arange(0, end_s, 30.0).tolist():
            last_s = min(start_s + 30.0, end_s)
            spans = tuple((a, b) for a, b in self.speech_s if start_s <= a < last_s)
            sound = np.full(round((last_s - start_s) * SAMPLE_RATE_HZ), 0.1, np.float32)
            said = tuple(Segment(text=f"word{round(a)}", start_s=a, end_s=b) for a, b in spans)
            text = Transcript(text=" ".join(part.text for part in said), source="fake", segments=said)
            yield Heard(Waveform(sound, start_s), spans, text)

    def watcher(self, settings: AnalyzeSettings | None = None, **clip: Any) -> Watcher:
        """A watcher of this film, with stand-ins."""
        tracker = FaceTracker(OneFace(), OneFace(), AtCuts(self.cuts_s))
        eye = Eye(self.frames(), tracker, People(looks_of), 64)
        chosen = settings or AnalyzeSettings(labels=LABELS, timeline=True)
        return Watcher(Clip(clip="film", **clip), chosen, eye, self.blocks(), Faces(FlatNet()))

    def judge(self) -> Scorer:
        """Judges a window by the time of its middle; remembers what it was shown."""

        def probabilities(percept: Percept, settings: AnalyzeSettings) -> dict[str, float]:
            self.percepts.append(percept)
            assert percept.clip.start_s is not None and percept.clip.end_s is not None
            happy = self.happy((percept.clip.start_s + percept.clip.end_s) / 2)
            return dict(zip(LABELS, (happy, 1 - happy), strict=True))

        return Scorer(probabilities, lambda settings, there: settings.min_confidence or 0.0)

    def scored(self) -> list[Scored]:
        return list(self.watcher().windows(self.judge()))


def model_of(judge: Scorer, examine: Callable[..., Any], parts: Any) -> Any:
    """A stand-in for a loaded preset."""
    return SimpleNamespace(
        parts=parts, examine=examine, beside=lambda *_: Beside(),
        calibration=SimpleNamespace(least_confidence=judge.least),
        probabilities=lambda percept, settings, profile=None: judge.probabilities(percept, settings),
    )  # fmt: skip

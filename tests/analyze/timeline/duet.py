"""A film of two people who speak in turn: their mouths and the sound move together."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.timeline.ear import Heard
from emotion_llama.analyze.timeline.eye import Eye
from emotion_llama.analyze.timeline.glimpse import Faces
from emotion_llama.analyze.timeline.watch import Watcher
from emotion_llama.clip import Clip, Segment, Transcript
from emotion_llama.measurements import FaceBox
from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, Waveform
from emotion_llama.perception.crop import Region
from emotion_llama.perception.mesh import box_of_mesh
from emotion_llama.perception.people import People
from emotion_llama.perception.tracking import FaceTracker
from emotion_llama.settings import AnalyzeSettings
from tests.analyze.timeline.films import LABELS, AtCuts, Film, FlatNet, looks_of
from tests.perception.talking import Course, syllables, talker

FIRST = [(1.0, 3.0), (4.0, 6.0), (9.0, 11.0)]
SECOND = [(14.0, 16.0), (17.5, 19.5), (20.5, 22.5), (25.0, 27.0)]
LENGTH_S = 30.0
BLOCK_S = 20.0
RATE_HZ = 15.0
SIZE_PX = (200, 400)
PLACES_PX = (100.0, 300.0)


class Two:
    """A detector and a mesher that know both people; the first pixel of a picture tells which frame it is."""

    def __init__(self, second_from_s: float) -> None:
        courses: tuple[Course, ...] = (syllables(1, FIRST), syllables(2, SECOND))
        begins = (0.0, second_from_s)
        self.tracks = [
            talker(number, courses[number], LENGTH_S, place, begins[number]) for number, place in enumerate(PLACES_PX)
        ]

    def mesh(self, rgb: NDArray[np.uint8], number: int) -> NDArray[np.float32] | None:
        index = int(rgb[0, 0, 1]) * 256 + int(rgb[0, 0, 2])
        at = index - self.tracks[number].samples[0].frame_index
        if at < 0:
            return None
        return self.tracks[number].samples[at].mesh_px * np.float32(1.0 if number else 1.1)  # the first is the larger

    def detect(self, rgb: NDArray[np.uint8], thorough: bool = True) -> list[FaceBox]:
        meshes = (self.mesh(rgb, number) for number in range(2))
        return [box_of_mesh(mesh, 0.9) for mesh in meshes if mesh is not None]

    def read(self, rgb: NDArray[np.uint8], region: Region) -> tuple[NDArray[np.float32], float]:
        mesh = self.mesh(rgb, int(region.x_px > np.mean(PLACES_PX)))
        assert mesh is not None
        return mesh, 0.99


@dataclass
class Duet(Film):
    """The first one speaks for 11 s, the second from 14 s on; both are there, the second from `second_from_s` on."""

    second_from_s: float = 0.0

    def frames(self) -> Iterator[Frame]:
        for index in range(int(self.length_s * RATE_HZ)):
            rgb = np.full((*SIZE_PX, 3), 90, np.uint8)
            rgb[:, SIZE_PX[1] // 2 :] = 200
            rgb[0, 0] = (0, index // 256, index % 256)
            yield Frame(rgb, index, index / RATE_HZ)

    def blocks(self) -> Iterator[Heard]:
        spans = sorted(FIRST + SECOND)
        for start_s in np.arange(0, self.length_s, BLOCK_S).tolist():
            last_s = min(start_s + BLOCK_S, self.length_s)
            inside = tuple(span for span in spans if start_s <= span[0] < last_s)
            time_s = start_s + np.arange(round((last_s - start_s) * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
            loud = np.maximum(syllables(1, FIRST)(time_s), syllables(2, SECOND)(time_s))
            noise = np.random.default_rng(0).normal(0, 1, len(time_s)) * 10 ** ((-20 - 30 * (1 - loud)) / 20)
            said = tuple(Segment(text=f"word{round(a)}", start_s=a, end_s=b) for a, b in inside)
            text = Transcript(text=" ".join(part.text for part in said), source="fake", segments=said)
            yield Heard(Waveform(noise.astype(np.float32), start_s), inside, text)

    def watcher(self, settings: AnalyzeSettings | None = None, **clip: object) -> Watcher:
        two = Two(self.second_from_s)
        eye = Eye(self.frames(), FaceTracker(two, two, AtCuts(())), People(looks_of), 64)
        chosen = settings or AnalyzeSettings(labels=LABELS, timeline=True)
        return Watcher(Clip(clip="duet"), chosen, eye, self.blocks(), Faces(FlatNet()))

"""Made-up faces that talk: meshes whose mouth opens as told, and a voice whose loudness has syllables."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceSample, FaceTrack, VoiceTrace
from emotion_llama.perception.geometry import neutral_face
from emotion_llama.perception.mesh import box_of_mesh

LOWER_LIP = (14, 87, 317, 17, 84, 314)
EYES_PX = 40.0
RATE_HZ = 15.0
HOP_S = 0.016
NOISE_PX = 0.15
Course = Callable[[NDArray[np.float64]], NDArray[np.float64]]
"""Times in seconds to values: how far a mouth is open (eye distances), or how loud a voice is (0–1)."""


def syllables(seed: int, spans: list[tuple[float, float]]) -> Course:
    """About four syllables a second, unevenly strong, inside the spans; nothing outside."""
    draw = np.random.default_rng(seed)
    beats = [(start + at, draw.uniform(0.4, 1)) for start, end in spans for at in np.arange(0.1, end - start, 0.25)]

    def course(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        parts = [size * np.exp(-(((time_s - at) / 0.07) ** 2)) for at, size in beats]
        return np.max(parts, axis=0) if parts else np.zeros(len(time_s))

    return course


def still(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
    """A mouth that stays shut."""
    return np.zeros(len(time_s))


def talker(number: int, mouth: Course, seconds: float, x_px: float = 100.0, begin_s: float = 0.0) -> FaceTrack:
    """A track whose mouth opens up to 0.15 eye distances; the mesh trembles a little."""
    draw = np.random.default_rng(number)
    times = np.arange(begin_s, seconds, 1 / RATE_HZ)
    samples = []
    for time_s, opening in zip(times, mouth(times), strict=True):
        mesh = neutral_face().mesh.copy()
        mesh[list(LOWER_LIP), 1] -= 0.15 * opening
        mesh_px = mesh * np.array([1.0, -1.0, -1.0]) * EYES_PX + np.array([x_px, 100.0, 0.0])
        mesh_px = (mesh_px + draw.normal(0, NOISE_PX, mesh_px.shape)).astype(np.float32)
        crop = np.full((160, 160, 3), number, np.uint8)
        samples.append(
            FaceSample(round(time_s * RATE_HZ), float(time_s), box_of_mesh(mesh_px, 0.9), mesh_px, 0.99, crop)
        )
    return FaceTrack(number, tuple(samples))


def voice(loud: Course, spans: list[tuple[float, float]], seconds: float, loudest_db: float = -20.0) -> VoiceTrace:
    """A trace with 30 dB between a syllable and nothing."""
    time_s = np.arange(0, seconds, HOP_S)
    level = (loudest_db - 30 * (1 - loud(time_s))).astype(np.float32)
    return VoiceTrace(time_s.astype(np.float32), np.full(len(time_s), 150, np.float32), level, tuple(spans))

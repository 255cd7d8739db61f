"""Properties that scores are sliced by: from the data set (sex, age, …), or measured from the recording.

Measured are `duration_s`; `snr_db`, the level of speech above the level of its pauses; `face_px`, the height of the
face. Numbers become a few bands: fixed ones for the known properties, so that reports can be compared, thirds of the
clips for others.
"""

from __future__ import annotations

import itertools
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Clip
from emotion_llama.errors import AssetMissingError, MediaError
from emotion_llama.evaluate.records import Problem

if TYPE_CHECKING:
    from emotion_llama.media.types import MediaInfo, Waveform
    from emotion_llama.perception.faces import FaceDetector

EDGES: MappingProxyType[str, tuple[float, ...]] = MappingProxyType(
    {
        "age": (30, 45, 60),
        "duration_s": (2, 4, 8),
        "snr_db": (0, 10, 20),
        "face_px": (64, 128, 256),
    }
)
"""Where the bands of known properties begin; a value on an edge belongs to the band above it."""

MEASURED = ("duration_s", "snr_db", "face_px")
FEW_VALUES = 4
"""A number with so few different values (fold, level, …) is taken as a name, not as a size."""

FRAME_S = 0.02
PAUSE_FROM_SPEECH_S = 0.05  # the voice activity detector's edges are this uncertain
MIN_PAUSE_S = 0.2
QUIETEST_SHARE = 0.1
SILENT_POWER = 1e-9  # -90 dB re full scale: digital silence says nothing about noise
SNR_RANGE_DB = (-20.0, 60.0)
FACE_FRAMES = 9
SOUND_MAX_S = 120.0


@dataclass(frozen=True)
class Bands:
    """Neighbouring bands of a number: `labels` has one more than `edges`."""

    edges: tuple[float, ...]
    labels: tuple[str, ...]

    def label(self, value: float) -> str:
        """The band of a value; an edge belongs to the band above it."""
        return self.labels[bisect_right(self.edges, value)]


def bands(name: str, values: Sequence[float]) -> Bands:
    """Bands of the number property `name`: its fixed ones, else thirds of the given values (at least one value).

    Whole numbers of years read "30–44"; measures read "2–4", the upper end not included.
    """
    if name in EDGES:
        edges: tuple[float, ...] = EDGES[name]
    else:
        edges = tuple(dict.fromkeys(float(f"{edge:.3g}") for edge in np.percentile(values, [100 / 3, 200 / 3])))
    step = 1 if name == "age" else 0
    between = [f"{low:g}–{high - step:g}" for low, high in itertools.pairwise(edges)]
    return Bands(edges, (f"<{edges[0]:g}", *between, f"{edges[-1]:g}+"))


def group_values(clips: Sequence[Clip], name: str) -> list[str | None]:
    """The value of a property for each clip, numbers as the label of their band; `None` where a clip has none."""
    found = [clip.groups.get(name) for clip in clips]
    numbers = [value for value in found if isinstance(value, float | int)]
    words = any(isinstance(value, str) for value in found)
    if words or not numbers or (name not in EDGES and len(set(numbers)) <= FEW_VALUES):
        return [value if value is None or isinstance(value, str) else f"{value:g}" for value in found]
    ranges = bands(name, numbers)
    return [ranges.label(value) if isinstance(value, float | int) else None for value in found]


def with_groups(clips: Sequence[Clip], problems: list[Problem] | None = None) -> list[Clip]:
    """The clips with what could be measured of them; a property that a clip has already is kept as it is.

    A recording that cannot be read leaves its clip unchanged and is added to `problems`; without such a list the
    `MediaError` is raised.
    """
    measured = []
    for clip in clips:
        try:
            found = measure_groups(clip)
        except MediaError as error:
            if problems is None:
                raise
            found = {}
            problems.append(Problem(kind="unreadable", clip=clip.clip, message=str(error)))
        measured.append(clip.model_copy(update={"groups": {**found, **clip.groups}}))
    return measured


def measure_groups(clip: Clip) -> dict[str, float]:
    """`duration_s`, `snr_db` and `face_px` of a clip's recording; what cannot be measured is left out.

    That is: everything for text alone, `snr_db` without speech (see `snr_db`), `face_px` without a face or where the
    detector's file was not fetched (`emotion-llama fetch nano`). Raises `MediaError` for an unreadable recording.
    """
    from emotion_llama.media import probe, read_waveform

    if clip.path is None:
        return {}
    info = probe(clip.path)
    found: dict[str, float] = {}
    if info.duration_s is not None:
        end_s = min(clip.end_s or info.duration_s, info.duration_s)
        found["duration_s"] = max(0.0, end_s - (clip.start_s or 0.0))
    if info.has_sound:
        waveform = read_waveform(info, start_s=clip.start_s, end_s=clip.end_s, max_s=SOUND_MAX_S)
        snr = None if waveform is None else _snr_of(waveform)
        found |= {} if snr is None else {"snr_db": snr}
    if info.has_picture:
        face_px = _face_px(clip, info)
        found |= {} if face_px is None else {"face_px": face_px}
    return found


def snr_db(samples: NDArray[np.float32], speech_s: Sequence[tuple[float, float]], sample_rate_hz: int) -> float | None:
    """Power of speech above the power of what is heard in its pauses, dB, within -20 and 60; `None` without speech.

    Powers are means over frames of 20 ms: those in `speech_s` (seconds from sample 0) less the noise, and those at
    least 50 ms away from speech. With less than 0.2 s of pause, the noise is the quietest tenth of all frames, which
    reads a few dB too low a ratio for speech without a breath. Digital silence counts as neither.
    """
    size = round(FRAME_S * sample_rate_hz)
    rows = samples[: len(samples) // size * size].reshape(-1, size)
    power = np.square(rows, dtype=np.float64).mean(axis=1)
    middle_s = (np.arange(len(power)) + 0.5) * FRAME_S
    speech, pause = np.zeros(len(power), bool), np.ones(len(power), bool)
    for start_s, end_s in speech_s:
        speech |= (middle_s >= start_s) & (middle_s < end_s)
        pause &= (middle_s < start_s - PAUSE_FROM_SPEECH_S) | (middle_s >= end_s + PAUSE_FROM_SPEECH_S)
    heard = power > SILENT_POWER
    speech, pause = speech & heard, pause & heard
    if not speech.any():
        return None
    if pause.sum() * FRAME_S >= MIN_PAUSE_S:
        noise = float(power[pause].mean())
    else:
        quietest = np.sort(power[heard])[: max(1, round(QUIETEST_SHARE * int(heard.sum())))]
        noise = float(quietest.mean())
    ratio = max(float(power[speech].mean()) / noise - 1, 1e-9)
    return float(np.clip(10 * np.log10(ratio), *SNR_RANGE_DB))


def _snr_of(waveform: Waveform) -> float | None:
    from emotion_llama.media import SAMPLE_RATE_HZ
    from emotion_llama.perception.speech import speech_spans  # heavy, and only needed to measure

    spans = [(start_s - waveform.start_s, end_s - waveform.start_s) for start_s, end_s in speech_spans(waveform)]
    return snr_db(waveform.samples, spans, SAMPLE_RATE_HZ)


def _face_px(clip: Clip, info: MediaInfo) -> float | None:
    """Median height of the largest face in some frames, in px of the upright recording; `None` without a face."""
    from emotion_llama.media import iter_frames

    detector = _face_detector()
    if detector is None or info.height_px is None:
        return None
    heights_px = []
    for frame in iter_frames(info, start_s=clip.start_s, end_s=clip.end_s, max_frames=FACE_FRAMES):
        scale = info.height_px / frame.rgb.shape[0]
        boxes = detector.detect(frame.rgb)
        if boxes:
            heights_px.append(scale * max(float(box.corners_px[3] - box.corners_px[1]) for box in boxes))
    return float(np.median(heights_px)) if heights_px else None


@lru_cache(maxsize=1)
def _face_detector() -> FaceDetector | None:
    from emotion_llama import assets
    from emotion_llama.perception.faces import FaceDetector

    try:
        return FaceDetector(assets.path("blazeface-short-range"))
    except AssetMissingError:
        return None  # face size is then left out, as `measure_groups` says

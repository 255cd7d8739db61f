"""`--gate`: inputs that are there but cannot be trusted, by what was measured of the recording itself.

No model judges: a face is too small, dark, blurred or turned away, or its mesh unsure; a voice lies in noise or was cut
off at full scale; the recogniser does not believe its own words. The limits were set on clean validation recordings
(`benchmarks/gating.py --measures`), so that few of them cross one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import cv2
import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.perceive import Percept
from emotion_llama.clip import MODALITIES, Modality
from emotion_llama.measurements import FaceMeasures, FaceSample, SoundMeasures, VoiceTrace

SMALL_FACE_PX = 32.0
DARK_FACE_LUMA = 40.0
BLURRED_FACE = 6.0
"""Variance of the Laplacian of the upright crop, 160 px high: a small face is a blurred one too."""

TURNED_DEG = 50.0
UNSURE_MESH = 0.5
QUIET_SNR_DB = 6.0
CLIPPED_SHARE = 0.01
UNSURE_WORD = 0.4
MOST_SAMPLES = 16

_CHANNELS: dict[Modality, tuple[str, ...]] = {"video": ("face", "scene"), "audio": ("voice",), "text": ("words",)}
_INPUTS: dict[Modality, str] = {"video": "picture", "audio": "sound", "text": "words"}


@dataclass(frozen=True)
class FaceQuality:
    """Medians over the main face's samples: smaller side of its box, luma 0–255, sharpness, turn, mesh score 0–1."""

    size_px: float
    luma: float
    sharpness: float
    turned_deg: float
    mesh_score: float


@dataclass(frozen=True)
class SoundQuality:
    """How far speech lies above the quietest moments, and which share of the samples is cut off at full scale."""

    snr_db: float | None
    clipped_share: float


@dataclass(frozen=True)
class Gated:
    """A percept without what cannot be trusted, which inputs still count, and why others do not."""

    percept: Percept
    present: dict[Modality, bool]
    reasons: dict[Modality, str]
    warnings: tuple[str, ...]


def gate(percept: Percept, present: Mapping[Modality, bool]) -> Gated:
    """Leave out the inputs among `present` that cannot be trusted; if that is all of them, none is left out."""
    found = {name: why for name, why in unreliable(percept).items() if present[name]}
    if not found:
        return Gated(percept, dict(present), {}, ())
    if set(found) >= {name for name, there in present.items() if there}:
        why = "; ".join(found.values())
        return Gated(percept, dict(present), {}, (f"No input can be trusted, so none was left out: {why}.",))
    channels = {channel for name in found for channel in _CHANNELS[name]}
    kept = tuple(o for o in percept.observations if o.channel not in channels)
    warnings = tuple(
        f"The {_INPUTS[name]} was left out, as asked where it cannot be trusted: {found[name]}." for name in found
    )
    return Gated(
        replace(percept, observations=kept),
        {name: there and name not in found for name, there in present.items()},
        {name: f"left out as asked: {why}" for name, why in found.items()},
        warnings,
    )


def unreliable(percept: Percept) -> dict[Modality, str]:
    """Which inputs cannot be trusted, and every reason why, in words with the numbers."""
    reasons: dict[Modality, list[str]] = {name: [] for name in MODALITIES}
    if percept.faces is not None:
        reasons["video"] += _face_reasons(percept.faces)
    if percept.sound is not None and percept.waveform is not None:
        reasons["audio"] += _sound_reasons(sound_quality(percept.sound, percept.waveform.samples))
    reasons["text"] += _word_reasons(percept)
    return {name: ", ".join(some) for name, some in reasons.items() if some}


def face_quality(faces: FaceMeasures) -> FaceQuality | None:
    """Measure the main face; `None` without one."""
    if faces.main is None:
        return None
    samples = faces.tracks[faces.main].samples
    picked = [
        samples[at] for at in np.linspace(0, len(samples) - 1, min(len(samples), MOST_SAMPLES)).round().astype(int)
    ]
    gray = [cv2.cvtColor(sample.crop, cv2.COLOR_RGB2GRAY) for sample in picked]
    series = faces.action_units
    pose = np.zeros((1, 2)) if series is None else np.abs(series.pose_deg[:, :2])
    return FaceQuality(
        size_px=float(np.median([_side_px(sample) for sample in picked])),
        luma=float(np.median([one.mean() for one in gray])),
        sharpness=float(np.median([cv2.Laplacian(one, cv2.CV_64F).var() for one in gray])),
        turned_deg=float(np.median(np.nanmax(np.nan_to_num(pose), axis=1))),
        mesh_score=float(np.median([sample.mesh_score for sample in picked])),
    )


def sound_quality(sound: SoundMeasures, samples: NDArray[np.float32]) -> SoundQuality:
    """Measure a sound; `snr_db` is `None` where nobody speaks."""
    spoken = sound.voice is not None and sound.trace is not None
    return SoundQuality(_snr_db(sound.trace) if spoken and sound.trace is not None else None, clipped_share(samples))


def clipped_share(samples: NDArray[np.float32]) -> float:
    """Share of the samples that stand still at the largest size there is, three or more in a row."""
    if not len(samples):
        return 0.0
    size = np.abs(samples)
    flat = size >= size.max() * 0.999
    run = flat[:-2] & flat[1:-1] & flat[2:]
    return float(run.mean()) if len(run) and size.max() > 0 else 0.0


def _snr_db(trace: VoiceTrace) -> float:
    """Level of speech (upper half of its hops) over the quietest tenth of the recording, in dB."""
    inside = np.zeros(len(trace.time_s), dtype=bool)
    for start_s, end_s in trace.speech_s:
        inside |= (trace.time_s >= start_s) & (trace.time_s <= end_s)
    levels = trace.loudness_db[np.isfinite(trace.loudness_db)]
    speech = trace.loudness_db[inside & np.isfinite(trace.loudness_db)]
    if not len(speech):
        return 0.0
    return float(np.percentile(speech, 75) - np.percentile(levels, 10))


def _side_px(sample: FaceSample) -> float:
    return float(np.min(sample.box.corners_px[2:] - sample.box.corners_px[:2]))


def _face_reasons(faces: FaceMeasures) -> Iterator[str]:
    found = face_quality(faces)
    if found is None:
        yield "no face was found"
        return
    if found.size_px < SMALL_FACE_PX:
        yield f"the face is small ({found.size_px:.0f} px)"
    if found.luma < DARK_FACE_LUMA:
        yield f"the face is dark ({found.luma:.0f} of 255)"
    if found.sharpness < BLURRED_FACE:
        yield f"the face is blurred (variance of the Laplacian {found.sharpness:.1f})"
    if found.turned_deg > TURNED_DEG:
        yield f"the face is turned away ({found.turned_deg:.0f} degrees)"
    if found.mesh_score < UNSURE_MESH:
        yield f"the face mesh is unsure ({found.mesh_score:.2f})"


def _sound_reasons(found: SoundQuality) -> Iterator[str]:
    if found.snr_db is not None and found.snr_db < QUIET_SNR_DB:
        yield f"the voice is only {found.snr_db:.0f} dB above the noise"
    if found.clipped_share > CLIPPED_SHARE:
        yield f"{found.clipped_share:.0%} of the sound is cut off at full scale"


def _word_reasons(percept: Percept) -> Iterator[str]:
    words = [word for segment in percept.transcript.segments for word in segment.words]
    if percept.transcript.source == "given" or not words:
        return
    sure = float(np.mean([word.probability for word in words]))
    if sure < UNSURE_WORD:
        yield f"the recogniser believes its words only to {sure:.0%}"

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.analyze.perceive import Percept
from emotion_llama.clip import (
    Analysis,
    Clip,
    Face,
    InputState,
    LabelScores,
    Observation,
    PeakFrame,
    Provenance,
    Segment,
    Transcript,
    Valence,
    VoiceMeasures,
)
from emotion_llama.measurements import (
    ACTION_UNITS,
    EXPRESSIONS,
    ActionUnitSeries,
    FaceBox,
    FaceMeasures,
    FaceSample,
    FaceTrack,
    SoundMeasures,
)
from emotion_llama.media.types import Frame, MediaInfo, Waveform


def _provenance() -> Provenance:
    return Provenance(
        package="emotion-llama 0.1.0",
        model="nano",
        weights_sha256="ab" * 32,
        weights_licence="CC-BY-NC-SA-4.0",
        prompt_version="1",
        layout="aligned",
        label_orders=4,
        seed=0,
        device="cpu",
        dtype="float32",
        versions={"python": "3.11"},
    )


def _voice() -> VoiceMeasures:
    numbers = dict.fromkeys(VoiceMeasures.model_fields, 1.5)
    return VoiceMeasures.model_validate({**numbers, "f0_hz": 142.3, "pause_count": 2, "jitter_percent": None})


def _evidence() -> tuple[Observation, ...]:
    return (
        Observation(
            channel="face",
            text="the lip corners are pulled up",
            source="mesh-au-1",
            name="AU12",
            value=2.31,
            unit="of 5",
            start_s=0.5,
            end_s=1.5,
            supports=("happy",),
        ),
        Observation(channel="voice", text="the voice is flat", source="model", verdict="contradicted"),
    )


@pytest.fixture
def analysis() -> Analysis:
    """A result with every part present."""
    present = InputState(present=True, reason="ok")
    return Analysis(
        clip="clips/ann.mp4",
        duration_s=4.0,
        emotion="happy",
        labels=("happy",),
        valence=Valence(value=0.5, source="label-table-1"),
        confidence=0.7,
        probabilities={"neutral": 0.3, "happy": 0.7},
        label_scores=LabelScores(raw={"happy": -1.0, "neutral": -2.0}, prior_corrected={"happy": 0.5, "neutral": -0.5}),
        order_sensitivity=0.02,
        reasoning="The lip corners are pulled up, so the person seems happy.",
        visual="A person smiles.",
        audio="A lively voice.",
        evidence=_evidence(),
        transcript=Transcript(
            text="Grüße, 你好!", source="given", segments=(Segment(text="Grüße", start_s=0.1, end_s=1.0),)
        ),
        peak_frame=PeakFrame(index=7, time_s=1.25, policy="peak"),
        faces=(Face(track=0, main=True, first_s=0, last_s=4, presence=0.9, box_px=(10, 10, 50, 50), score=0.9),),
        action_units={f"AU{unit:02d}": unit / 10 for unit in ACTION_UNITS},
        voice=_voice(),
        inputs={"video": present, "audio": present, "text": InputState(present=False, reason="left out")},
        warnings=("Two people speak.", "The picture is dark."),
        timings_s={"decode": 0.2},
        raw={"emotion": "happy"},
        provenance=_provenance(),
    )


@pytest.fixture
def bare_analysis(analysis: Analysis) -> Analysis:
    """A result in which everything that may be missing is missing."""
    nothing = InputState(present=False, reason="not there")
    return analysis.model_copy(
        update={
            "duration_s": None, "emotion": None, "labels": (), "valence": None, "confidence": None,
            "probabilities": {}, "label_scores": None, "order_sensitivity": None, "reasoning": None, "visual": None,
            "audio": None, "evidence": (), "transcript": Transcript(text=None, source="none"), "peak_frame": None,
            "faces": (), "action_units": {}, "voice": None, "warnings": (), "timings_s": {}, "raw": {},
            "inputs": {"video": nothing, "audio": nothing, "text": nothing},
        }
    )  # fmt: skip


def face_measures(frames: int = 4, tracks: int = 1, baseline: str = "own") -> FaceMeasures:
    """Faces seen in every one of `frames` frames at 10 a second; action unit 12 grows to 3 at the last, the peak."""
    box = FaceBox(np.array([10, 10, 50, 40], np.float32), np.zeros((6, 2), np.float32), 0.9)
    mesh_px = np.random.default_rng(0).normal(30, 9, (468, 3)).astype(np.float32)
    sample = FaceSample(0, 0.0, box, mesh_px, 1.0, np.full((160, 160, 3), 99, np.uint8))
    samples = tuple(replace(sample, frame_index=at, time_s=at / 10) for at in range(frames))
    intensity = np.zeros((frames, len(ACTION_UNITS)), np.float32)
    intensity[:, ACTION_UNITS.index(12)] = np.linspace(0, 3, frames) if frames > 1 else 3
    series = ActionUnitSeries(
        np.arange(frames, dtype=np.float32) / 10, intensity, np.ones_like(intensity),
        np.zeros((frames, 3), np.float32), baseline,
    )  # fmt: skip
    expressions = np.full((frames, len(EXPRESSIONS)), 1 / len(EXPRESSIONS), np.float32)
    found = tuple(FaceTrack(number, samples) for number in range(tracks))
    return FaceMeasures(frames, found, 0, series, expressions, np.ones((frames, 128), np.float32), frames - 1)


@pytest.fixture
def no_face() -> FaceMeasures:
    """Four frames were looked at, and no face was found."""
    return FaceMeasures(4, (), None, None, None, None, None)


@pytest.fixture
def make_faces() -> Callable[..., FaceMeasures]:
    """Build face measures: `make_faces(frames=4, tracks=1, baseline="own")`."""
    return face_measures


@pytest.fixture
def percept() -> Percept:
    """A clip of one second with a face, a voice and words; change it with `dataclasses.replace`."""
    words = Transcript(text="hello there", source="asr:whisper-base", language="en", language_probability=0.9)
    return Percept(
        clip=Clip(clip="dir/a.mp4", path=Path("dir/a.mp4")),
        media=MediaInfo(Path("dir/a.mp4"), "video", 1.0, 64, 48, 10.0, 0, True, True, "ab" * 32),
        faces=face_measures(),
        frame=Frame(np.full((48, 64, 3), 120, np.uint8), 3, 0.3),
        peak=PeakFrame(index=3, time_s=0.3, policy="peak"),
        sound=SoundMeasures(silent=False, voice=_voice(), trace=None, transcript=words),
        waveform=Waveform(np.full(16_000, 0.1, np.float32)),
        transcript=words,
        observations=_evidence(),
    )

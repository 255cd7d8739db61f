from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.perceive import Percept
from emotion_llama.analyze.report import ReportMaterial
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
    Word,
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
from emotion_llama.timeline import Expression, Stretch, Timeline, Window


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


def _transcript() -> Transcript:
    """Two stretches of speech, the first with its words."""
    words = [("I", 0.2, 0.3), ("told", 0.3, 0.5), ("you", 0.5, 0.7), ("so", 0.7, 1.0)]
    return Transcript(
        text="I told you so. Fine!",
        source="asr:whisper-base",
        language="en",
        segments=(
            Segment(
                text="I told you so.", start_s=0.2, end_s=1.0,
                words=tuple(Word(text=text, start_s=start, end_s=end, probability=0.9) for text, start, end in words),
            ),
            Segment(text="Fine!", start_s=2.4, end_s=3.0),
        ),
    )  # fmt: skip


def _series() -> ActionUnitSeries:
    """Ten samples a second for four seconds; AU12 is there from 1.0 to 2.0 s, largest at 1.5, AU4 in one sample."""
    times = np.arange(40, dtype=np.float32) / 10
    intensity = np.zeros((40, len(ACTION_UNITS)), np.float32)
    intensity[10:21, ACTION_UNITS.index(12)] = 3 - np.abs(np.arange(-5, 6)) * 0.4
    intensity[30, ACTION_UNITS.index(4)] = 1.25
    pose = np.tile(np.array([5, -10, 2.5], np.float32), (40, 1))
    return ActionUnitSeries(times, intensity, np.full_like(intensity, 0.75), pose, "own")


@pytest.fixture
def result(analysis: Analysis) -> Result:
    """A clip of four seconds with words, a face that moves and no timeline."""
    series = _series()
    material = ReportMaterial(
        action_units=series, duration_s=4.0, recording_s=4.0, media_path=Path("clips/ann.mp4"),
        frame_indices=np.arange(40) * 3, mesh_scores=np.full(40, 0.875, np.float32),
    )  # fmt: skip
    return Result(analysis.model_copy(update={"transcript": _transcript()}), material)


@pytest.fixture
def timed_result(result: Result) -> Result:
    """The same with a timeline of two people: the first is angry, then calm; the second listens and is happy."""

    def window(start_s: float, person: int, emotion: str, speaking: bool) -> Window:
        return Window(
            start_s=start_s, end_s=start_s + 2, emotion=emotion, confidence=0.8,
            probabilities={"angry": 0.1, "happy": 0.1, "neutral": 0.1} | {emotion: 0.8},
            inputs=("video",), person=person, speaking=speaking, text="said",
        )  # fmt: skip

    timeline = Timeline(
        window_s=2.0,
        step_s=2.0,
        windows=(window(0, 1, "angry", False), window(2, 1, "neutral", False), window(0, 2, "happy", True)),
        stretches=(
            Stretch(start_s=0.0, end_s=2.0, emotion="angry", confidence=0.82, peak_s=1.0, person=1),
            Stretch(start_s=2.0, end_s=3.5, emotion="neutral", confidence=0.6, peak_s=3.0, person=1),
            Stretch(start_s=0.0, end_s=2.2, emotion="happy", confidence=0.7, peak_s=1.0, person=2),
        ),
        expressions=(
            Expression(unit="AU12", onset_s=0.5, apex_s=1.0, offset_s=1.5, intensity=2.5, person=2),
            Expression(unit="AU04", onset_s=1.0, apex_s=1.2, offset_s=1.4, intensity=1.5, person=1),
            Expression(unit="AU12", onset_s=1.4, apex_s=1.6, offset_s=1.8, intensity=1.0, person=2),
        ),
        transitions={"angry": {"neutral": 1}},
        cuts_s=(1.75,),
    )
    return replace(result, analysis=result.analysis.model_copy(update={"timeline": timeline}))


@pytest.fixture
def bare_result(bare_analysis: Analysis) -> Result:
    """Text alone, or a still picture without a face: no time, no face, no voice, no words."""
    return Result(bare_analysis, ReportMaterial())


ODD_TEXT = 'a "b" --> <c> & {d}\nline two\r\n\n\x00\x07👨‍👩‍👧 \ufffe\udce9 你好 =1+1'
"""Quotes, an arrow, markup, line breaks, control characters, an emoji of several parts, a stray byte of a name."""


@pytest.fixture
def odd_result(result: Result) -> Result:
    """Odd characters in everything that a file shows."""
    transcript = Transcript(
        text=ODD_TEXT,
        source="given",
        segments=(
            Segment(
                text=ODD_TEXT, start_s=0.5, end_s=0.5,
                words=(Word(text=ODD_TEXT, start_s=0.5, end_s=0.4, probability=1.0),),
            ),
        ),
    )  # fmt: skip
    update = {"clip": ODD_TEXT, "emotion": "so-so & <odd>", "transcript": transcript, "reasoning": ODD_TEXT}
    return replace(result, analysis=result.analysis.model_copy(update=update))

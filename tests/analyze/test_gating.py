"""The gate leaves out what cannot be trusted, says why with numbers, and never leaves nothing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import cv2
import numpy as np
import pytest

from emotion_llama.analyze.gating import clipped_share, face_quality, gate, sound_quality, unreliable
from emotion_llama.analyze.perceive import Percept, present_inputs
from emotion_llama.analyze.warnings import input_states
from emotion_llama.clip import Segment, Transcript, Word
from emotion_llama.measurements import FaceMeasures, FaceTrack, VoiceTrace
from emotion_llama.settings import AnalyzeSettings

SETTINGS = AnalyzeSettings()
CROP = np.random.default_rng(0).integers(60, 200, (160, 160, 3)).astype(np.uint8)


def with_face(percept: Percept, crop: np.ndarray = CROP, **changes: object) -> Percept:
    """Give every sample of the main face another crop, box side (`side_px`), mesh score or yaw (`yaw_deg`)."""
    faces = percept.faces
    assert faces is not None and faces.action_units is not None
    sample = replace(faces.tracks[0].samples[0], crop=crop, mesh_score=changes.get("mesh_score", 1.0))
    side = float(changes.get("side_px", 90.0))  # type: ignore[arg-type]
    sample = replace(sample, box=replace(sample.box, corners_px=np.array([0, 0, side, side + 9], np.float32)))
    samples = tuple(replace(sample, time_s=one.time_s) for one in faces.tracks[0].samples)
    pose = np.tile(np.array([0, changes.get("yaw_deg", 0.0), 80], np.float32), (len(samples), 1))
    series = replace(faces.action_units, pose_deg=pose)
    return replace(percept, faces=replace(faces, tracks=(FaceTrack(0, samples),), action_units=series))


def with_levels(percept: Percept, speech_db: float, rest_db: float) -> Percept:
    """Ten hops a second for two seconds, of which the second is speech."""
    times = np.arange(20, dtype=np.float32) / 10
    levels = np.where(times >= 1, speech_db, rest_db).astype(np.float32)
    assert percept.sound is not None
    trace = VoiceTrace(times, np.full(20, np.nan, np.float32), levels, ((1.0, 2.0),))
    return replace(percept, sound=replace(percept.sound, trace=trace))


@pytest.fixture
def sound_percept(percept: Percept) -> Percept:
    """Everything can be trusted."""
    tone = (0.3 * np.sin(np.arange(16_000) / 9)).astype(np.float32)
    assert percept.waveform is not None
    clear = replace(percept, waveform=replace(percept.waveform, samples=tone))
    return with_levels(with_face(clear), -20.0, -60.0)


def test_a_good_recording_passes_untouched(sound_percept: Percept) -> None:
    present = present_inputs(sound_percept, SETTINGS)
    found = gate(sound_percept, present)
    assert found.percept is sound_percept and found.present == present and not found.reasons and not found.warnings


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"crop": CROP // 9}, "the face is dark"),
        ({"crop": cv2.GaussianBlur(CROP, (0, 0), 12)}, "the face is blurred"),
        ({"side_px": 20.0}, "the face is small (20 px)"),
        ({"yaw_deg": -70.0}, "the face is turned away (70 degrees)"),
        ({"mesh_score": 0.2}, "the face mesh is unsure (0.20)"),
    ],
)
def test_a_face_that_cannot_be_read(sound_percept: Percept, changes: dict[str, object], why: str) -> None:
    bad = with_face(sound_percept, **changes)  # type: ignore[arg-type]
    assert why in unreliable(bad)["video"]
    found = gate(bad, present_inputs(bad, SETTINGS))
    assert not found.present["video"] and found.present["audio"] and found.present["text"]
    assert all(one.channel != "face" for one in found.percept.observations)
    assert why in found.warnings[0] and "The picture was left out" in found.warnings[0]
    states = input_states(bad, SETTINGS, found.present, found.reasons)
    assert not states["video"].present and why in states["video"].reason and states["audio"].reason == "present"


def test_a_picture_without_a_face(sound_percept: Percept, no_face: FaceMeasures) -> None:
    assert unreliable(replace(sound_percept, faces=no_face)) == {"video": "no face was found"}
    assert face_quality(no_face) is None


def test_a_voice_in_noise(sound_percept: Percept) -> None:
    assert "3 dB above the noise" in unreliable(with_levels(sound_percept, -20.0, -23.0))["audio"]
    assert sound_percept.sound is not None and sound_percept.waveform is not None
    found = sound_quality(sound_percept.sound, sound_percept.waveform.samples)
    assert found.snr_db == pytest.approx(40.0)
    nobody = sound_quality(replace(sound_percept.sound, voice=None), sound_percept.waveform.samples)
    assert nobody.snr_db is None


def test_sound_that_was_cut_off() -> None:
    tone = np.sin(np.arange(16_000) / 30).astype(np.float32)
    assert clipped_share(tone) == pytest.approx(0.0, abs=0.01)
    loud = np.clip(2 * tone, -1, 1)
    beyond = float((np.abs(2 * tone) >= 1).mean())  # two thirds
    assert clipped_share(loud) == pytest.approx(beyond, abs=0.03)
    assert clipped_share(0.1 * loud) == pytest.approx(clipped_share(loud))  # turned down after it was cut
    assert clipped_share(np.zeros(99, np.float32)) == 0.0 and clipped_share(np.zeros(0, np.float32)) == 0.0


@pytest.mark.parametrize(("source", "left_out"), [("asr:whisper-base", True), ("given", False)])
def test_words_that_the_recogniser_does_not_believe(sound_percept: Percept, source: str, left_out: bool) -> None:
    words = tuple(Word(text="hm", start_s=0, end_s=1, probability=p) for p in (0.1, 0.3))
    heard = Transcript(text="hm hm", source=source, segments=(Segment(text="hm hm", start_s=0, end_s=1, words=words),))
    found = unreliable(replace(sound_percept, transcript=heard))
    assert ("text" in found) == left_out
    if left_out:
        assert "20%" in found["text"]


def test_something_is_always_left(sound_percept: Percept) -> None:
    bad = with_levels(with_face(sound_percept, mesh_score=0.1), -20.0, -21.0)
    settings = AnalyzeSettings(without=("text",), transcribe=False)
    present = {**present_inputs(bad, settings), "text": False}
    found = gate(bad, present)
    assert found.present == present and found.reasons == {} and found.percept is bad
    assert "No input can be trusted" in found.warnings[0] and "mesh" in found.warnings[0]


def test_an_input_that_is_not_there_is_not_left_out_again(sound_percept: Percept) -> None:
    bad = with_levels(sound_percept, -20.0, -21.0)
    found = gate(bad, {"video": True, "audio": False, "text": True})
    assert found.reasons == {} and found.warnings == ()


def test_the_gate_is_off_by_default(make_faces: Callable[..., FaceMeasures]) -> None:
    assert AnalyzeSettings().gate is False
    assert face_quality(make_faces(frames=1)) is not None

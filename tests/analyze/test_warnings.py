"""What a reader must know is said, and nothing is said where all is well."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from emotion_llama.analyze.perceive import Percept, present_inputs
from emotion_llama.analyze.warnings import answer_warnings, input_states, perception_warnings
from emotion_llama.clip import Transcript
from emotion_llama.measurements import FaceMeasures
from emotion_llama.media import DecodeNotes
from emotion_llama.media.types import Frame, Waveform
from emotion_llama.settings import AnalyzeSettings

ALL = AnalyzeSettings()
UNHEARD = Transcript(text=None, source="none")


def told(percept: Percept) -> str:
    return " ".join(perception_warnings(percept, ALL))


def reasons(percept: Percept, settings: AnalyzeSettings = ALL) -> dict[str, tuple[bool, str]]:
    states = input_states(percept, settings, present_inputs(percept, settings))
    return {name: (state.present, state.reason) for name, state in states.items()}


def test_a_good_recording_gives_no_warning(percept: Percept) -> None:
    assert told(percept) == ""
    assert reasons(percept) == dict.fromkeys(("video", "audio", "text"), (True, "present"))


def test_damage_is_told_with_its_reason(percept: Percept) -> None:
    notes = (DecodeNotes(True, "it ends at 1.0 s; its header says 9.0 s"), DecodeNotes())
    assert "damaged: it ends at 1.0 s; its header says 9.0 s" in told(replace(percept, notes=notes))


def test_a_short_recording_is_told_but_a_picture_is_not_short(percept: Percept) -> None:
    assert percept.media is not None
    assert "very short (0.1 s)" in told(replace(percept, media=replace(percept.media, duration_s=0.1)))
    assert told(replace(percept, media=replace(percept.media, duration_s=None, kind="image"))) == ""


def test_a_short_span_of_a_long_recording_is_told(percept: Percept) -> None:
    clip = percept.clip.model_copy(update={"start_s": 0.5, "end_s": 0.8})
    assert "very short (0.3 s)" in told(replace(percept, clip=clip))


def test_faces_missing_many_or_rarely_seen_are_told(
    percept: Percept, no_face: FaceMeasures, make_faces: Callable[..., FaceMeasures]
) -> None:
    assert "No face was found" in told(replace(percept, faces=no_face))
    several = told(replace(percept, faces=make_faces(tracks=3)))
    assert "3 faces were found" in several and "voice may belong to someone else" in several
    assert "only 25% of the frames" in told(replace(percept, faces=replace(make_faces(), frames_seen=16)))
    assert "average face" in told(replace(percept, faces=make_faces(baseline="population")))


def test_a_black_picture_is_told(percept: Percept, no_face: FaceMeasures) -> None:
    black = Frame(np.zeros((48, 64, 3), np.uint8), 0, 0.0)
    assert "nearly black" in told(replace(percept, frame=black, faces=no_face))


def test_silence_no_speech_and_foreign_words_are_told(percept: Percept) -> None:
    sound = percept.sound
    assert sound is not None
    assert "sound track is silent" in told(replace(percept, sound=replace(sound, silent=True, voice=None)))
    assert "No speech was found" in told(replace(percept, sound=replace(sound, voice=None)))
    german = sound.transcript.model_copy(update={"language": "de", "language_probability": 0.8})
    foreign = replace(percept, sound=replace(sound, transcript=german))
    assert "language 'de' (80%); the model's words were trained on English." in told(foreign)
    assert list(perception_warnings(foreign, ALL, "de")) == []  # a model of that language


def test_reasons_of_missing_inputs(percept: Percept) -> None:
    assert percept.media is not None and percept.sound is not None
    alone = replace(percept, media=None, faces=None, sound=None, waveform=None)
    assert reasons(alone)["video"] == reasons(alone)["audio"] == (False, "text alone was given")
    no_sound = replace(percept, sound=None, waveform=None, transcript=UNHEARD)
    assert reasons(no_sound)["audio"] == (False, "the recording has no sound")
    assert reasons(no_sound)["text"] == (False, "there was no sound to transcribe and no transcript was given")
    silent = replace(percept, sound=replace(percept.sound, silent=True))
    assert reasons(silent)["audio"] == (False, "the sound track is silent")
    brief = replace(percept, waveform=Waveform(np.ones(1600, np.float32)))
    assert reasons(brief)["audio"] == (False, "the sound is shorter than 0.2 s")
    assert reasons(replace(percept, faces=None))["video"] == (False, "the recording has no picture")
    switched_off = reasons(replace(percept, transcript=UNHEARD), AnalyzeSettings(transcribe=False))
    assert switched_off["text"] == (False, "no transcript was given and recognition was switched off")


@pytest.mark.parametrize("name", ["audio", "text", "video"])
def test_what_was_left_out_is_said_to_be_left_out(percept: Percept, name: str) -> None:
    gone = {"audio": {}, "text": {"transcript": UNHEARD}, "video": {"faces": None}}[name]
    states = reasons(replace(percept, **gone), AnalyzeSettings(without=(name,)))  # type: ignore[arg-type]
    assert states.pop(name) == (False, "left out as asked")
    assert set(states.values()) == {(True, "present")}


def test_sound_left_out_is_not_warned_about(percept: Percept) -> None:
    assert percept.sound is not None
    quiet = replace(percept, sound=replace(percept.sound, voice=None))
    assert list(perception_warnings(quiet, AnalyzeSettings(without=("audio",)))) == []


def answered(**changes: object) -> str:
    usual: dict[str, object] = {
        "labels": ("happy", "sad"), "trained": ("happy", "sad", "fear"), "probabilities": {"happy": 0.9, "sad": 0.1},
        "label_mass": 0.9, "order_sensitivity": 0.01,
    }  # fmt: skip
    return " ".join(answer_warnings(**(usual | changes)))  # type: ignore[arg-type]


def test_a_sure_answer_gives_no_warning() -> None:
    assert answered() == ""
    assert answered(labels=("joy", "sadness", "fearful")) == ""  # other words for trained labels
    assert answered(label_mass=None, order_sensitivity=None) == ""


def test_doubts_about_the_answer_are_told() -> None:
    assert "never trained on: tired, bored." in answered(labels=("happy", "tired", "bored"))
    assert "7% of its belief" in answered(label_mass=0.07)
    assert "order in which the labels" in answered(order_sensitivity=0.4)
    unsure = answered(probabilities={"sad": 0.3, "happy": 0.36, "fear": 0.34})
    assert "not sure: happy and fear are the likeliest" in unsure


def test_own_labels_of_a_training_are_known() -> None:
    assert answered(labels=("Stressed", "joy"), trained=("stressed", "happy")) == ""
    assert "never trained on: tired" in answered(labels=("stressed", "tired"), trained=("stressed",))

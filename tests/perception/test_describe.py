from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from emotion_llama.clip import Observation, Segment, Transcript, VoiceMeasures, Word
from emotion_llama.labels import canonical
from emotion_llama.measurements import (
    ACTION_UNITS,
    EXPRESSIONS,
    ActionUnitSeries,
    FaceBox,
    FaceMeasures,
    FaceSample,
    FaceTrack,
    SoundMeasures,
    VoiceTrace,
)
from emotion_llama.media.types import Frame
from emotion_llama.perception.describe import (
    describe_face,
    describe_voice,
    describe_words,
    emotional_words,
    strength,
    word_table,
)
from emotion_llama.perception.scene import describe_scene

PEAK = 10


def face(
    units: dict[int, float], *, confidence: float = 0.9, expression: dict[str, float] | None = None, count: int = 20
) -> FaceMeasures:
    """Units at full size in samples 8–12 (10 a second), a quarter of it elsewhere; the peak is sample 10, 1.0 s."""
    size = np.full(count, 0.25, np.float32)
    size[8:13] = 1.0
    intensity = np.zeros((count, len(ACTION_UNITS)), np.float32)
    for unit, value in units.items():
        intensity[:, ACTION_UNITS.index(unit)] = value * size
    series = ActionUnitSeries(
        time_s=np.arange(count, dtype=np.float32) / 10,
        intensity=intensity,
        confidence=np.full_like(intensity, confidence),
        pose_deg=np.zeros((count, 3), np.float32),
        baseline="own",
    )
    rows = None
    if expression is not None:
        rows = np.tile(np.array([expression.get(name, 0.0) for name in EXPRESSIONS], np.float32), (count, 1))
    track = FaceTrack(0, tuple(face_sample(time) for time in series.time_s))
    return FaceMeasures(count, (track,), 0, series, rows, None, PEAK if count > PEAK else 0)


def face_sample(time_s: float, corners: tuple[float, float, float, float] = (40, 20, 60, 50)) -> FaceSample:
    box = FaceBox(np.array(corners, np.float32), np.zeros((6, 2), np.float32), 0.9)
    return FaceSample(0, float(time_s), box, np.zeros((468, 3), np.float32), 0.9, np.zeros((160, 160, 3), np.uint8))


NO_FACE = FaceMeasures(5, (), None, None, None, None, None)


def voice(**values: float | int | None) -> VoiceMeasures:
    """A voice with every measure within its norm, but for `values`."""
    usual = {
        "f0_hz": 180.0, "f0_range_semitones": 9.0, "f0_slope_semitones_s": -1.0, "loudness_db": -26.0,
        "loudness_range_db": 15.0, "speech_rate_syl_s": 4.5, "speech_s": 2.0, "pause_count": 0, "pause_mean_s": None,
        "voiced_fraction": 0.6, "jitter_percent": 1.0, "shimmer_db": 1.0, "hnr_db": 14.0,
        "spectral_tilt_db_octave": -2.0,
    }  # fmt: skip
    return VoiceMeasures.model_validate({**usual, **values})


def heard(measures: VoiceMeasures | None, silent: bool = False) -> list[Observation]:
    empty = np.zeros(0, np.float32)
    trace = VoiceTrace(empty, empty, empty, ((0.5, 1.0), (1.2, 2.5)))
    return describe_voice(SoundMeasures(silent, measures, trace, Transcript(text=None, source="none")))


def named(observations: list[Observation], name: str) -> Observation:
    (found,) = [o for o in observations if o.name == name]
    return found


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0.8, "the lip corners are slightly pulled up"),
        (2.3, "the lip corners are pulled up"),
        (4.1, "the lip corners are strongly pulled up"),
    ],
)
def test_action_unit_in_words_with_its_measurement(size: float, text: str) -> None:
    seen = named(describe_face(face({12: size})), "AU12")
    assert (seen.text, seen.value, seen.unit, seen.direction) == (text, size, "of 5", 1)
    assert seen.supports == ("happy",)
    assert (seen.start_s, seen.end_s) == (0.8, 1.2)


def test_strongest_first_at_most_six_above_the_threshold() -> None:
    sizes = {1: 1.0, 2: 3.0, 4: 0.79, 5: 2.0, 6: 4.0, 7: 1.5, 9: 2.5, 10: 0.9}
    units = [o.name for o in describe_face(face(sizes))]
    assert units == ["AU06", "AU02", "AU09", "AU05", "AU07", "AU01"]


def test_uncertain_units_are_not_told() -> None:
    (seen,) = describe_face(face({12: 4.0}, confidence=0.4))
    assert seen.name == "largest_action_unit"


def test_jaw_during_speech_is_speech() -> None:
    speaking = named(describe_face(face({26: 3.0}), ((0.5, 1.5),)), "AU26")
    silent = named(describe_face(face({26: 3.0}), ((1.1, 1.5),)), "AU26")
    assert (speaking.text, speaking.supports) == ("the mouth opens with speech", ())
    assert "surprise" in silent.supports


def test_resting_face_speaks_for_neutral() -> None:
    (seen,) = describe_face(face({12: 0.3}))
    assert (seen.text, seen.direction) == ("the face stays close to its resting shape", 0)
    assert "neutral" in seen.supports


def test_blink_is_ignored_and_closed_eyes_are_not() -> None:
    blink = face({45: 4.0})
    closed = dataclasses.replace(blink.action_units, intensity=np.full_like(blink.action_units.intensity, 3.0))
    assert all(o.name != "AU45" for o in describe_face(blink))
    seen = named(describe_face(dataclasses.replace(blink, action_units=closed)), "AU45")
    assert (seen.text, seen.start_s, seen.end_s) == ("the eyes stay closed for a while", 0.0, 1.9)


def test_expression_is_said_when_it_is_sure() -> None:
    sure = describe_face(face({}, expression={"surprise": 0.93, "fear": 0.07}))[0]
    unsure = describe_face(face({}, expression={"surprise": 0.4, "fear": 0.35, "sad": 0.25}))[0]
    assert (sure.text, sure.supports) == ("the whole face reads as surprised", ("surprise",))
    assert sure.value == pytest.approx(0.93, abs=1e-3)
    assert (unsure.text, unsure.supports) == ("the whole face is hard to read", ())


def test_single_picture_has_no_time_span_and_no_face_no_words() -> None:
    picture = named(describe_face(face({12: 8.0}, count=1)), "AU12")
    assert (picture.start_s, picture.end_s) == (None, None)
    assert describe_face(NO_FACE) == []


@pytest.mark.parametrize(
    ("name", "value", "text", "direction", "emotion"),
    [
        ("f0_hz", 310.0, "the voice is high", 1, "surprise"),
        ("f0_hz", 94.0, "the voice is slightly low", -1, "sad"),
        ("f0_hz", 180.0, "the pitch is in its usual range", 0, "neutral"),
        ("f0_range_semitones", 2.0, "the melody is strongly flat", -1, "bored"),
        ("loudness_db", -13.0, "the voice is loud", 1, "angry"),
        ("speech_rate_syl_s", 2.9, "the speech is slightly slow", -1, "sad"),
        ("pause_mean_s", 0.8, "the pauses are slightly long", 1, "doubt"),
        ("spectral_tilt_db_octave", -8.5, "the voice sounds soft", -1, "calm"),
    ],
)
def test_voice_against_its_norms(name: str, value: float, text: str, direction: int, emotion: str) -> None:
    found = named(heard(voice(**{name: value})), name)
    assert (found.text, found.direction, found.value) == (text, direction, value)
    assert emotion in found.supports
    assert (found.start_s, found.end_s) == (0.5, 2.5)


def test_a_measure_that_could_not_be_taken_is_not_told() -> None:
    names = {o.name for o in heard(voice(f0_hz=None, hnr_db=None))}
    assert not names & {"f0_hz", "hnr_db", "pause_mean_s"}
    assert "speech_rate_syl_s" in names


def test_silence_and_no_speech_are_told() -> None:
    assert [o.text for o in heard(None, silent=True)] == ["the recording is silent"]
    assert [o.text for o in heard(None)] == ["no speech is heard"]


def test_words() -> None:
    spoken = (Word(text=" I", start_s=0.1, end_s=0.2, probability=0.9),)
    spoken += (Word(text=" hate", start_s=0.3, end_s=0.6, probability=0.8),)
    said = Transcript(
        text=" I hate it.", source="asr", segments=(Segment(text="I hate it.", start_s=0.1, end_s=0.9, words=spoken),)
    )
    quote, marked = describe_words(said)
    assert (quote.text, quote.supports, quote.source) == ("the words are “I hate it.”", (), "asr")
    assert (marked.name, marked.supports, marked.start_s, marked.confidence) == ("hate", ("angry",), 0.3, 0.8)
    assert describe_words(Transcript(text=None, source="none")) == []
    assert [o.text for o in describe_words(Transcript(text="", source="given"))] == ["nothing is said"]
    assert len(describe_words(Transcript(text="I hate it", source="asr", language="de"))) == 1


def test_emotional_words_are_whole_words_and_not_negated() -> None:
    assert emotional_words("I am not at all happy, but you ARE afraid.") == {"afraid": "fear"}
    assert emotional_words("I don’t hate the saddle") == {}


def test_strength_grows_with_the_step() -> None:
    sizes = [strength(named(describe_face(face({4: size})), "AU04")) for size in (1.0, 2.5, 4.0)]
    pitches = [strength(named(heard(voice(f0_hz=pitch)), "f0_hz")) for pitch in (200.0, 270.0, 310.0, 400.0)]
    assert sizes == sorted(set(sizes)) and pitches == sorted(set(pitches))


def test_the_table_is_whole() -> None:
    table = word_table()
    assert set(table.action_units) == set(ACTION_UNITS) - {45}
    assert set(table.voice) <= set(VoiceMeasures.model_fields)
    phrases = [*table.action_units.values()]
    for norm in table.voice.values():
        phrases += [side for side in (norm.low, norm.high, norm.usual) if side is not None]
        if norm.low is not None and norm.high is not None:
            assert norm.low.steps[0] < norm.high.steps[0]
        assert norm.low is None or list(norm.low.steps) == sorted(norm.low.steps, reverse=True)
        assert norm.high is None or list(norm.high.steps) == sorted(norm.high.steps)
    for phrase in phrases:
        assert all(canonical(emotion) == emotion for emotion in phrase.supports)
        assert phrase.phrase.format(much="")[0].islower()
    assert all(canonical(emotion) == emotion for emotion in table.words)


def test_scene_facts() -> None:
    rng = np.random.default_rng(0)
    noisy = Frame(rng.integers(0, 256, (100, 100, 3)).astype(np.uint8), 0, 1.0)
    black = Frame(np.zeros((100, 100, 3), np.uint8), 0, 0.0)
    assert {o.name: o.text for o in describe_scene(noisy, face({}))} == {
        "brightness": "the picture is well lit",
        "sharpness": "the picture is sharp",
        "face_count": "one face is seen",
        "face_height": "the face is in the middle of the picture",
    }
    assert [o.text for o in describe_scene(black, NO_FACE)] == [
        "the picture is dark",
        "the picture is blurred or plain",
        "no face is found",
    ]


def test_place_and_size_of_the_face() -> None:
    frame = Frame(np.zeros((100, 100, 3), np.uint8), 0, 0.0)
    small = FaceTrack(0, (face_sample(0.0, (2, 10, 12, 20)),))
    seen = named(describe_scene(frame, FaceMeasures(1, (small, small), 0, None, None, None, 0)), "face_height")
    assert (seen.text, seen.value) == ("the small face is in the left of the picture", pytest.approx(0.1))

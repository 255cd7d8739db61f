"""A person's own rest and medians: what is ordinary for the person is no sign, and few recordings count less."""

from __future__ import annotations

import random
from collections.abc import Mapping

import numpy as np
import pytest

from emotion_llama.clip import Observation, Transcript, VoiceMeasures
from emotion_llama.measurements import ACTION_UNITS, FaceSample, OwnMedian, SoundMeasures
from emotion_llama.perception.action_distances import neutral_actions
from emotion_llama.perception.action_units import measure_action_units
from emotion_llama.perception.claim_check import check_claims
from emotion_llama.perception.claims import extract_claims
from emotion_llama.perception.compose import compose_audio
from emotion_llama.perception.describe import describe_voice, strength, voice_steps, word_table
from emotion_llama.perception.geometry import neutral_face
from emotion_llama.perception.mesh import box_of_mesh
from emotion_llama.perception.own_norms import LEAST, SHRINKAGE, above_rest, person_norms, resting

USUAL = {
    "f0_hz": 180.0, "f0_range_semitones": 9.0, "f0_slope_semitones_s": -1.0, "loudness_db": -26.0,
    "loudness_range_db": 15.0, "speech_rate_syl_s": 4.5, "speech_s": 2.0, "pause_count": 0, "pause_mean_s": None,
    "voiced_fraction": 0.6, "jitter_percent": 1.0, "shimmer_db": 1.0, "hnr_db": 14.0, "spectral_tilt_db_octave": -2.0,
}  # fmt: skip


def voice(**values: float | None) -> VoiceMeasures:
    return VoiceMeasures.model_validate({**USUAL, **values})


def face(at: int, corners_mm: float) -> FaceSample:
    """The neutral face, its mouth corners pulled up and out."""
    mesh = neutral_face().mesh.copy()
    for corner, side in ((61, -1), (291, 1)):
        mesh[corner] += np.array([side, 1.0, -1.0]) * corners_mm / 63
    pixels = (mesh * [60, -60, -60] + [300, 200, 0]).astype(np.float32)
    return FaceSample(at, at / 15, box_of_mesh(pixels, 0.9), pixels, 1.0, np.zeros((160, 160, 3), np.uint8))


def said(measures: VoiceMeasures, own: Mapping[str, OwnMedian]) -> dict[str, Observation]:
    sound = SoundMeasures(False, measures, None, Transcript(text=None, source="none"))
    return {str(one.name): one for one in describe_voice(sound, own)}


def test_medians_are_those_of_numpy_and_need_several_recordings() -> None:
    pitches = [110.0, 90.0, 130.0, 95.0, 400.0]
    norms = person_norms([voice(f0_hz=hz, jitter_percent=None) for hz in pitches], [])
    assert norms.voice["f0_hz"] == OwnMedian(median=float(np.median(pitches)), n=5)
    assert "jitter_percent" not in norms.voice and norms.rest is None and norms.rest_clips == 0
    assert person_norms([voice()] * (LEAST - 1), []).voice == {}


def test_the_rest_of_few_recordings_is_drawn_to_the_population() -> None:
    mean, own = neutral_actions().mean, neutral_actions().mean + 0.1
    for count in (LEAST, 40):
        norms = person_norms([], [own] * count)
        assert norms.rest is not None and norms.rest_clips == count
        np.testing.assert_allclose(norms.rest - mean, 0.1 * count / (count + SHRINKAGE))


def test_a_face_at_its_own_rest_shows_nothing_and_the_same_smile_above_it_is_smaller() -> None:
    smiling = (face(0, 6.0),)
    column = ACTION_UNITS.index(12)
    beside_people = measure_action_units(smiling)
    assert beside_people.baseline == "population" and beside_people.intensity[0, column] > 1
    at_rest = above_rest(smiling, resting(smiling))
    assert at_rest.baseline == "profile" and at_rest.intensity.max() == 0
    half = above_rest(smiling, resting((face(0, 3.0),)))
    assert 0 < half.intensity[0, column] < beside_people.intensity[0, column]
    np.testing.assert_array_equal(half.confidence, beside_people.confidence)


def test_rest_is_the_calm_part_of_a_recording() -> None:
    mostly_calm = tuple(face(at, 0.0 if at < 8 else 8.0) for at in range(16))
    np.testing.assert_allclose(resting(mostly_calm), resting((face(0, 0.0),)), atol=1e-6)


def test_a_deep_voice_is_ordinary_for_its_speaker() -> None:
    own = {"f0_hz": OwnMedian(median=80.0, n=9)}
    deep = voice(f0_hz=80.0)
    assert said(deep, {})["f0_hz"].direction == -1
    found = said(deep, own)["f0_hz"]
    assert found.direction == 0 and found.norm == 80.0 and "own median of 80.00 Hz over 9 recordings" in str(found.note)


def test_the_text_says_how_far_from_the_own_median() -> None:
    own = {
        "f0_hz": OwnMedian(median=100.0, n=9),
        "speech_rate_syl_s": OwnMedian(median=5.0, n=9),
        "loudness_db": OwnMedian(median=-30.0, n=9),
    }
    found = said(voice(f0_hz=200.0, speech_rate_syl_s=4.0, loudness_db=-20.0), own)
    assert found["f0_hz"].text == "the voice is high, 12.0 semitones over the speaker's own median"
    assert found["speech_rate_syl_s"].text == "the speech is slow, 20 % under the speaker's own median"
    assert found["loudness_db"].text == "the voice is slightly loud, 10.0 dB over the speaker's own median"
    assert found["f0_range_semitones"].norm is None  # no median of this measure is known


def test_a_rising_pitch_is_told_of_itself() -> None:
    own = {"f0_slope_semitones_s": OwnMedian(median=-6.0, n=9)}
    assert "f0_slope_semitones_s" not in said(voice(f0_slope_semitones_s=-1.0), own)
    assert said(voice(f0_slope_semitones_s=6.0), own)["f0_slope_semitones_s"].norm is None


def test_steps_of_a_person_grow_away_from_the_median() -> None:
    for name, norm in word_table().voice.items():
        for side in (-1, 1):
            steps = voice_steps(name, side, 5.0) if norm.own is not None else None
            if steps is not None:
                outward = [side * (step - 5.0) for step in steps]
                assert outward == sorted(outward) and outward[0] > 0


def test_strength_and_claims_follow_the_own_norm() -> None:
    own = {"f0_hz": OwnMedian(median=150.0, n=9)}
    measures = voice(f0_hz=290.0)
    beside = said(measures, own)["f0_hz"]
    assert strength(beside) > strength(said(measures, {})["f0_hz"])
    (claim,) = extract_claims("The pitch of her voice is low.")
    deep = voice(f0_hz=110.0)
    plain, personal = (
        check_claims([claim], list(said(deep, norms).values()), {}, deep, None)[0] for norms in ({}, own)
    )
    assert plain.verdict == "contradicted" and personal.verdict == "supported"


def test_composed_texts_of_own_norms_hold_what_they_say() -> None:
    own = {"f0_hz": OwnMedian(median=120.0, n=9), "loudness_db": OwnMedian(median=-44.0, n=9)}
    measures = voice(f0_hz=240.0, loudness_db=-26.0)
    evidence = list(said(measures, own).values())
    for seed in range(5):
        text = compose_audio(evidence, random.Random(seed))
        found = check_claims(extract_claims(text), evidence, {}, measures, None)
        assert found and all(one.verdict != "contradicted" for one in found), (text, found)


def test_an_unmeasured_voice_has_no_norm() -> None:
    with pytest.raises(KeyError):
        voice_steps("no_such_measure", 1, 1.0)

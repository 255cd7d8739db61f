"""Percept and answers become the result that is written, and what the report draws."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from emotion_llama.analyze.answers import Answers
from emotion_llama.analyze.perceive import Percept
from emotion_llama.analyze.preset import TRAINED_LABELS
from emotion_llama.analyze.results import build_analysis, build_material
from emotion_llama.analyze.scoring import PROMPT_WORDS
from emotion_llama.analyze.told import in_language
from emotion_llama.clip import Analysis, Attribution, Conflict, LabelScores, Observation, PeakFrame
from emotion_llama.labels import VALENCE, canonical
from emotion_llama.measurements import FaceMeasures
from emotion_llama.settings import AnalyzeSettings

ANSWERS = Answers(
    emotion="happy",
    probabilities={"happy": 0.75, "sad": 0.25},
    scores=LabelScores(raw={"happy": -1, "sad": -2}, prior_corrected={"happy": 0, "sad": -1}),
    order_sensitivity=0.02,
    label_mass=0.9,
    labels=(),
    texts={"reason": "A smile, so happy.", "visual": "A smile."},
    prompts={"emotion": "Which emotion?"},
    stated="happy",
    present={"video": True, "audio": True, "text": True},
)


KEYS = re.compile("f0_[a-z_]+|[a-z]+_db|speech_[a-z_]+|largest_action_unit")
"""Names of measures, the same in every language."""


def built(percept: Percept, template: Analysis, answers: Answers = ANSWERS, **settings: Any) -> Analysis:
    chosen = AnalyzeSettings.model_validate({"labels": ("happy", "sad")} | settings)
    return build_analysis(percept, chosen, answers, template.provenance, {"total": 1.23456})


def test_everything_finds_its_place(percept: Percept, analysis: Analysis) -> None:
    found = built(percept, analysis)
    assert (found.clip, found.duration_s, found.emotion, found.confidence) == ("dir/a.mp4", 1.0, "happy", 0.75)
    assert found.valence is not None
    assert found.valence.value == pytest.approx(0.75 * VALENCE["happy"] + 0.25 * VALENCE["sad"])
    assert (found.reasoning, found.visual, found.audio) == ("A smile, so happy.", "A smile.", None)
    assert found.raw == {"reason": "A smile, so happy.", "visual": "A smile."}
    assert tuple(o.model_copy(update={"speaks": None}) for o in found.evidence) == percept.observations
    assert found.evidence[0].speaks == "for"  # a smile, of a happy person
    assert found.transcript == percept.transcript
    assert found.action_units["AU12"] == 3.0 and len(found.action_units) == 18
    assert found.timings_s == {"total": 1.2346} and found.warnings == ()
    assert Analysis.model_validate_json(found.model_dump_json()) == found


def test_faces_are_told_with_the_main_one_at_the_peak(
    percept: Percept, analysis: Analysis, make_faces: Callable[..., FaceMeasures]
) -> None:
    faces = built(replace(percept, faces=make_faces(frames=5, tracks=2)), analysis).faces
    assert [(face.track, face.main, face.presence) for face in faces] == [(0, True, 1.0), (1, False, 1.0)]
    assert faces[0].box_px == (10, 10, 50, 40) and (faces[0].first_s, faces[0].last_s) == (0.0, 0.4)


def test_what_is_missing_is_none_or_empty(percept: Percept, analysis: Analysis, no_face: FaceMeasures) -> None:
    found = built(replace(percept, faces=no_face), analysis)
    assert (found.faces, found.action_units) == ((), {})
    deaf = built(percept, analysis, without=("audio",))
    assert deaf.voice is None and built(percept, analysis).voice is not None


def test_disagreement_of_text_and_scores_is_told(percept: Percept, analysis: Analysis) -> None:
    told = built(percept, analysis, replace(ANSWERS, stated="sad")).warnings
    assert any("'sad'" in line and "'happy'" in line and "disagree" in line for line in told)
    silent = built(percept, analysis, replace(ANSWERS, stated=None)).warnings
    assert any("names none of the asked emotions" in line for line in silent)
    same_in_other_words = replace(ANSWERS, emotion="joy", stated="happy")
    assert built(percept, analysis, same_in_other_words).warnings == ()
    unasked = replace(ANSWERS, texts={}, stated=None)
    assert built(percept, analysis, unasked).warnings == ()


def test_verified_reasons_leave_out_what_is_contradicted_and_say_so(percept: Percept, analysis: Analysis) -> None:
    smile, silence = "The lip corners are pulled up.", "Nothing is said."
    mixed = replace(ANSWERS, texts={"reason": f"{smile} {silence} So the emotion is happy."}, stated="happy")
    plain = built(percept, analysis, mixed)
    assert {claim.verdict for claim in plain.claims} == {"supported", "contradicted"}
    assert plain.claims_supported == 0.5 and plain.warnings == ()
    found = built(percept, analysis, mixed, verified=True)
    assert found.reasoning == f"{smile} So the emotion is happy." and found.claims_supported == 1.0
    assert found.raw["reason"] == mixed.texts["reason"]
    (told,) = found.warnings
    assert "left out of the model's reason" in told
    # nothing but the conclusion would be left: a reason from the measurements takes its place
    wrong = replace(mixed, texts={"reason": f"{silence} So the emotion is happy."})
    instead = built(percept, analysis, wrong, verified=True)
    assert instead.claims and all(claim.verdict != "contradicted" for claim in instead.claims)
    assert "happy" in (instead.reasoning or "")


def test_a_cut_transcript_is_told(percept: Percept, analysis: Analysis) -> None:
    words = percept.transcript.model_copy(update={"text": "word " * (PROMPT_WORDS + 1)})
    (told,) = built(replace(percept, transcript=words), analysis).warnings
    assert f"first {PROMPT_WORDS} words" in told


def test_valence_of_unknown_labels_is_none(percept: Percept, analysis: Analysis) -> None:
    found = built(percept, analysis, replace(ANSWERS, probabilities={"blue": 0.5, "green": 0.5}, emotion="blue"))
    assert found.valence is None


def test_trained_labels_are_canonical() -> None:
    assert all(canonical(label) == label for label in TRAINED_LABELS)


def test_the_mesh_is_drawn_only_on_the_frame_it_was_seen_in(percept: Percept) -> None:
    material = build_material(percept)
    assert material.mesh_px is not None and material.mesh_px.shape == (468, 3) and material.box_px is not None
    elsewhere = replace(percept, peak=PeakFrame(index=0, time_s=0.0, policy="first"))
    assert build_material(elsewhere).mesh_px is None and build_material(elsewhere).box_px is None
    assert build_material(elsewhere).peak_rgb is percept.frame.rgb  # type: ignore[union-attr]


def test_text_alone_draws_nothing(percept: Percept) -> None:
    bare = replace(percept, media=None, faces=None, frame=None, peak=None, sound=None, waveform=None)
    material = build_material(bare)
    assert material.peak_rgb is None and material.waveform is None and material.duration_s is None


FLAT = Observation(
    channel="voice", text="the melody is flat", source="voice-1", name="f0_range_semitones", value=5.0, direction=-1,
    unit="semitones", supports=("sad",),
)  # fmt: skip
FOREIGN = replace(ANSWERS, texts={}, stated=None)


def test_what_the_model_cannot_write_is_composed_in_the_language(percept: Percept, analysis: Analysis) -> None:
    tasks = ("emotion", "reason", "visual", "audio")
    percept = replace(percept, observations=(percept.observations[0], FLAT))
    found = built(percept, analysis, FOREIGN, language="zh", tasks=tasks)
    for text in (found.reasoning, found.visual, found.audio):
        assert text and text.endswith("。") and not re.search("[A-Za-z]{3,}", text.replace("hello there", "")), text
    assert "高兴" in (found.reasoning or "") and found.raw == {}
    assert found.claims and found.claims_supported == 1.0
    assert any("does not write the language" in line for line in found.warnings)
    alone = built(percept, analysis, FOREIGN, language="zh", tasks=("emotion",))
    assert (alone.reasoning, alone.visual, alone.warnings) == (None, None, ())
    unsure = built(percept, analysis, replace(FOREIGN, emotion=None, candidates=("happy", "sad")), language="zh")
    assert unsure.reasoning is None


def test_an_analysis_is_told_in_a_language(percept: Percept, analysis: Analysis) -> None:
    percept = replace(percept, observations=(percept.observations[0], FLAT))
    clash = Conflict(
        inputs=("video", "audio"), emotions=("happy", "sad"), divergence=0.6,
        text="the picture alone says happy (81%), the voice alone sad (70%)",
    )  # fmt: skip
    shares = Attribution(
        emotion="happy", blank=0.1, shapley={}, left_out={}, alone={}, divergence=0.6, conflict=clash,
    )  # fmt: skip
    asked = replace(FOREIGN, present={"video": True, "audio": True, "text": False}, attribution=shares)
    english = built(percept, analysis, asked, language="zh", tasks=("emotion", "reason"))
    found = in_language(english, "zh")
    assert (found.language, english.language) == ("zh", "en")
    told = [o.text for o in found.evidence] + [o.note or "" for o in found.claims] + list(found.warnings)
    told += [state.reason for state in found.inputs.values()]
    left = [text for text in told if re.search("[A-Za-z]{4,}", KEYS.sub("", text.replace("hello there", "")))]
    assert left == [] and len(told) >= 8, told
    assert found.attribution is not None and found.attribution.conflict is not None
    assert found.attribution.conflict.text == "仅凭画面判断为高兴（81%），仅凭声音判断为悲伤（70%）"
    # what programs read is the same in every language
    assert found.emotion == "happy" and found.probabilities == english.probabilities
    assert [(o.name, o.value, o.unit, o.supports) for o in found.evidence] == [
        (o.name, o.value, o.unit, o.supports) for o in english.evidence
    ]
    assert in_language(found, "zh") == found and in_language(english, "en") == english
    assert Analysis.model_validate_json(found.model_dump_json()) == found

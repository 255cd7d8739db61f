from __future__ import annotations

import random

import pytest
from pydantic import ValidationError

from emotion_llama.clip import Observation
from emotion_llama.errors import UsageError
from emotion_llama.model.processing import TrainSample
from emotion_llama.perception.compose import compose_reason
from emotion_llama.train.preference.facts import Facts, VerifiableSample
from emotion_llama.train.preference.rewards import (
    applicable,
    count_clues,
    format_kept,
    label_match,
    score,
    supported_clues,
    total,
    wheel_f1,
)
from emotion_llama.train.preference.settings import PreferenceSettings, RewardSettings

LABELS = ("happy", "sad", "angry", "fear")
REASON = Facts("reason", LABELS, "sad")
SMILE = Observation(
    channel="face", text="he smiles", source="mesh-au-1", name="AU12", value=3.0, unit="of 5", supports=("happy",)
)
LOUD = Observation(
    channel="voice", text="the voice is loud", source="voice-1", name="loudness_db", value=-8.0, unit="dB", direction=1,
    supports=("angry",),
)  # fmt: skip
SEEN = Facts("reason", LABELS, "happy", evidence=(SMILE, LOUD), transcript="I am fine")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sad", 1.0),
        ("He cries. So the person seems sorrowful.", 1.0),  # a synonym of the label
        ("happy", 0.0),
        ("not sad", 0.0),
        ("happy or sad", 0.0),
        ("One sign speaks for happy. Overall, the emotion is sad.", 1.0),
        ("", 0.0),
    ],
)
def test_label_match(text, expected):
    assert label_match(text, REASON) == expected


def test_label_match_applies_to_asked_labels_only():
    assert label_match("sad", Facts("reason", (), "sad")) is None
    assert label_match("sad", Facts("visual", LABELS, "sad")) is None
    assert label_match("sad", Facts("emotion", LABELS, None)) is None


def test_wheel_f1_by_hand():
    facts = Facts("emotion", (), "happy", frozenset({"happy"}))
    assert wheel_f1("joyful", facts) == pytest.approx(1.0)
    assert wheel_f1("sad", facts) == pytest.approx(0.0)
    assert wheel_f1("happy, sad", facts) == pytest.approx(2 * 0.5 * 1 / 1.5)
    assert wheel_f1("happy, blorbful", facts) == pytest.approx(2 * 0.5 * 1 / 1.5)  # naming anything costs
    assert wheel_f1("", facts) == 0.0
    assert wheel_f1("happy", REASON) is None and wheel_f1("happy", Facts("emotion")) is None


@pytest.mark.parametrize(
    ("text", "facts", "expected"),
    [
        ("sad", REASON, 1.0),
        ("The voice is loud. So the emotion is fear.", REASON, 1.0),  # wrong, but in form
        ("The emotion is sad. The voice is loud.", REASON, 0.0),  # does not end with it
        ("The voice is loud. It is happy, sad and angry", REASON, 0.0),
        ("", REASON, 0.0),
        ("  \n", REASON, 0.0),
        ("word " * 20 + "sad", REASON, 0.0),  # too long
        ("The voice is loud.", Facts("audio", LABELS, "sad"), 1.0),
        ("tense, hopeful", Facts("emotion"), 1.0),
        ("!!", Facts("emotion"), 0.0),
    ],
)
def test_format(text, facts, expected):
    assert format_kept(text, facts, RewardSettings(max_words=20)) == expected


def test_supported_clues_are_those_that_were_measured():
    assert supported_clues("He smiles broadly. So the emotion is happy.", SEEN) == 1.0
    assert supported_clues("He smiles and speaks quietly. So the emotion is happy.", SEEN) == 0.5
    assert supported_clues("He speaks quietly.", SEEN) == 0.0
    assert count_clues("He smiles and speaks quietly.", SEEN) == (1, 1)
    bare = "So the emotion is happy."
    assert supported_clues(bare, SEEN) == 0.0
    assert supported_clues(bare, SEEN, RewardSettings(allow_no_clues=True)) is None
    assert supported_clues("He smiles.", SEEN, RewardSettings(clues_wanted=2)) == 0.5
    assert supported_clues("He smiles.", REASON) is None  # nothing was measured
    assert supported_clues("happy", Facts("emotion", LABELS, "happy", evidence=(SMILE,))) is None


def test_composed_reasons_get_all_rewards():
    text = compose_reason((SMILE,), "happy", random.Random(0), None)
    assert score(text, SEEN, RewardSettings()) == {
        "label_match": 1.0, "wheel_f1": None, "format": 1.0, "supported_clues": 1.0,
    }  # fmt: skip


def test_total_is_the_weighted_sum_of_what_applies():
    settings = RewardSettings(weights={"label_match": 2.0, "wheel_f1": 0, "format": 0.5, "supported_clues": 1.0})
    scores = score("He smiles. So the emotion is sad.", SEEN, settings)
    assert scores == {"label_match": 0.0, "format": 1.0, "supported_clues": 1.0}
    assert total(scores, settings) == 1.5
    assert total({"label_match": None, "format": None}, settings) is None


def test_which_rewards_apply_does_not_depend_on_the_answer():
    settings = RewardSettings(allow_no_clues=True)
    assert applicable(SEEN, settings) == {"label_match", "format", "supported_clues"}
    assert applicable(Facts("emotion", (), words=frozenset({"happy"})), settings) == {"wheel_f1", "format"}
    assert applicable(REASON, settings) == {"label_match", "format"}


def test_a_right_label_outside_the_set_is_refused():
    with pytest.raises(UsageError, match="clip a: expected the right label among happy, sad, angry, fear, found 'joy'"):
        VerifiableSample(TrainSample("a", "emotion", LABELS, None, "joy"), Facts("emotion", LABELS, "joy"))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"rewards": {"weights": {"lable_match": 1}}}, "did you mean 'label_match'"),
        (
            {"rewards": {"weights": dict.fromkeys(("label_match", "wheel_f1", "format", "supported_clues"), 0)}},
            "all are 0",
        ),
        ({"pairs": {"wrong_label": 0, "other_clip": 0, "self_play": 0}}, "all shares are 0"),
        ({"step": 3}, "did you mean 'steps'"),
        ({"steps": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, message):
    with pytest.raises(ValidationError, match=message):
        PreferenceSettings(**settings)

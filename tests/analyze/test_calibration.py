"""Scores become probabilities: the prior comes off, the fitted temperature of the present inputs applies."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_llama.analyze.calibration import Calibration, inputs_key, opinions_of
from emotion_llama.errors import ModelError
from emotion_llama.model.configuration import FeatureGroup


def test_combinations_have_one_name_each() -> None:
    assert inputs_key(["text", "video"]) == inputs_key(("video", "text")) == "video+text"
    assert inputs_key(()) == "none"


def test_prior_and_temperature_do_what_they_say() -> None:
    calibration = Calibration(prior_weight=0.5, default_temperature=2.0, temperature={"audio": 1.0})
    corrected = calibration.correct({"a": -1.0, "b": -4.0}, {"a": -2.0, "b": -2.0 - 6.0 * math.log(3)})
    assert corrected == pytest.approx({"a": 0.0, "b": -3.0 + 3.0 * math.log(3)})
    calibration_of = {"a": 0.0, "b": math.log(9)}
    assert calibration.probabilities(calibration_of, ["audio"]) == pytest.approx({"a": 0.1, "b": 0.9})
    assert calibration.probabilities(calibration_of, ["video"]) == pytest.approx({"a": 0.25, "b": 0.75})


def test_a_head_shares_out_the_chance_of_the_labels_it_knows() -> None:
    calibration = Calibration(default_opinion_weight={"voice": 3.0, "face": 0.0})
    scores = {"happy": math.log(0.2), "joyful": math.log(0.2), "sad": math.log(0.2), "jealous": math.log(0.4)}
    opinions = {"voice": {"happy": 0.8, "sad": 0.2}, "face": {"sad": 1.0}}
    found = calibration.probabilities(scores, ["audio", "text"], opinions)
    # happy and joyful are one emotion: of the .6 the voice gives them .24 each, and .12 to sad; jealous is its own
    mean = {label: 0.2**0.25 * voiced**0.75 for label, voiced in (("happy", 0.24), ("joyful", 0.24), ("sad", 0.12))}
    assert found == pytest.approx({k: 0.6 * v / sum(mean.values()) for k, v in mean.items()} | {"jealous": 0.4})
    own = {"happy": 0.2, "joyful": 0.2, "sad": 0.2, "jealous": 0.4}
    assert calibration.probabilities(scores, ["audio"], {"unknown": {"happy": 1.0, "sad": 0.0}}) == pytest.approx(own)
    two = {"sad": -1.0, "jealous": -2.0}  # a head that knows one label has nothing to share out
    assert calibration.probabilities(two, ["audio"], opinions) == pytest.approx(calibration.probabilities(two, []))


def test_labels_no_head_knows_are_as_likely_as_the_language_model_says_however_sharp_the_pool() -> None:
    scores = {"happy": math.log(0.3), "sad": math.log(0.3), "jealous": math.log(0.4)}
    opinions = {"voice": {"happy": 0.6, "sad": 0.4}}
    for pooled in (0.3, 1.0, 4.0):
        calibration = Calibration(default_opinion_weight={"voice": 1.0}, pooled_temperature={"audio+text": pooled})
        assert calibration.probabilities(scores, ["audio", "text"], opinions)["jealous"] == pytest.approx(0.4)
    flat = Calibration(default_opinion_weight={"voice": 1.0}, temperature={"audio+text": 1e6})
    assert flat.probabilities(scores, ["audio", "text"], opinions)["jealous"] == pytest.approx(1 / 3, abs=1e-4)


def test_without_words_a_label_that_no_head_knows_is_at_most_a_blind_guess() -> None:
    found = Calibration(default_opinion_weight={"ear": 1.0})
    scores = {"calm": 3.0, "happy": 1.0, "sad": 0.0, "tired": -4.0}
    ear = {"ear": {"happy": 0.2, "sad": 0.8}}
    alone, read = (found.probabilities(scores, present, ear) for present in (("audio",), ("audio", "text")))
    assert alone["calm"] == pytest.approx(1 / 4) and read["calm"] > 0.8
    assert alone["tired"] == pytest.approx(read["tired"]) and alone["tired"] < 0.01
    assert alone["sad"] > alone["happy"] and sum(alone.values()) == pytest.approx(1.0)
    assert alone["sad"] / alone["happy"] == pytest.approx(read["sad"] / read["happy"])
    assert found.probabilities(scores, ("audio",))["calm"] > 0.8  # no head has an opinion: the model is all there is


def test_the_pool_knows_no_order_and_agreement_does_not_make_it_sharper() -> None:
    calibration = Calibration(default_opinion_weight={"voice": 3.0, "face": 1.5})
    opinion, other = {"happy": 0.7, "sad": 0.3}, {"happy": 0.1, "sad": 0.9}
    scores = {"happy": math.log(0.7), "sad": math.log(0.3)}
    assert calibration.probabilities(scores, [], {"voice": opinion, "face": opinion}) == pytest.approx(opinion)
    one = calibration.probabilities(scores, [], {"voice": opinion, "face": other})
    two = calibration.probabilities(scores, [], {"face": other, "voice": opinion})
    assert one == pytest.approx(two)


def test_a_heads_weight_is_that_of_what_is_beside_it() -> None:
    calibration = Calibration(
        default_opinion_weight={"face": 1.0}, opinion_weight={"video (face)": {"face": 3.0}, "audio": {"face": 0.0}}
    )
    scores, opinions = {"happy": 0.0, "sad": 0.0}, {"face": {"happy": 0.9, "sad": 0.1}}
    for inputs, weight in ((["video"], 3.0), (["video", "audio"], 1.0), (["audio"], 0.0)):
        odds = 9 ** (weight / (1 + weight))
        found = calibration.probabilities(scores, inputs, opinions)["happy"]
        assert found == pytest.approx(odds / (1 + odds))


def test_a_head_cannot_rule_an_emotion_out() -> None:
    found = Calibration(default_opinion_weight={"voice": 1.0}).probabilities(
        {"happy": 0.0, "sad": -12.0}, ["audio"], {"voice": {"happy": 1.0, "sad": 0.0}}
    )
    assert found["sad"] > 0


def test_opinions_are_the_groups_that_say_what_their_numbers_are() -> None:
    groups = (
        FeatureGroup("audio", 2, 1, "audio"),
        FeatureGroup("voice_emotion", 2, 1, "audio", labels=("happy", "sad")),
        FeatureGroup("face_emotion", 2, 1, "video", labels=("happy", "sad")),
    )
    row = np.array([[0.25, 0.75]], np.float32)
    assert opinions_of({"audio": row, "voice_emotion": row}, groups) == {"voice_emotion": {"happy": 0.25, "sad": 0.75}}


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=12), st.floats(0.05, 20))
def test_probabilities_sum_to_one_and_keep_the_order(scores: list[float], temperature: float) -> None:
    named = {f"label{n}": score for n, score in enumerate(scores)}
    found = Calibration(default_temperature=temperature).probabilities(named, ())
    assert sum(found.values()) == pytest.approx(1) and all(0 <= p <= 1 for p in found.values())
    assert found[max(named, key=lambda name: named[name])] == max(found.values())


def test_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"temperature": {"text": 1.5}, "fitted_on": "ravdess, n=10"}))
    assert Calibration.read(path).temperature == {"text": 1.5}


WRONG = [None, b"", b"{", b"\xff\xfe", b'{"temprature": {}}', b'{"default_temperature": 0}']


@pytest.mark.parametrize("content", WRONG)
def test_damage_names_the_file(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "calibration.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(ModelError, match=r"calibration\.json: not a calibration file"):
        Calibration.read(path)


def test_temperatures_are_those_of_inputs_and_heads_then_of_inputs_then_the_default() -> None:
    calibration = Calibration(temperature={"video (moving)": 3.0, "video": 2.0}, default_temperature=1.5)
    assert inputs_key(("audio", "video"), ("b", "a")) == "video+audio (a) (b)"
    found = [calibration.own_temperature(("video",), heads) for heads in (("moving",), ("moving", "still"), ())]
    assert found == [3.0, 2.0, 2.0] and calibration.own_temperature(("text",), ("moving",)) == 1.5
    scores = {"happy": 1.0, "sad": 0.0}
    opinions = {"moving": {"happy": 0.5, "sad": 0.5}}
    assert calibration.probabilities(scores, ["video"], opinions)["happy"] == pytest.approx(1 / (1 + math.exp(-1 / 3)))

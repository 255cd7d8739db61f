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
    calibration = Calibration(opinion_weight={"voice": 3.0, "face": 0.0})
    scores = {"happy": math.log(0.2), "joyful": math.log(0.2), "sad": math.log(0.2), "jealous": math.log(0.4)}
    voice = {"happy": 0.8, "sad": 0.2}
    found = {k: math.exp(v) for k, v in calibration.weighed(scores, {"voice": voice, "face": {"sad": 1.0}}).items()}
    # happy and joyful are one emotion: the known labels have .6 in all, which voice shares out .24, .24, .12
    mean = {label: 0.2**0.25 * voiced**0.75 for label, voiced in (("happy", 0.24), ("joyful", 0.24), ("sad", 0.12))}
    assert found == pytest.approx(mean | {"jealous": 0.4})
    assert calibration.weighed(scores, {"unknown": voice}) == pytest.approx(scores)
    alone = calibration.weighed({"sad": -1.0, "jealous": -2.0}, {"voice": voice})
    assert alone["sad"] - alone["jealous"] == pytest.approx(1.0)


def test_the_pool_knows_no_order_and_agreement_does_not_make_it_sharper() -> None:
    calibration = Calibration(opinion_weight={"voice": 3.0, "face": 1.5})
    opinion = {"happy": 0.7, "sad": 0.3}
    scores = {"happy": math.log(0.7), "sad": math.log(0.3)}
    assert calibration.weighed(scores, {"voice": opinion, "face": opinion}) == pytest.approx(scores)
    other = {"happy": 0.1, "sad": 0.9}
    one, two = (
        calibration.weighed(scores, dict(pairs))
        for pairs in ([("voice", opinion), ("face", other)], [("face", other), ("voice", opinion)])
    )
    assert one == pytest.approx(two)


def test_a_head_cannot_rule_an_emotion_out() -> None:
    found = Calibration(opinion_weight={"voice": 1.0}).weighed(
        {"happy": 0.0, "sad": -12.0}, {"voice": {"happy": 1.0, "sad": 0.0}}
    )
    assert math.isfinite(found["sad"])


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

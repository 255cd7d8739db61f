"""Scores become probabilities: the prior comes off, the fitted temperature of the present inputs applies."""

from __future__ import annotations

import json
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_llama.analyze.calibration import Calibration, inputs_key
from emotion_llama.errors import ModelError


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

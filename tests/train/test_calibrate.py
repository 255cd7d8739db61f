"""Temperatures and prior weight are found again where they are known."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pytest

from emotion_llama.analyze.calibration import Calibration
from emotion_llama.clip import Modality
from emotion_llama.train.calibrate import (
    LEAST,
    LEAST_FOR_WEIGHTS,
    PRIOR_WEIGHTS,
    best_temperature,
    calibrate,
    risk_curves,
)
from emotion_llama.train.validate import AS_MOVING, Answered, scores_of

LABELS = tuple("abcde")


def _simulated(
    n: int,
    temperature: float,
    *,
    weight: float = 0.0,
    inputs: tuple[Modality, ...] = ("audio",),
    source: str = "made",
    seed: int = 0,
) -> list[Answered]:
    """Answers of a model whose truth is drawn from softmax((raw − weight × prior) ÷ temperature)."""
    rng = np.random.default_rng(seed)
    prior = np.array([4.0, -2.0, 0.0, 1.0, -3.0])
    found = []
    for number in range(n):
        corrected = rng.standard_normal(len(LABELS)) * 3
        chances = np.exp(corrected / temperature)
        right = int(rng.choice(len(LABELS), p=chances / chances.sum()))
        raw = corrected + weight * prior
        found.append(Answered(f"{source}/{number}", source, LABELS, raw, prior, right, inputs, 0.0))
    return found


@pytest.mark.parametrize("temperature", [0.5, 1.0, 2.5])
def test_a_known_temperature_is_found(temperature: float) -> None:
    answers = _simulated(1200, temperature)
    found = best_temperature([(answer.raw, answer.right) for answer in answers])
    assert found == pytest.approx(temperature, rel=0.12)


@pytest.mark.parametrize("weight", PRIOR_WEIGHTS)
def test_a_known_prior_weight_is_chosen(weight: float) -> None:
    found = calibrate(_simulated(500, 1.5, weight=weight), "simulated people")
    assert found.prior_weight == weight
    assert found.temperature["audio"] == pytest.approx(1.5, rel=0.2)
    assert found.fitted_on == "simulated people; n = 500"


def test_each_combination_of_inputs_has_its_own_temperature() -> None:
    heard, seen = _simulated(400, 0.6, seed=1), _simulated(400, 3.0, inputs=("video", "text"), seed=2)
    rare = _simulated(LEAST - 1, 1.0, inputs=("text",), seed=3)
    found = calibrate([*heard, *seen, *rare], "people")
    assert set(found.temperature) == {"audio", "video+text"}
    assert found.temperature["audio"] == pytest.approx(0.6, rel=0.25)
    assert found.temperature["video+text"] == pytest.approx(3.0, rel=0.25)
    assert 0.6 < found.default_temperature < 3.0


def test_calibrated_answers_are_calibrated() -> None:
    fitting, fresh = _simulated(500, 3.0, weight=1.0, seed=4), _simulated(3000, 3.0, weight=1.0, seed=5)
    before, after = scores_of(fresh), scores_of(fresh, calibrate(fitting, "people"))
    assert before["ece"] > 0.1 and after["ece"] < 0.04
    assert after["nll"] < before["nll"]
    assert after["war"] == before["war"]  # the whole prior is taken off by default, too


def test_heads_count_as_much_as_they_are_worth() -> None:
    """One head knows what the model does not, another guesses: the first is listened to, the second is not."""
    rng = np.random.default_rng(8)
    answers = []
    for one in _simulated(600, 1.0, seed=7):
        hints = rng.standard_normal(len(LABELS)) + 2.0 * (np.arange(len(LABELS)) == one.right)
        told = np.exp(2.0 * hints) / np.exp(2.0 * hints).sum()  # the exact posterior of the hint
        guess = rng.dirichlet(np.ones(len(LABELS)))
        names = ("happy", "sad", "angry", "fear", "neutral")
        opinions = {"good": dict(zip(names, told, strict=True)), "bad": dict(zip(names, guess, strict=True))}
        answers.append(replace(one, labels=names, opinions=opinions))
    alone = calibrate([replace(one, opinions={}) for one in answers], "people")
    found = calibrate(answers, "people")
    assert found.default_opinion_weight["good"] == 1.0 and found.default_opinion_weight["bad"] == 0.0
    assert scores_of(answers, found)["war"] > scores_of(answers, alone)["war"] + 0.05


def test_a_small_source_counts_as_much_as_a_large_one_for_the_prior() -> None:
    """Alone, the large source would keep the prior in; both together settle between."""
    large = _simulated(600, 1.0, weight=0.0, source="large", seed=6)
    small = [_simulated(60, 1.0, weight=1.0, source=f"small{n}", seed=10 + n) for n in range(5)]
    assert calibrate(large, "people").prior_weight == 0.0
    assert calibrate([*large, *(a for some in small for a in some)], "people").prior_weight > 0.5


def test_the_calibration_reads_back(tmp_path) -> None:  # type: ignore[no-untyped-def]
    found = calibrate(_simulated(200, 1.0), "people")
    (tmp_path / "calibration.json").write_text(found.model_dump_json(), encoding="utf-8")
    assert Calibration.read(tmp_path / "calibration.json") == found


def test_moving_faces_have_a_temperature_of_their_own_beside_that_of_all_pictures() -> None:
    even = dict.fromkeys(LABELS, 0.2)
    stills, movings = (_simulated(400, t, inputs=("video",), source=f"at {t}") for t in (0.6, 3.0))
    still = [replace(answer, opinions={"look": even, "says": even}) for answer in stills]
    moving = [replace(answer, opinions={"says": even}) for answer in movings]
    found = calibrate([*still, *moving], "people").temperature
    assert found["video (look) (says)"] == pytest.approx(0.6, rel=0.25)
    assert found["video (says)"] == pytest.approx(3.0, rel=0.25)
    assert found["video (look) (says)"] < found["video"] < found["video (says)"]


def test_a_head_counts_by_what_is_beside_it() -> None:
    """A head that knows pictures and guesses beside voices; a combination with few answers has the default weight."""
    rng = np.random.default_rng(9)
    names = ("happy", "sad", "angry", "fear", "neutral")
    parts = {("video",): 200, ("video", "audio"): 200, ("video", "text"): LEAST_FOR_WEIGHTS - 1}
    answers = []
    for number, (inputs, n) in enumerate(parts.items()):
        for one in _simulated(n, 1.0, inputs=inputs, source=str(number), seed=20 + number):
            hints = rng.standard_normal(len(LABELS)) + (inputs == ("video",)) * 2.0 * (np.arange(5) == one.right)
            told = np.exp(2.0 * hints) / np.exp(2.0 * hints).sum()
            answers.append(replace(one, labels=names, opinions={"look": dict(zip(names, told, strict=True))}))
    found = calibrate(answers, "people")
    assert set(found.opinion_weight) == {"video (look)", "video+audio (look)"}
    assert found.opinion_weight["video (look)"]["look"] >= 0.5
    assert found.opinion_weight["video+audio (look)"]["look"] == 0.0
    stand_ins = [replace(one, source=f"{one.source}{AS_MOVING}", inputs=("video", "text")) for one in answers[:200]]
    beside = calibrate([*answers, *stand_ins], "people")  # they do not decide what a head counts
    assert beside.opinion_weight == found.opinion_weight
    assert beside.default_opinion_weight == found.default_opinion_weight
    alone = found.model_copy(update={"opinion_weight": {}})
    assert scores_of(answers[:200], found)["war"] > scores_of(answers[:200], alone)["war"]


def test_curves_of_risk_are_counted_from_the_surest() -> None:
    answers = [*_simulated(200, 2.0, seed=4), *_simulated(LEAST - 1, 1.0, inputs=("text",), seed=5)]
    fitted = calibrate(answers, "people")
    assert set(fitted.risk) == {"audio"}  # too few with words alone
    curve = fitted.risk["audio"]
    assert curve == risk_curves(answers, fitted)["audio"]
    assert (curve[0].confidence, curve[0].share, curve[0].n) == (0.0, 1.0, 200) and curve[-1].n == LEAST
    assert all(one.confidence <= two.confidence and one.n > two.n for one, two in itertools.pairwise(curve))
    for point in curve[1:]:
        chances = [fitted.probabilities(one.corrected(fitted), one.inputs) for one in answers[:200]]
        sure = [
            (c, one) for c, one in zip(chances, answers, strict=False) if max(c.values()) >= point.confidence - 1e-4
        ]
        wrong = [max(c, key=lambda label: c[label]) != one.labels[one.right] for c, one in sure]
        assert len(wrong) == pytest.approx(point.n, abs=1) and np.mean(wrong) == pytest.approx(point.error, abs=0.02)

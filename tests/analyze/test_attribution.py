"""Shares of inputs against games whose answer is known, and disagreement against scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import jensenshannon

from emotion_llama.analyze.attribution import CLEAR, attribute, disagreement, divergence, shapley
from emotion_llama.clip import MODALITIES, Modality

Set = tuple[Modality, ...]


def test_shares_of_a_sum_are_its_terms() -> None:
    worth = {"video": 0.3, "audio": -0.1, "text": 0.05}
    found = attribute("happy", MODALITIES, lambda some: {"happy": 0.2 + sum(worth[x] for x in some), "sad": 0.1})
    assert found.shapley == pytest.approx(worth) == found.left_out
    assert found.blank == 0.2 and set(found.alone) == {
        "video", "audio", "text", "video+audio", "video+text", "audio+text", "video+audio+text",
    }  # fmt: skip


def test_the_glove_game() -> None:
    """One left glove, two right ones: a pair is worth 1. Known shares: 2/3, 1/6, 1/6 (Shapley 1953)."""
    value: dict[Set, float] = {
        (): 0, ("video",): 0, ("audio",): 0, ("text",): 0, ("video", "audio"): 1, ("video", "text"): 1,
        ("audio", "text"): 0, ("video", "audio", "text"): 1,
    }  # fmt: skip
    found = shapley(("video", "audio", "text"), value)
    assert found == pytest.approx({"video": 2 / 3, "audio": 1 / 6, "text": 1 / 6})


def test_shares_sum_to_the_gain_and_each_set_is_asked_once() -> None:
    rng, asked = np.random.default_rng(0), []

    def chances(some: Set) -> dict[str, float]:
        asked.append(some)
        p = rng.dirichlet(np.ones(3))
        return dict(zip(("happy", "sad", "angry"), p.tolist(), strict=True))

    found = attribute("sad", ("audio", "text"), chances)
    assert sorted(asked) == sorted({(), ("audio",), ("text",), ("audio", "text")})
    whole = found.alone["audio+text"]["sad"]
    assert found.blank + sum(found.shapley.values()) == pytest.approx(whole)


def test_one_input_has_everything_and_nothing_to_disagree_with() -> None:
    found = attribute("happy", ("text",), lambda some: {"happy": 0.9 if some else 0.5, "sad": 0.1 if some else 0.5})
    assert found.shapley == pytest.approx({"text": 0.4}) and found.divergence is None and found.conflict is None


def test_divergence_is_that_of_scipy() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        p, q = rng.dirichlet(np.ones(5)), rng.dirichlet(np.ones(5))
        labels = "abcde"
        one, other = dict(zip(labels, p.tolist(), strict=True)), dict(zip(labels, q.tolist(), strict=True))
        assert divergence(one, other) == pytest.approx(jensenshannon(p, q, base=2) ** 2)
    assert divergence({"a": 1.0, "b": 0.0}, {"a": 0.0, "b": 1.0}) == 1.0


def test_a_conflict_needs_two_different_answers_that_are_far_apart() -> None:
    smiling, weeping = {"happy": 0.9, "sad": 0.1}, {"happy": 0.1, "sad": 0.9}
    largest, found = disagreement({"video": smiling, "audio": smiling, "text": weeping})
    assert found is not None and largest == found.divergence > CLEAR
    assert found.text == "the picture alone says happy (90%), the words alone sad (90%)"
    unsure = {"happy": 0.45, "sad": 0.55}
    largest, found = disagreement({"video": {"happy": 0.55, "sad": 0.45}, "text": unsure})
    assert found is None and largest is not None and largest < CLEAR

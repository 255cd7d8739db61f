"""Sides take turns, ratios are of rounds, and a rate is what was really done in a second."""

from __future__ import annotations

import time

import pytest

from emotion_llama.bench.timing import best_rate, in_turn, ratio, timed


def test_sides_take_turns_and_each_keeps_its_own_seconds() -> None:
    called: list[str] = []

    def side(name: str, spent_s: float):  # type: ignore[no-untyped-def]
        return lambda: called.append(name) or spent_s

    assert in_turn([side("a", 1.0), side("b", 2.0)], 3) == [[1.0] * 3, [2.0] * 3]
    assert called == ["a", "b", "b", "a", "a", "b"]
    with pytest.raises(ValueError, match="at least 1"):
        in_turn([side("a", 1.0)], 0)


def test_a_ratio_is_that_of_the_middle_round() -> None:
    assert ratio([2.0, 30.0, 4.0], [1.0, 10.0, 1.0]) == 3.0
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0], [1.0, 2.0])


def test_seconds_and_rates_of_work_of_known_length() -> None:
    assert 0.02 <= timed(lambda: time.sleep(0.02), "cpu") < 0.5
    rate = best_rate(lambda: time.sleep(0.01), 5.0, "cpu")
    assert 50 < rate <= 500  # 5 in a hundredth of a second, or later on a busy machine

"""Smoothing takes neighbours of the same person into account, keeps how sure they are, and waits for few of them."""

from __future__ import annotations

import numpy as np
import pytest

from emotion_llama.analyze.timeline.smoothing import REACH, Scored, Smoother, smoothed
from tests.analyze.timeline.windows import of, window


def scored(*happy: float | None, people: str = "", least: float = 0.0) -> list[Scored]:
    persons = people or "0" * len(happy)
    return [
        Scored(window(3.0 * at, {} if p is None else of(p), int(who)), least, 1.0)
        for at, (p, who) in enumerate(zip(happy, persons, strict=True))
    ]


def happy_of(windows: list[Scored]) -> list[float]:
    return [smoothed(windows, at).probabilities.get("happy", np.nan) for at in range(len(windows))]


def test_what_all_windows_say_stays_as_sure_as_it_is() -> None:
    assert happy_of(scored(0.6, 0.6, 0.6, 0.6, 0.6)) == pytest.approx([0.6] * 5)


def test_a_lone_outlier_is_drawn_to_its_neighbours() -> None:
    found = happy_of(scored(0.9, 0.9, 0.2, 0.9, 0.9))
    assert 0.2 < found[2] < 0.9 and found[0] > found[2]


def test_it_is_the_weighted_mean_of_log_chances() -> None:
    chances = [0.7, 0.4, 0.9]
    weights = np.exp([-1.0, 0.0, -1.0])  # middles are 3 s apart
    logs = np.log([[p, 1 - p] for p in chances])
    mean = np.exp(weights @ logs / weights.sum())
    assert happy_of(scored(*chances))[1] == pytest.approx(mean[0] / mean.sum())


def test_never_across_another_person_or_a_window_without_anybody() -> None:
    assert happy_of(scored(0.9, 0.9, 0.2, 0.2, people="0011"))[1:3] == pytest.approx([0.9, 0.2])
    found = happy_of(scored(0.9, None, 0.2))
    assert found[0] == pytest.approx(0.9) and found[2] == pytest.approx(0.2)


def test_a_window_that_is_not_sure_enough_has_no_emotion_but_its_chances() -> None:
    found = smoothed(scored(0.55, least=0.6), 0)
    assert found.emotion is None and found.confidence == pytest.approx(0.55) and len(found.probabilities) == 2
    assert smoothed(scored(0.65, least=0.6), 0).emotion == "happy"


def test_windows_come_soon_once_and_as_all_at_once() -> None:
    rng = np.random.default_rng(0)
    windows = scored(*rng.uniform(0.01, 0.99, 30).tolist())
    smoother, found = Smoother(), []
    for count, one in enumerate(windows, start=1):
        found += smoother.add(one)
        assert len(found) == max(0, count - REACH)
    found += smoother.finish()
    assert [w.start_s for w in found] == [one.window.start_s for one in windows]
    assert [w.probabilities["happy"] for w in found] == pytest.approx(happy_of(windows))

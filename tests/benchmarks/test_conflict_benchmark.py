"""The conflict benchmark: what counts as a conflict, and that a perfect and a blind system get what they deserve."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest

from emotion_llama.datasets.crema_d import Vote
from emotion_llama.labels import LABEL_SETS

LABELS = LABEL_SETS["crema6"]


@pytest.fixture(scope="module")
def benchmark(script: Callable[[str], ModuleType], monkeypatch_module: pytest.MonkeyPatch) -> ModuleType:
    return script("conflict")


@pytest.fixture(scope="module")
def monkeypatch_module() -> object:
    """The scripts of benchmarks/ import each other from their own folder, as they do when they are run."""
    from tests.benchmarks.conftest import FOLDER

    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(FOLDER))
        yield patch


def vote(first: str, count: int = 8, second: str = "neutral", rest: int = 2) -> Vote:
    counts = dict.fromkeys(LABELS, 0)
    counts[first] += count
    counts[second] += rest
    return Vote(counts)


def chances(winners: list[str], sure: float) -> np.ndarray:
    rows = np.full((len(winners), 6), (1 - sure) / 5)
    rows[np.arange(len(winners)), [LABELS.index(word) for word in winners]] = sure
    return rows


def test_conflicts_are_told_in_three_ways(benchmark: ModuleType) -> None:
    face = [vote("happy"), vote("anger"), vote("happy", 5, "sad", 5), vote("happy", 4, "sad", 3)]
    voice = [vote("sad"), vote("anger"), vote("sad"), vote("sad")]
    found = benchmark.Truth(face, voice).definitions()
    counts, conflict = found["winners differ"]
    assert counts.tolist() == [True, True, False, True]  # a tie has no winner
    assert conflict[counts].tolist() == [True, False, True]
    assert found["clearly differ"][0].tolist() == [True, True, False, True]
    assert found["votes diverge"][1].tolist()[:2] == [True, False]


def test_a_system_that_sees_what_people_see_finds_every_conflict(benchmark: ModuleType) -> None:
    words = [LABELS[n % 6] for n in range(30)]
    others = [LABELS[(n + (n % 2)) % 6] for n in range(30)]  # every second clip is a conflict
    truth = benchmark.Truth([vote(w) for w in words], [vote(w) for w in others])
    people = [f"p{n % 5}" for n in range(30)]
    perfect = benchmark.report(benchmark.Answers(chances(words, 0.9), chances(others, 0.9)), truth, people)
    assert perfect["winners differ"]["divergence"][0] == 1.0 and perfect["winners differ"]["conflicts"] == 15
    assert perfect["flag"] == {"raised": 15, "right": 15, "n": 30}
    assert perfect["agrees with the crowd"] == {"face": 1.0, "voice": 1.0}
    blind = benchmark.report(benchmark.Answers(chances(words, 1 / 6), chances(others, 1 / 6)), truth, people)
    assert blind["winners differ"]["divergence"][0] == 0.5 and blind["flag"]["raised"] == 0
    assert blind["rank correlation"]["divergence"] is None


def test_rank_correlation_is_that_of_scipy(benchmark: ModuleType) -> None:
    stats = pytest.importorskip("scipy.stats")  # scipy comes with scikit-learn
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 9, 60).astype(float), rng.normal(size=60)
    assert benchmark._spearman(a, b) == pytest.approx(stats.spearmanr(a, b).statistic)

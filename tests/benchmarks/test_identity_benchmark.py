"""The benchmark of identity: who is chosen, and what its scores say of made-up faces."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import numpy as np
import pytest
from scipy.stats import mannwhitneyu

from emotion_llama.clip import Clip


@pytest.fixture
def benchmark(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("identity")


def test_people_with_two_pictures_or_more_give_four_at_most(benchmark: ModuleType) -> None:
    clips = [Clip(clip=f"{person}_{n}.jpg", speaker=person) for person, many in (("a", 1), ("b", 2), ("c", 9))
             for n in range(many)]  # fmt: skip
    kept = benchmark.chosen([*clips, Clip(clip="x.jpg")])
    assert [clip.clip for clip in kept] == ["b_0.jpg", "b_1.jpg", "c_0.jpg", "c_1.jpg", "c_2.jpg", "c_3.jpg"]


def test_auroc_is_that_of_an_independent_rank_test(benchmark: ModuleType) -> None:
    rng = np.random.default_rng(0)
    same = np.arange(400) < 100
    far = rng.normal(1.0, 0.4, 400) - 0.5 * same
    found = benchmark.scores(far, same)
    expected = mannwhitneyu(far[~same], far[same]).statistic / (100 * 300)
    assert found["auroc"] == pytest.approx(expected, abs=6e-4)
    assert found["one person found"] == pytest.approx((far[same] < found["bound"]).mean(), abs=6e-4)


def test_made_up_people_are_told_apart(benchmark: ModuleType) -> None:
    """Faces that differ by person far more than by picture, along directions that other people showed."""
    rng = np.random.default_rng(1)
    basis = rng.normal(size=(200, 512)), rng.normal(size=(40, 72))

    def faces(people: int) -> list[object]:
        found = []
        for person in range(people):
            look, shape = (rng.normal(size=len(axes)) @ axes for axes in basis)
            found += [
                benchmark.Face(str(person), look + rng.normal(size=512), shape + rng.normal(size=72) * 0.3)
                for _ in range(2)
            ]
        return found

    far, same = benchmark.distances(faces(20), benchmark.spaces_of(faces(120)))
    assert benchmark.scores(far, same)["auroc"] > 0.99

"""Recentred examples: from other clips of the person only, repeatable, and nothing is invented where there are few."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emotion_llama.encoders.person import LEAST, SHRINKAGE
from emotion_llama.errors import ManifestError
from emotion_llama.train.config import SUFFIX, Source
from emotion_llama.train.examples import Example
from emotion_llama.train.person import population_means, with_baselines

POPULATION = {"audio": np.zeros(2, np.float32)}


def example(person: str, number: int, value: float, side: str = "validation", take: str | None = None) -> Example:
    rows = np.full((1, 2), value, np.float32)
    return Example(
        id=f"voices/{person}-{number}", source="voices", side=side, person=person,  # type: ignore[arg-type]
        label="happy", emotion="happy", labels=("happy", "sad"), transcript=None, observations=(),
        arrays={"audio": rows, "global": rows}, take=take or f"{person}-{number}",
    )  # fmt: skip


def source(baseline: str | int | None = "others") -> Source:
    return Source(name="voices", path="x", side="train", labels=("happy", "sad"), baseline=baseline)  # type: ignore[arg-type]


def test_the_clip_itself_and_its_take_are_not_part_of_its_baseline() -> None:
    mine = [example("ann", number, 1.0) for number in range(6)]
    outlier = example("ann", 6, 100.0)
    same_take = example("ann", 7, 1000.0, take=outlier.take)
    found = {e.id: e for e in with_baselines([*mine, outlier, same_take], [source()], POPULATION, 0)}
    shifted = found[f"{outlier.id}{SUFFIX}"].arrays["audio"]
    assert shifted == pytest.approx(np.full((1, 2), 100.0 - 6 / (6 + SHRINKAGE)))


def test_other_arrays_and_the_example_stay_as_they_are() -> None:
    mine = [example("ann", number, float(number)) for number in range(8)]
    found = with_baselines(mine, [source()], POPULATION, 0)
    assert [e.id for e in found] == [f"{e.id}{SUFFIX}" for e in mine]
    assert {e.source for e in found} == {f"voices{SUFFIX}"}
    for plain, beside in zip(mine, found, strict=True):
        assert np.array_equal(beside.arrays["global"], plain.arrays["global"])
        assert (beside.label, beside.person, beside.side) == (plain.label, plain.person, plain.side)


def test_people_with_few_clips_and_sources_that_do_not_ask_are_left_alone() -> None:
    few = [example("bob", number, 1.0) for number in range(LEAST)]
    assert with_baselines(few, [source()], POPULATION, 0) == []
    many = [example("ann", number, 1.0) for number in range(9)]
    assert with_baselines(many, [source(None)], POPULATION, 0) == []


def test_a_number_of_other_clips_is_kept_to_and_drawn_by_the_seed() -> None:
    mine = [example("ann", number, float(number)) for number in range(20)]
    first, again, other = (with_baselines(mine, [source(5)], POPULATION, seed) for seed in (0, 0, 1))
    rows = [[e.arrays["audio"][0, 0] for e in run] for run in (first, again, other)]
    assert rows[0] == rows[1] != rows[2]
    shift = 5 / (5 + SHRINKAGE)
    means = [(plain.arrays["audio"][0, 0] - row) / shift for plain, row in zip(mine, rows[0], strict=True)]
    assert all(abs(mean * 5 - round(float(mean * 5))) < 1e-3 for mean in means)  # means of five whole numbers


def test_copies_are_recentred_but_do_not_make_the_baseline() -> None:
    mine = [example("ann", number, 1.0, side="train") for number in range(6)]
    copy = replace(example("ann", 0, 50.0, side="train"), id="voices/ann-0#1", copy=1)
    found = {e.id: e for e in with_baselines([*mine, copy], [source()], POPULATION, 0)}
    assert found[f"voices/ann-0#1{SUFFIX}"].arrays["audio"][0, 0] < 50.0
    assert found[f"{mine[1].id}{SUFFIX}"].arrays["audio"][0, 0] > 0.0  # had the copy counted, far below


def test_every_person_counts_the_same_for_the_population() -> None:
    clips = [example("ann", n, 0.0, "train") for n in range(30)] + [example("bob", n, 10.0, "train") for n in range(2)]
    clips.append(example("eve", 0, 999.0, "validation"))
    assert population_means(clips, ["audio"])["audio"] == pytest.approx([5.0, 5.0])
    with pytest.raises(ManifestError, match="'local' in training clips"):
        population_means(clips, ["local"])

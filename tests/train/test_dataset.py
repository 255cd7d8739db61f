"""The order of training: every sample number once, padded little, the same for one process and for two."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from accelerate.data_loader import BatchSamplerShard
from torch.utils.data import BatchSampler, SequentialSampler

from emotion_llama.model.processing import TrainSample
from emotion_llama.train.clip_samples import ClipSampler
from emotion_llama.train.combine import Combiner
from emotion_llama.train.dataset import MixedSampler, Samples


@dataclass
class Numbered:
    """Sample `n` is called `n` and has an answer of an odd length; draws are counted."""

    name: str = ""

    def __post_init__(self) -> None:
        self.drawn: Counter[int] = Counter()

    def draw(self, index: int) -> TrainSample:
        self.drawn[index] += 1
        rng = np.random.default_rng(index)
        rows = {
            "audio": rng.standard_normal((2, 3)).astype(np.float32),
            "voice_emotion": np.full((1, 4), 0.25, np.float32),
        }
        return TrainSample(f"{self.name}{index}", "emotion", (), None, "x" * (index * 7919 % 401), rows)


def samples(bucket: int = 4, steps: int = 10, a_step: int = 6, seed: int = 0, **more: Any) -> Samples:
    return Samples(Numbered(), steps=steps, a_step=a_step, bucket=bucket, seed=seed, **more)


def numbers(made: Samples, places: Any = None) -> list[int]:
    return [int(made[place].clip) for place in (range(len(made)) if places is None else places)]


@pytest.mark.parametrize(("bucket", "steps"), [(1, 10), (4, 10), (5, 10), (10, 10), (64, 10), (4, 1), (3, 7)])
def test_every_sample_number_comes_once_and_in_its_own_bucket(bucket: int, steps: int) -> None:
    found = numbers(samples(bucket, steps))
    assert sorted(found) == list(range(steps * 6))
    for place, number in enumerate(found):
        assert place // (bucket * 6) == number // (bucket * 6)


def padding(made: Samples) -> int:
    """Characters that the batches of a run are padded with."""
    lengths = [len(made[place].answer) for place in range(len(made))]
    steps = [lengths[start : start + made.a_step] for start in range(0, len(lengths), made.a_step)]
    return sum(max(step) * len(step) - sum(step) for step in steps)


def test_sorting_pads_less_and_a_larger_bucket_still_less() -> None:
    unsorted, four, sixteen = (padding(samples(bucket, steps=32)) for bucket in (1, 4, 16))
    assert four < 0.6 * unsorted and sixteen < 0.7 * four


def test_long_and_short_steps_are_mixed() -> None:
    """Steps are not sorted by length over a bucket: that would be a curriculum."""
    made = samples(bucket=16, steps=64)
    means = np.array([[len(made[s * 6 + i].answer) for i in range(6)] for s in range(64)]).mean(axis=1)
    falls = np.mean(np.diff(means) < 0)
    assert 0.3 < falls < 0.7


def test_order_and_samples_do_not_depend_on_what_was_asked_before() -> None:
    forwards = numbers(samples())
    assert numbers(samples(), reversed(range(60))) == forwards[::-1]
    assert numbers(samples(), range(37, 60)) == forwards[37:]  # as after a kill
    assert numbers(samples(seed=1)) != forwards


def test_two_processes_see_between_them_what_one_sees_with_the_double_batch() -> None:
    batch, accumulate = 2, 3
    one = samples(bucket=4, steps=8, a_step=2 * batch * accumulate)
    alone = numbers(one)
    halves = []
    for rank in range(2):  # as accelerate deals batches out
        order = BatchSamplerShard(
            BatchSampler(SequentialSampler(one), batch, drop_last=False), num_processes=2, process_index=rank
        )
        mine = samples(bucket=4, steps=8, a_step=2 * batch * accumulate)
        halves.append([numbers(mine, places) for places in order])
    for step in range(8):
        seen = [n for half in halves for places in half[step * accumulate : (step + 1) * accumulate] for n in places]
        assert sorted(seen) == sorted(alone[step * 12 : (step + 1) * 12])
    assert sorted(n for half in halves for places in half for n in places) == list(range(96))


def test_without_buckets_no_sample_is_drawn_to_be_measured() -> None:
    made = samples(bucket=1)
    numbers(made)
    assert set(made.sampler.drawn.values()) == {1}  # type: ignore[attr-defined]
    made = samples(bucket=4)
    numbers(made)
    assert max(made.sampler.drawn.values()) == 2  # type: ignore[attr-defined]  # measured once, used once


def test_noise_is_of_the_columns_size_and_not_on_opinions() -> None:
    spread = {"audio": np.array([1.0, 10.0, 0.0], np.float32)}
    clean, noisy = samples(bucket=1, steps=200), samples(bucket=1, steps=200, noise=0.3, spread=spread)
    pairs = [(clean[n], noisy[n]) for n in range(1200)]
    change = np.concatenate([b.features["audio"] - a.features["audio"] for a, b in pairs])
    np.testing.assert_allclose(change.std(axis=0), [0.3, 3.0, 0.0], rtol=0.05)
    assert np.abs(change.mean(axis=0) / [0.3, 3.0, 1.0]).max() < 0.1
    for a, b in pairs:
        np.testing.assert_array_equal(a.features["voice_emotion"], b.features["voice_emotion"])
        assert b.features["audio"].dtype == np.float32
        assert (a.clip, a.answer) == (b.clip, b.answer)


def test_noise_is_by_sample_number_and_seed() -> None:
    spread = {"audio": np.ones(3, np.float32)}
    one, other = (samples(noise=0.3, spread=spread, seed=seed) for seed in (0, 0))
    for place in (5, 0, 59, 5):
        np.testing.assert_array_equal(one[place].features["audio"], other[place].features["audio"])
    alone = copy.copy(one)
    alone.seed = 1
    assert (
        np.abs(
            alone._noisy(Numbered().draw(3), 3).features["audio"] - one._noisy(Numbered().draw(3), 3).features["audio"]
        ).max()
        > 0
    )


def test_a_sample_drawn_is_not_changed_by_its_noise() -> None:
    made = samples(noise=0.3, spread={"audio": np.ones(3, np.float32)})
    drawn = Numbered().draw(3)
    before = drawn.features["audio"].copy()
    assert np.abs(made._noisy(drawn, 3).features["audio"] - before).max() > 0
    np.testing.assert_array_equal(drawn.features["audio"], before)


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_combinations_come_as_often_as_asked_by_number_alone(share: float) -> None:
    mixed = MixedSampler(Numbered("clip"), Numbered("both"), share, seed=0)
    kinds = [mixed.draw(n).clip for n in range(2000)]
    found = np.mean([kind.startswith("both") for kind in kinds])
    assert found == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / 2000) + 1e-9)
    assert all(kind.endswith(str(n)) for n, kind in enumerate(kinds))
    again = MixedSampler(Numbered("clip"), Numbered("both"), share, seed=0)
    assert [again.draw(n).clip for n in reversed(range(2000))] == kinds[::-1]


def test_a_larger_share_only_adds_combinations() -> None:
    """Runs that differ in the share differ in as few samples as can be."""
    few, many = (MixedSampler(Numbered("clip"), Numbered("both"), share, seed=0) for share in (0.3, 0.6))
    for n in range(300):
        assert few.draw(n).clip.startswith("clip") or many.draw(n).clip.startswith("both")


def test_real_samplers_go_through_it(make_sampler: Callable[..., Any]) -> None:
    words = ("samples.mix=combine", "samples.tasks={emotion: 1, reason: 1}")
    sampler = MixedSampler(make_sampler(ClipSampler, *words), make_sampler(Combiner, *words), 0.5, seed=0)
    made = Samples(sampler, steps=8, a_step=4, bucket=4, seed=0)
    clips = Counter(made[place].clip for place in range(32))
    assert clips == Counter(sampler.draw(n).clip for n in range(32))


def test_answers_are_cleaned_where_the_settings_say_so() -> None:
    @dataclass
    class Says:
        def draw(self, index: int) -> TrainSample:
            return TrainSample(str(index), "reason", (), None, "She CRIES. So (I think) she is sad.")

    plain, cleaned = (
        Samples(Says(), steps=1, a_step=1, bucket=1, seed=0, official_answers=wanted)[0].answer
        for wanted in (False, True)
    )
    assert plain == "She CRIES. So (I think) she is sad."
    assert cleaned == "she cries so i think she is sad"

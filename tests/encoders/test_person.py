"""A person's baseline takes off what is the same in all their recordings, and only as far as it is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from emotion_llama.encoders.heads import EmotionHead, Layer
from emotion_llama.encoders.person import LEAST, SHRINKAGE, PersonBaseline, load_population, save_population
from emotion_llama.errors import ModelError, UsageError

WIDTH = 6


def clips(count: int, offset: np.ndarray, seed: int = 0, rows: int = 3) -> list[dict[str, np.ndarray]]:
    rng = np.random.default_rng(seed)
    return [{"audio": (rng.standard_normal((rows, WIDTH)) + offset).astype(np.float32)} for _ in range(count)]


def test_an_offset_that_all_clips_share_is_gone_with_many_clips() -> None:
    offset = np.linspace(-3, 3, WIDTH)
    others = clips(2000, offset)
    baseline = PersonBaseline.of(others)
    (clip,) = clips(1, offset, seed=1)
    found = baseline.recentred(clip, {"audio": np.zeros(WIDTH, np.float32)})["audio"]
    plain = clip["audio"] - offset
    assert np.abs(found - plain).max() < 0.1
    assert found.dtype == np.float32


def test_few_clips_take_off_a_part() -> None:
    offset = np.full(WIDTH, 2.0)
    baseline = PersonBaseline({"audio": offset.astype(np.float32)}, clips=4)
    rows = np.zeros((1, WIDTH), np.float32)
    found = baseline.recentred({"audio": rows}, {"audio": np.zeros(WIDTH, np.float32)})["audio"]
    assert found == pytest.approx(np.full((1, WIDTH), -2.0 * 4 / (4 + SHRINKAGE)))


def test_outputs_the_population_does_not_name_stay() -> None:
    others = [{**one, "global": np.ones((1, 2), np.float32)} for one in clips(5, np.zeros(WIDTH))]
    clip = {"audio": np.ones((2, WIDTH), np.float32), "global": np.full((1, 2), 7.0, np.float32)}
    found = PersonBaseline.of(others).recentred(clip, {"audio": np.zeros(WIDTH, np.float32)})
    assert (found["global"] == 7.0).all() and not np.array_equal(found["audio"], clip["audio"])
    assert (clip["audio"] == 1).all()  # the clip itself is not changed


def test_too_few_recordings_are_refused() -> None:
    with pytest.raises(UsageError, match=rf"at least {LEAST} other recordings.*found {LEAST - 1}"):
        PersonBaseline.of(clips(LEAST - 1, np.zeros(WIDTH)))


def test_an_output_that_few_recordings_have_makes_no_baseline() -> None:
    others = clips(6, np.zeros(WIDTH))
    others[0]["local"] = np.ones((1, 2), np.float32)
    assert set(PersonBaseline.of(others).means) == {"audio"}


@settings(max_examples=25, deadline=None)
@given(st.integers(LEAST, 12), st.integers(0, 10_000))
def test_on_one_linear_layer_it_equals_subtracting_mean_logits(count: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    others, (clip,) = clips(count, rng.standard_normal(WIDTH), seed), clips(1, np.zeros(WIDTH), seed + 1, rows=1)
    weight, bias = rng.standard_normal((WIDTH, 4)).astype(np.float32), rng.standard_normal(4).astype(np.float32)
    zeros, ones = np.zeros(WIDTH, np.float32), np.ones(WIDTH, np.float32)
    head = EmotionHead.linear("h", "audio", ("a", "b", "c", "d"), (zeros, ones), Layer(weight, bias))
    population = {"audio": rng.standard_normal(WIDTH).astype(np.float32)}
    found = head.log_probabilities(PersonBaseline.of(others).recentred(clip, population)["audio"])
    own = np.mean([one["audio"].mean(axis=0) for one in others], axis=0)
    logits = clip["audio"] @ weight + bias - count / (count + SHRINKAGE) * ((own - population["audio"]) @ weight)
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert found == pytest.approx(expected, abs=1e-4)


def test_population_round_trip_and_its_absence(tmp_path: Path) -> None:
    means = {"audio": np.arange(3, dtype=np.float32)}
    save_population(means, tmp_path / "population.safetensors")
    found = load_population(tmp_path / "population.safetensors")
    assert set(found) == {"audio"} and np.array_equal(found["audio"], means["audio"])
    assert [path.name for path in tmp_path.iterdir()] == ["population.safetensors"]
    with pytest.raises(ModelError, match=r"leave --baseline out"):
        load_population(tmp_path / "none.safetensors")

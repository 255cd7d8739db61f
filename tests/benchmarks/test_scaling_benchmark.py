"""The arithmetic of training steps: what the document quotes, and that its parts do what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch


@pytest.fixture
def model(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("scaling_model")


@pytest.fixture
def scaling(script: Callable[[str], ModuleType], monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "benchmarks"))  # where `python FILE` would look
    return script("scaling")


def test_the_figures_of_the_document(model: ModuleType) -> None:
    """A clip of 450 tokens: 13.5 GB of weights, 197 kB a token and layer, 2.9 GB kept, .22 GB checkpointed."""
    shape, kept = model.LLAMA_7B, model.Batch(1, 450, 40, False)
    checkpointed = model.Batch(1, 450, 40, True)
    assert model.weights_bytes(shape) == pytest.approx(13.5e9, rel=0.01)
    assert model.training_bytes(shape) + 4 * shape.trained == pytest.approx(1.2e9)
    assert model.layer_bytes_a_token(shape) == pytest.approx(197e3, rel=0.01)
    assert model.activation_bytes(shape, kept) == pytest.approx(2.9e9, rel=0.02)
    assert model.activation_bytes(shape, checkpointed) == pytest.approx(0.22e9, rel=0.02)
    assert model.step_flop(shape, kept) == pytest.approx(12e12, rel=0.05)
    assert model.step_flop(shape, checkpointed) == pytest.approx(18e12, rel=0.05)


def test_twice_the_clips_are_twice_the_work_and_longer_ones_a_little_more(model: ModuleType) -> None:
    def flop(clips: int, length: int) -> float:
        return float(model.step_flop(model.LLAMA_7B, model.Batch(clips, length, 0, False)))

    assert flop(8, 450) == 2 * flop(4, 450)
    assert 2 * flop(4, 450) < flop(4, 900) < 2.2 * flop(4, 450)


def test_a_ring_sends_nothing_alone_and_hardly_more_for_many(model: ModuleType) -> None:
    alone, two, many = (model.all_reduce_s(75e6, count, 10e9) for count in (1, 2, 64))
    assert alone == 0 and two == pytest.approx(0.03) and two < many < 2 * two


def test_accumulating_pays_for_a_slow_link(model: ModuleType) -> None:
    batch, cluster = model.Batch(1, 450, 40, False), model.CLUSTERS[-1]
    speed, efficiency = model.clips_per_s(model.LLAMA_7B, batch, cluster)
    better, nearly = model.clips_per_s(model.LLAMA_7B, batch, cluster, accumulate=8)
    assert efficiency < nearly < 1 and better > speed
    alone, whole = model.clips_per_s(model.LLAMA_7B, batch, model.CLUSTERS[0])
    assert whole == 1 and speed == pytest.approx(cluster.gpus * alone * efficiency)


def test_a_prediction_stands_beside_its_measurement(scaling: ModuleType) -> None:
    shape, batch = scaling.LLAMA_7B, scaling.Batch(1, 450, 40, False)
    found = scaling.Steps(
        weights_mb=1.0, added_mb=2000.0, step_s=9.0, cpu_s=2.0, matmul_flop_s=1e12, link_bytes_a_s=None
    )
    row = scaling.row_of(shape, batch, 1, found, 0.5)
    assert row.seconds == pytest.approx(scaling.step_flop(shape, batch) / 0.5e12)
    assert row.time_ratio == pytest.approx(row.seconds / 2) and row.memory_ratio == pytest.approx(row.memory_mb / 2000)
    linked = scaling.row_of(shape, batch, 2, found.model_copy(update={"link_bytes_a_s": 1e9}), 0.5)
    assert linked.seconds == pytest.approx(row.seconds + scaling.all_reduce_s(shape.trained, 2, 1e9))
    assert linked.memory_mb == pytest.approx(row.memory_mb + 4 * shape.trained / 1e6)


def test_the_best_product_is_in_reach_of_the_processor(scaling: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scaling, "PRODUCT_S", 0.02)
    torch.manual_seed(0)
    assert 1e8 < scaling.product_flop_s([(64, 64), (256, 256)], 32) < 1e13


@pytest.mark.weights
def test_clips_are_invented_with_soft_tokens_and_an_answer(scaling: ModuleType, model_name: str) -> None:
    model = scaling.open_model()
    shape = scaling.shape_of(model)
    assert 130e6 < shape.parameters < 140e6 and 100e6 < shape.linear < shape.parameters and shape.layers == 30
    assert shape.trained == sum(one.numel() for one in model.parameters() if one.requires_grad)
    with torch.no_grad():
        loss = model(**scaling.inputs_of(model, scaling.Batch(1, 40, 12, False))).loss
    assert bool(torch.isfinite(loss))

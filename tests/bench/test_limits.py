"""Limits: of the size that work of known speed has, and never below what the same work reaches slowly."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest
import torch

from emotion_llama.bench.figures import LanguageFigures
from emotion_llama.bench.limits import copy_gb_s, layer_shapes, matmul_flop_s, measure_limits, read_gb_s

SMALL_BYTES = 8 * 1024**2


def python_read_gb_s(size_bytes: int) -> float:
    """The slow known way: numbers one by one."""
    numbers = np.ones(size_bytes // 4, np.float32).tolist()
    start = time.perf_counter()
    sum(numbers)
    return size_bytes / (time.perf_counter() - start) / 1e9


@pytest.mark.parametrize("rate", [read_gb_s, copy_gb_s])
def test_memory_is_faster_than_numbers_one_by_one_and_slower_than_any_machine(rate: Any) -> None:
    assert python_read_gb_s(SMALL_BYTES // 4) < rate("cpu", SMALL_BYTES) < 10_000


def test_a_product_is_faster_than_its_rows_one_by_one_and_grows_with_none_of_its_shapes() -> None:
    rows, outputs, inputs = 64, 256, 192
    weight, given = np.ones((outputs, inputs)).tolist(), np.ones((1, inputs)).tolist()
    start = time.perf_counter()
    [sum(a * b for a, b in zip(row, given[0], strict=True)) for row in weight]
    slow = 2 * outputs * inputs / (time.perf_counter() - start)
    found = matmul_flop_s([(outputs, inputs)], rows, torch.float32, "cpu")
    assert 2 * slow < found < 1e15


def test_the_best_of_several_shapes_counts() -> None:
    thin, wide = (8, 8), (512, 512)
    both = matmul_flop_s([thin, wide], 64, torch.float32, "cpu")
    assert both > 2 * matmul_flop_s([thin], 64, torch.float32, "cpu")


def test_shapes_are_those_of_the_layers(model: Any) -> None:
    shapes = layer_shapes(model.language_model.get_decoder())
    assert (48, 32) in shapes and (32, 48) in shapes and (16, 32) in shapes  # the feed-forward part; keys and values


def test_fractions_are_what_is_used_of_the_limits(model: Any, record: dict[str, Any]) -> None:
    language = LanguageFigures(**{name: record[name] for name in LanguageFigures.model_fields})
    found = measure_limits(model.language_model.get_decoder(), language, "float32", "cpu", SMALL_BYTES)
    best = max(found.memory_read_gb_s, found.memory_copy_gb_s) * 1e9
    assert found.bandwidth_fraction == pytest.approx(269e6 * 31.0 / 2.5 / best), "2.5 tokens a step"
    used = 4.1e10 * 1100.0 / 150 / 1e9
    assert found.prefill_fraction == pytest.approx(used / found.matmul_gflop_s["float32"])
    assert set(found.matmul_gflop_s) == {"float32", "bfloat16"}

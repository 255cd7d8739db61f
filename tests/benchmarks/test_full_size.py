"""The timing of the full-size model, on a model of two small layers."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

import torch


def test_the_numbers_are_there_for_every_batch(script: Callable[[str], ModuleType]) -> None:
    timing = script("full_size")
    found = timing.measure(timing.tiny_config(), "cpu", torch.float32, runs=1)
    assert [row["batch"] for row in found["batches"]] == [1, 8, 32]
    assert all(row["clips_s"] > 0 and row["peak_gb"] is None for row in found["batches"])
    assert found["prompt_tokens"] == 260 + 90 and found["first_token_s"] > 0 and found["tokens_s"] > 0
    assert "first token" in str(timing.table(found).caption)

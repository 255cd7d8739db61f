"""What the machine gives at most, with the library, the threads and the number formats that the model uses."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import nn
from torch.nn.functional import linear

from emotion_llama.bench.figures import LanguageFigures, LimitFigures
from emotion_llama.bench.timing import best_rate

BUFFER_BYTES = 512 * 1024**2
"""More than the caches of most processors hold."""

DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def read_gb_s(device: str, size_bytes: int = BUFFER_BYTES) -> float:
    """Gigabytes (10^9) a second of reading memory: a sum over it."""
    numbers = torch.ones(size_bytes // 4, device=device)
    return best_rate(numbers.sum, size_bytes, device) / 1e9


def copy_gb_s(device: str, size_bytes: int = BUFFER_BYTES) -> float:
    """Gigabytes a second of copying memory; what is read and what is written count both."""
    source = torch.ones(size_bytes // 8, device=device)
    target = torch.zeros_like(source)
    return best_rate(lambda: target.copy_(source), size_bytes, device) / 1e9


def layer_shapes(model: nn.Module) -> list[tuple[int, int]]:
    """The different (outputs, inputs) of a model's linear layers."""
    return sorted({(one.out_features, one.in_features) for one in model.modules() if isinstance(one, nn.Linear)})


def matmul_flop_s(shapes: Iterable[tuple[int, int]], rows: int, dtype: torch.dtype, device: str) -> float:
    """FLOP a second of the best of these layers on so many rows: (rows, inputs) · (inputs, outputs)."""
    found = []
    for outputs, inputs in shapes:
        weight = torch.randn(outputs, inputs, device=device).to(dtype)
        given = torch.randn(rows, inputs, device=device).to(dtype)
        with torch.inference_mode():
            found.append(
                best_rate(lambda w=weight, x=given: linear(x, w), 2.0 * rows * inputs * outputs, device)  # type: ignore[misc]
            )
    return max(found)


def measure_limits(
    decoder: nn.Module, language: LanguageFigures, dtype: str, device: str, size_bytes: int = BUFFER_BYTES
) -> LimitFigures:
    """Measure memory and matrix products as `decoder` uses them, and say how much of both the model reaches."""
    shapes = layer_shapes(decoder)
    products = {
        name: matmul_flop_s(shapes, language.prompt_tokens, kind, device) / 1e9 for name, kind in DTYPES.items()
    }
    read, copied = read_gb_s(device, size_bytes), copy_gb_s(device, size_bytes)
    steps_s = language.decode_tok_s / language.tokens_a_step
    flop_s = language.prefill_flop * language.prefill_tok_s / language.prompt_tokens
    scoring = language.label_scoring
    return LimitFigures(
        memory_read_gb_s=read,
        memory_copy_gb_s=copied,
        matmul_gflop_s=products,
        bandwidth_fraction=language.weight_bytes_a_token * steps_s / (max(read, copied) * 1e9),
        prefill_fraction=flop_s / (products[dtype] * 1e9),
        scoring_fraction=scoring.tokens / scoring.shared_prefix_s / language.plain_prefill_tok_s,
        scoring_one_order_fraction=(
            scoring.tokens_one_order / scoring.shared_prefix_one_order_s / language.plain_prefill_tok_s
        ),
    )

"""Time the 7b model with random weights on a GPU: `python benchmarks/full_size.py --json docs/full-size-speed.json`.

Weights are random (speed and memory do not depend on them), prompts have the released length: 260 soft tokens and 90
words' tokens. Measured: parameters, memory after loading and at its peak, time to the first token, tokens a second of a
long answer, clips a second where each is answered with one label, for several batch sizes; medians of several runs.
`--tiny` checks the program itself on a CPU.
"""

from __future__ import annotations

import argparse
import json
import platform
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import torch
from rich.console import Console
from rich.table import Table

from emotion_llama.model.configuration import EmotionLlamaConfig
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.official.language import full_config

BATCHES = (1, 8, 32)
WORDS = 90
LONG = 128
LABEL = 4
RUNS = 5


def tiny_config() -> EmotionLlamaConfig:
    """The same model with two layers of width 64."""
    config = full_config()
    for name, value in {
        "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
        "num_key_value_heads": 4, "head_dim": 16, "vocab_size": 512,
    }.items():  # fmt: skip
        setattr(config.text_config, name, value)
    return config


def random_model(config: EmotionLlamaConfig, device: str, dtype: torch.dtype) -> EmotionLlamaForConditionalGeneration:
    """Make the model with weights of a small random size; LoRA is merged, as for answering."""
    with torch.device("meta"):
        model = EmotionLlamaForConditionalGeneration(config)
    model.to_empty(device=device)
    for parameter in model.parameters():
        parameter.data = parameter.data.to(dtype).normal_(0, 0.02)
    for name, buffer in model.named_buffers():
        if name.endswith("inv_freq"):  # to_empty leaves what was computed empty, too
            width = (
                config.text_config.head_dim or config.text_config.hidden_size // config.text_config.num_attention_heads
            )
            steps = torch.arange(0, width, 2, device=device).float() / width
            buffer.data = 1.0 / (10_000.0**steps)
    model.merge_lora()
    return model.eval()


def prompts(config: EmotionLlamaConfig, batch: int, device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Prompts of the released length for `model.generate`."""
    soft = sum(group.tokens for group in config.groups)
    ids = torch.randint(3, config.text_config.vocab_size, (batch, soft + WORDS), device=device)
    ids[:, 10 : 10 + soft] = config.placeholder_token_id
    features = {
        group.name: torch.randn(batch, group.tokens, group.width, device=device, dtype=dtype) for group in config.groups
    }
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), "features": features}


def seconds(work: Callable[[], object], device: str, runs: int) -> float:
    """Median time of several runs, after one that is not counted."""
    times = []
    for number in range(runs + 1):
        _wait(device)
        start = time.perf_counter()
        work()
        _wait(device)
        if number:
            times.append(time.perf_counter() - start)
    return median(times)


def _wait(device: str) -> None:
    if device != "cpu":
        torch.cuda.synchronize()


def measure(config: EmotionLlamaConfig, device: str, dtype: torch.dtype, runs: int = RUNS) -> dict[str, Any]:
    """Give the numbers as plain data."""
    model = random_model(config, device, dtype)
    found: dict[str, Any] = {
        "device": torch.cuda.get_device_name() if device != "cpu" else platform.processor() or "cpu",
        "torch": torch.__version__,
        "dtype": str(dtype).removeprefix("torch."),
        "parameters": sum(parameter.numel() for parameter in model.parameters()),
        "loaded_gb": _memory_gb(device),
        "prompt_tokens": prompts(config, 1, "cpu", dtype)["input_ids"].shape[1],
        "batches": [],
    }
    one = prompts(config, 1, device, dtype)
    found["first_token_s"] = seconds(lambda: _answer(model, one, 1), device, runs)
    long_s = seconds(lambda: _answer(model, one, LONG), device, runs)
    found["tokens_s"] = (LONG - 1) / max(long_s - found["first_token_s"], 1e-9)
    for batch in BATCHES:
        asked = prompts(config, batch, device, dtype)
        if device != "cpu":
            torch.cuda.reset_peak_memory_stats()
        spent = seconds(lambda asked=asked: _answer(model, asked, LABEL), device, runs)  # type: ignore[misc]
        found["batches"].append({"batch": batch, "clips_s": batch / spent, "peak_gb": _peak_gb(device)})
    return found


@torch.inference_mode()
def _answer(model: EmotionLlamaForConditionalGeneration, asked: dict[str, Any], tokens: int) -> torch.Tensor:
    written: torch.Tensor = model.generate(
        **asked,
        max_new_tokens=tokens,
        min_new_tokens=tokens,
        do_sample=False,
        pad_token_id=2,
        suppress_tokens=[model.config.placeholder_token_id],  # it would ask for features
    )
    return written


def _memory_gb(device: str) -> float | None:
    return torch.cuda.memory_allocated() / 1e9 if device != "cpu" else None


def _peak_gb(device: str) -> float | None:
    return torch.cuda.max_memory_allocated() / 1e9 if device != "cpu" else None


def table(found: dict[str, Any]) -> Table:
    """The numbers for the terminal."""
    shown = Table("batch", "clips/s", "peak GB", title=f"{found['device']}, {found['dtype']}, random weights")
    for row in found["batches"]:
        peak = "–" if row["peak_gb"] is None else f"{row['peak_gb']:.1f}"
        shown.add_row(str(row["batch"]), f"{row['clips_s']:.2f}", peak)
    shown.caption = f"first token {found['first_token_s']:.3f} s, then {found['tokens_s']:.1f} tokens/s"
    return shown


def main() -> None:
    """Measure, print, and write JSON."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="where to write the numbers")
    parser.add_argument(
        "--tiny", action="store_true", help="a model of two small layers on the CPU: checks the program"
    )
    chosen = parser.parse_args()
    if chosen.tiny:
        found = measure(tiny_config(), "cpu", torch.float32, runs=1)
    elif torch.cuda.is_available():
        found = measure(full_config(), "cuda", torch.bfloat16)
    else:
        raise SystemExit("no GPU here: the full-size model is measured on one (or --tiny to check the program)")
    Console().print(table(found))
    if chosen.json is not None:
        chosen.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

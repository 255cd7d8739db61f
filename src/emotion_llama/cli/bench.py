"""`emotion-llama bench`: how fast it is on this machine, beside what the machine gives at most."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def bench(
    model: Annotated[str, typer.Option(help="A preset's name or a checkpoint folder.")] = "nano",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    dtype: Annotated[str, typer.Option(help="Of the language model: auto, float32 or bfloat16.")] = "auto",
    quantize: Annotated[str | None, typer.Option(help="Language model with weights in int8 or int4.")] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Run the language model as a compiled graph.")] = False,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer clips and repeats, one way of writing.")] = False,
    json: Annotated[Path | None, typer.Option(help="File for the figures.")] = None,
    clips: Annotated[
        int | None, typer.Option(min=1, help="Cuts of the sample recordings (default 20; quick 4).")
    ] = None,
    check: Annotated[
        Path | None,
        typer.Option(help="Figures of an earlier run: exit code 1 where a ratio fell by more than 15 %."),
    ] = None,
) -> None:
    """Measure speed: clips, first token, tokens a second, limits of the machine, the released way of working."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from emotion_llama.bench.command import BenchRequest, run_bench

    raise typer.Exit(run_bench(BenchRequest(model, device, quick, json, check, clips, dtype, quantize, compiled)))

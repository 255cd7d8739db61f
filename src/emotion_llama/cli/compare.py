"""`emotion-llama compare`: evaluated runs side by side, with paired tests."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def compare(
    runs: Annotated[list[Path], typer.Argument(help="Folders of two or more evaluations of the same clips.")],
    out: Annotated[Path, typer.Option(help="Folder for compare.html and compare.json.")] = Path("out"),
    select: Annotated[
        str, typer.Option(help="Name the best run by this metric; refused on a test side: that would be a leak.")
    ] = "",
    draws: Annotated[int, typer.Option(help="Bootstrap and permutation draws.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of the draws.")] = 0,
) -> None:
    """Put runs side by side: differences with intervals, McNemar and permutation tests."""
    from emotion_llama.evaluate.compare import run_compare

    raise typer.Exit(run_compare(tuple(runs), out, select=select, draws=draws, seed=seed))

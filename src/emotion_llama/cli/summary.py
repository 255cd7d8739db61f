"""`emotion-llama summary`: a table and a page over many analyses."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def summary(
    results: Annotated[
        list[Path], typer.Argument(help="Folders of results of analyze, or .jsonl and .json files that it wrote.")
    ],
    manifest: Annotated[
        Path | None, typer.Option(help="List of the clips with more columns to group by: speaker, emotion, your own.")
    ] = None,
    by: Annotated[
        str, typer.Option(help="Columns, commas between (default: label, and speaker and time where known).")
    ] = "",
    out: Annotated[
        Path | None, typer.Option(help="Folder for summary.csv and summary.html (default: beside the results).")
    ] = None,
) -> None:
    """Count and average many analyses: by label, speaker, time and any column of a manifest."""
    from emotion_llama.summary.command import run_summary

    raise typer.Exit(run_summary(tuple(results), manifest, by, out))

"""`emotion-llama ablate`: a grid of trainings, resumable, scored as one table and figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def ablate(
    config: Annotated[Path, typer.Argument(help="The ablation: configs/ablate/NAME.yaml.")],
    overrides: Annotated[
        list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Settings for every training of the grid.")
    ] = None,
    data: Annotated[Path | None, typer.Option(help="Folder that holds the data sets.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for trainings and report.")] = None,
    only: Annotated[list[str] | None, typer.Option(help="Run only this cell (* = anything); repeat for more.")] = None,
    jobs: Annotated[int | None, typer.Option(min=1, help="Trainings at a time.")] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the grid, what is done and the time it will take.")
    ] = False,
    report_only: Annotated[
        bool, typer.Option("--report-only", help="Train nothing: table and figure of what is there.")
    ] = False,
) -> None:
    """Train and score every cell of a grid with several seeds; finished trainings are not run again."""
    from emotion_llama.ablate.command import Request, run_ablation

    request = Request(
        config=config,
        overrides=tuple(overrides or ()),
        data=data,
        out=out,
        only=tuple(only or ()),
        jobs=jobs,
        dry_run=dry_run,
        report_only=report_only,
    )
    raise typer.Exit(run_ablation(request))

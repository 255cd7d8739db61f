"""`emotion-llama train`: from data sets to a checkpoint folder that explains itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CONFIG = Annotated[Path, typer.Argument(help="Settings, for instance configs/train/own-data.yaml.")]
CHANGES = Annotated[list[str] | None, typer.Argument(help="Changed settings: schedule.steps=50 out=runs/x …")]
JOBS = Annotated[int, typer.Option(min=1, help="Worker processes that extract features.")]
DATA = Annotated[Path | None, typer.Option(help="Folder of the data sets (data.root).")]


def train(config: CONFIG, changes: CHANGES = None, data: DATA = None, jobs: JOBS = 1) -> None:
    """Train as a settings file says; start it again after a kill and it goes on where it was."""
    from emotion_llama.train.start import start

    start(config, changes or [], data, jobs=jobs)

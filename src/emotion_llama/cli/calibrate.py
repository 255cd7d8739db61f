"""`emotion-llama calibrate`: how sure a finished training may be, fitted again without training."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

CONFIG = Annotated[Path, typer.Argument(help="The settings the run was trained with; `out` names its folder.")]
CHANGES = Annotated[list[str] | None, typer.Argument(help="Changed settings: calibration.clips=300 …")]
JOBS = Annotated[int, typer.Option(min=1, help="Worker processes that extract features.")]
DATA = Annotated[Path | None, typer.Option(help="Folder of the data sets (data.root).")]


def calibrate(config: CONFIG, changes: CHANGES = None, data: DATA = None, jobs: JOBS = 1) -> None:
    """Calibrate a finished training again and score its test sides; its weights stay."""
    from emotion_llama.train.start import start_calibration

    start_calibration(config, changes or [], data, jobs=jobs)

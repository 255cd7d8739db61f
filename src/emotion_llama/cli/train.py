"""`emotion-llama train`: from data sets to a checkpoint folder that explains itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

CONFIG = Annotated[Path, typer.Argument(help="Settings, for instance configs/train/own-data.yaml.")]
CHANGES = Annotated[list[str] | None, typer.Argument(help="Changed settings: schedule.steps=50 out=runs/x …")]
JOBS = Annotated[int, typer.Option(min=1, help="Worker processes that extract features.")]
DATA = Annotated[Path | None, typer.Option(help="Folder of the data sets (data.root).")]
NEW = Annotated[
    Path | None,
    typer.Option(
        "--new", help="Write the settings CONFIG for this manifest of yours (.csv, .jsonl) and its labels, and end."
    ),
]


def train(config: CONFIG, changes: CHANGES = None, data: DATA = None, jobs: JOBS = 1, new: NEW = None) -> None:
    """Train as a settings file says; start it again after a kill and it goes on where it was."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if new is not None:
        return _write(config, new, changes or [])
    from emotion_llama.train.start import start

    start(config, changes or [], data, jobs=jobs)


def _write(config: Path, manifest: Path, changes: list[str]) -> None:
    from emotion_llama.errors import UsageError
    from emotion_llama.train.template import write_settings

    if changes:
        raise UsageError(f"--new only writes {config}; give {' '.join(changes)} when you train, or change them there")
    print(f"{write_settings(config, manifest)}\nwrote {config}; look it through, then: emotion-llama extract {config}")

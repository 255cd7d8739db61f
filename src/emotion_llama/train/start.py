"""What `emotion-llama train`, `calibrate` and `extract` do with their words."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from emotion_llama.errors import UsageError
from emotion_llama.overrides import read_config
from emotion_llama.scale.spread import as_engine
from emotion_llama.train.again import calibrate_again
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.extract import extract
from emotion_llama.train.material import read_items, say_extracted
from emotion_llama.train.progress import console
from emotion_llama.train.run import end_together, run


def start(path: Path, changes: Sequence[str], data: Path | None, *, jobs: int) -> Path:
    """Read the settings and train; gives the checkpoint folder."""
    out = run(_read(path, changes, data), jobs=jobs)
    end_together()
    return out


def start_calibration(path: Path, changes: Sequence[str], data: Path | None, *, jobs: int) -> Path:
    """Read the settings, calibrate their finished run again and score its test sides; gives the folder."""
    return calibrate_again(_read(path, changes, data), jobs=jobs)


def start_extraction(
    path: Path, changes: Sequence[str], data: Path | None, *, jobs: int, engine: str, address: str | None
) -> int:
    """Read the settings and fill the feature cache; gives the exit code: 1 if clips were left out."""
    chosen = as_engine(engine)
    config = _read(path, changes, data)
    items = read_items(config)
    found = extract(items, config, jobs=jobs, engine=chosen, address=address)
    say_extracted(found, items, everything=True)
    return 1 if found.left_out else 0


def _read(path: Path, changes: Sequence[str], data: Path | None) -> TrainConfig:
    config = read_config(TrainConfig, path, changes)
    root = str(data) if data is not None else config.data.root
    root = os.environ.get("EMOTION_LLAMA_DATA", "") if root == "$EMOTION_LLAMA_DATA" else root
    if not root:
        raise UsageError(f"{path}: say where the data sets are: --data FOLDER, or EMOTION_LLAMA_DATA")
    console.print(f"data: {root}")
    return config.model_copy(update={"data": config.data.model_copy(update={"root": root})})

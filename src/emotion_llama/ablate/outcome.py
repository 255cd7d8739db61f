"""What a training leaves in its folder, as far as an ablation reads it."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from emotion_llama.clip import Record
from emotion_llama.errors import ManifestError

State = Literal["finished", "failed", "started", "waiting"]


class Failure(Record):
    """Why a training is not done: the reason, after how many seconds, and the last lines of its log."""

    reason: str
    seconds: float
    last_lines: tuple[str, ...] = ()


class _Read(BaseModel):
    """What is read of others' records; other columns are left alone."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class BestStep(_Read):
    """The checkpoint that was kept, and its score on the validation side."""

    step: int
    metric: str
    value: float | None


class SourceScores(_Read):
    """The labels a test source was asked in; its scores are computed again from the answers."""

    labels: tuple[str, ...]


class Outcome(_Read):
    """`training.json`: how long it took, the checkpoint kept, and the test sources that were scored."""

    seed: int
    seconds: float
    best: BestStep | None = None
    test: dict[str, SourceScores] = {}
    git_commit: str | None = None
    adapter_sha256: str | None = None


def training_file(folder: Path) -> Path:
    """The record of a training; it is there when the training is done."""
    return folder / "training.json"


def log_file(folder: Path) -> Path:
    """What a training printed, beside its folder: the folder itself is the trainer's."""
    return folder.with_name(f"{folder.name}.log")


def failure_file(folder: Path) -> Path:
    """The record of a failed training."""
    return folder.with_name(f"{folder.name}.failed.json")


def read_outcome(folder: Path) -> Outcome:
    """Read the record of a finished training. Raises `ManifestError` naming the file."""
    path = training_file(folder)
    try:
        return Outcome.model_validate_json(path.read_bytes())
    except OSError as error:
        raise ManifestError(f"{path}: expected the record of a training ({error.strerror})") from error
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise ManifestError(
            f"{path}: not the record of a training: {place}: {wrong['msg']}; remove {folder} to train it again"
        ) from error


def state_of(folder: Path) -> State:
    """How far a training is."""
    if training_file(folder).is_file():
        return "finished"
    if failure_file(folder).is_file():
        return "failed"
    return "started" if folder.is_dir() else "waiting"


def read_failure(folder: Path) -> Failure | None:
    """Why a training failed; `None` if it did not. Raises `ManifestError` naming the file."""
    path = failure_file(folder)
    if not path.is_file():
        return None
    try:
        return Failure.model_validate_json(path.read_bytes())
    except ValidationError as error:
        raise ManifestError(f"{path}: not the record of a failure ({error.errors()[0]['msg']}); remove it") from error

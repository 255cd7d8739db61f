"""What made a report: code, weights, prompt, seeds, packages, machine, and the files it was computed from."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emotion_llama.environment import file_sha256, git_commit, machine, version, versions
from emotion_llama.evaluate.records import Prediction

PACKAGES = ("numpy", "pydantic", "torch", "transformers", "peft", "av", "opencv-python-headless", "faster-whisper")


def provenance(predictions: Sequence[Prediction | None], files: dict[str, Path | None]) -> dict[str, Any]:
    """Describe a run. `model` is what the predictions say of themselves; `files` are hashed by their names."""
    return {
        "package": version("emotion-llama"),
        "git_commit": git_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["emotion-llama", *sys.argv[1:]]),
        "model": _model(predictions),
        "files_sha256": {name: file_sha256(path) for name, path in files.items() if path is not None},
        "versions": versions(PACKAGES),
        "machine": machine(),
    }


def _model(predictions: Sequence[Prediction | None]) -> dict[str, Any]:
    """Give what the predictions state; different statements in one file are all listed, as "mixed"."""
    stated = [p.provenance for p in predictions if p is not None and p.provenance]
    different = list({repr(sorted(record.items(), key=str)): record for record in stated}.values())
    if not different:
        return {"stated": "nothing: the predictions carry no provenance"}
    return different[0] if len(different) == 1 else {"mixed": different[:5]}

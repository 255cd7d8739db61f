"""What made a report: code, weights, prompt, seeds, packages, machine, and the files it was computed from."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from emotion_llama.evaluate.records import Prediction

PACKAGES = ("numpy", "pydantic", "torch", "transformers", "peft", "av", "opencv-python-headless", "faster-whisper")


def provenance(predictions: Sequence[Prediction | None], files: dict[str, Path | None]) -> dict[str, Any]:
    """Describe a run. `model` is what the predictions say of themselves; `files` are hashed by their names."""
    return {
        "package": _version("emotion-llama"),
        "git_commit": git_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": " ".join(["emotion-llama", *sys.argv[1:]]),
        "model": _model(predictions),
        "files_sha256": {name: file_sha256(path) for name, path in files.items() if path is not None},
        "versions": {name: _version(name) for name in PACKAGES} | {"python": platform.python_version()},
        "machine": {
            "system": platform.platform(),
            "processor": _processor(),
            "cores": os.cpu_count(),
            "memory_gb": _memory_gb(),
        },
    }


def git_commit() -> str | None:
    """Give the commit of the source tree this package runs from, with "+changes" if it differs; `None` if installed."""
    folder = Path(__file__).resolve().parent
    commit = _git(folder, "rev-parse", "HEAD")
    if commit is None or _git(folder, "ls-files", "--error-unmatch", Path(__file__).name) is None:
        return None  # some other project's repository around an installed package is not ours
    return commit + ("+changes" if _git(folder, "status", "--porcelain", "--untracked-files=no") else "")


def file_sha256(path: Path) -> str | None:
    """Hash a file; of a folder its `manifest.csv` if it has one, else `None`."""
    if path.is_dir():
        path = path / "manifest.csv"
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _model(predictions: Sequence[Prediction | None]) -> dict[str, Any]:
    """Give what the predictions state; different statements in one file are all listed, as "mixed"."""
    stated = [p.provenance for p in predictions if p is not None and p.provenance]
    different = list({repr(sorted(record.items(), key=str)): record for record in stated}.values())
    if not different:
        return {"stated": "nothing: the predictions carry no provenance"}
    return different[0] if len(different) == 1 else {"mixed": different[:5]}


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gb() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9, 1)
    except (ValueError, OSError, AttributeError):
        return None

"""What made a result: code, packages, machine. Written into every report and checkpoint."""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any


def versions(packages: Sequence[str]) -> dict[str, str | None]:
    """Give the versions of packages (`None` = not installed) and of Python."""
    return {name: version(name) for name in packages} | {"python": platform.python_version()}


def machine() -> dict[str, Any]:
    """Describe the machine: system, processor, cores, memory in GB."""
    return {
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gb": _memory_gb(),
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


def version(package: str) -> str | None:
    """Give the version of an installed package, `None` if it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _git(folder: Path, *words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], cwd=folder, capture_output=True, text=True, check=False, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


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

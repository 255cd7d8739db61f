"""`scale_workers` must be importable in worker processes too: spawn takes over sys.path, Ray takes PYTHONPATH."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

HERE = str(Path(__file__).parent)
sys.path.insert(0, HERE)


@pytest.fixture(autouse=True)
def _workers_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((HERE, os.environ.get("PYTHONPATH", ""))))

"""The tables of speed: from what `bench` writes, and from what its forerunner wrote."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.bench.conftest import record as record

STORED = Path(__file__).resolve().parents[2] / "docs" / "speed.json"


@pytest.fixture(scope="module")
def tables(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("tables")


def test_every_figure_of_a_run_is_shown(tables: ModuleType, record: dict[str, Any]) -> None:
    readme, page = tables.speed(record), tables.bench(record)
    assert "slowest of 12" in readme and "folder of 20 cuts, emotion | 0.90 clips a second" in readme
    assert "against the released way of working | 4.0× faster" in readme
    for shown in ("cold 0.20, warm 0.90, cached 4.10", "31.0", "93.0 (4 texts)", "640 GFLOP/s", "0.40", "0.47",
                  "0.20: 180 frames a second",
                  "audio encoder 0.38 (8.0 GFLOP", "6.00 s a clip",
                  "15.50", "faces 0.30", "2026-01-01", "load average before: 0.1"):  # fmt: skip
        assert shown in page, shown
    assert "peak_vram_mb" not in page
    assert "`another command`" in tables.bench(record, "another command") + tables.speed(record, "another command")
    older = {name: value for name, value in record.items() if name not in ("video_fraction", "encoders")}
    assert "video_fraction" not in tables.bench(older)
    assert "| 512 |" in tables.bench(record | {"peak_vram_mb": 512.0})


def test_what_is_stored_is_rendered(tables: ModuleType) -> None:
    stored = json.loads(STORED.read_text(encoding="utf-8"))
    assert "clips a second" in tables.speed(stored)
    assert ("Not measured yet" in tables.bench(stored)) == ("reference_ratio" not in stored)

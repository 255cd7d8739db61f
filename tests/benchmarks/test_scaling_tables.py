"""The tables of linear cost and of scaling show what was measured."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType

MACHINE = {"machine": "a machine", "threads": 1, "load_average": 0.5}


def test_linear_speed(script: Callable[[str], ModuleType]) -> None:
    row = {"clips": 20, "done": 20, "failed": 1, "clips_per_s": 0.5, "first_clips_per_s": 0.51,
           "last_clips_per_s": 0.49, "cpu_clip_s": 2.5, "edge_cpu_ratio": 1.01, "peak_mb": 1700.0,
           "edge_peak_mb": 1690.0}  # fmt: skip
    record = {
        "machine": MACHINE, "clip_s": 1.0, "warm_clips": 5, "speed_ratio": 0.97, "cpu_ratio": 1.02, "peak_ratio": 1.03,
        "runs": [row, {**row, "clips": 2000, "done": 1500}],
    }  # fmt: skip
    text = script("tables").linear_speed(record)
    assert "| 20 | 0.50 | 0.51 | 0.49 | 2.50 | 1.01 | 1700 | 1690 |" in text
    assert "1,500 of 2,000 (stopped)" in text and "2 clips failed" in text and "a machine, 1 thread, load" in text
    assert "0.970" in text and "1.020, peak: 1.030" in text
    alone = script("tables").linear_speed(record | {"speed_ratio": None, "runs": [row]})
    assert "Slowest" not in alone


def test_scaling_and_clusters(script: Callable[[str], ModuleType]) -> None:
    measured = {"weights_mb": 540.0, "added_mb": 400.0, "step_s": 9.0, "cpu_s": 3.0, "matmul_flop_s": 5e10}
    row = {"processes": 2, "clips": 4, "length": 96, "checkpointing": True, "measured": measured, "memory_mb": 360.0,
           "seconds": 2.7, "memory_ratio": 0.9, "time_ratio": 0.91}  # fmt: skip
    ways = [
        {"cluster": name, "clips": clips, "accumulate": 1, "clips_per_s": 1234.0, "efficiency": 0.956}
        for name in ("1 GPU", "8 GPUs")
        for clips in (1, 8)
    ]
    record = {
        "machine": MACHINE, "answer": 12, "steps": 2, "parameters": 134_500_000, "trained": 2_200_000,
        "weights_mb": 538.0, "efficiency": 0.65, "rows": [row], "clusters": ways,
    }  # fmt: skip
    tables = script("tables")
    assert "| 2 | 4 × 96 | yes | 400 | 360 | 0.90 | 3.00 | 2.70 | 0.91 | 9.00 |" in tables.scaling(record)
    assert "50 to 50 GFLOP/s" in tables.scaling(record) and "reaches 0.65" in tables.scaling(record)
    assert tables.clusters(record).splitlines()[0] == "| clips a batch × accumulated | 1 × 1 | 8 × 1 |"
    assert "| 8 GPUs | 1,234 clips/s, 96 % | 1,234 clips/s, 96 % |" in tables.clusters(record)

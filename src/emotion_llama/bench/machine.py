"""Where the figures are measured, and the most memory that it took."""

from __future__ import annotations

import os
import platform
import resource
import sys
from datetime import UTC, datetime
from pathlib import Path

import torch

from emotion_llama import environment
from emotion_llama.analyze.preset import Preset
from emotion_llama.bench.figures import Machine


def describe(preset: Preset, quick: bool) -> Machine:
    """Describe machine, model and code. Call it before anything is computed: the load should be that of others."""
    found = environment.machine()
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    on_gpu = preset.device != "cpu"
    return Machine(
        machine=f"{platform.machine()}, {cores} cores, Python {platform.python_version()}",
        processor=found["processor"],
        cores=cores,
        threads=preset.threads,
        memory_gb=found["memory_gb"],
        load_average=round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        device=preset.device,
        device_name=torch.cuda.get_device_name(preset.device) if on_gpu else found["processor"],
        dtype=str(preset.dtype).removeprefix("torch."),
        quantize=preset.numerics.quantize,
        compiled=preset.numerics.compiled,
        model=preset.name,
        torch=torch.__version__,
        commit=environment.git_commit(),
        date=datetime.now(UTC).date().isoformat(),
        quick=quick,
    )


def peak_rss_mb() -> float:
    """Most memory that this process has held so far, in MB (10^6 bytes)."""
    status = Path("/proc/self/status")
    if status.is_file():  # not what a parent of this process held, as the other way may count
        lines = status.read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) * 1024 / 1e6
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 1e6 if sys.platform == "darwin" else peak * 1024 / 1e6


def peak_vram_mb(device: str) -> float | None:
    """Most memory that torch has held on a GPU so far, in MB; `None` on a processor."""
    return None if device == "cpu" else torch.cuda.max_memory_allocated(device) / 1e6

"""Time training: `make bench`.

Twenty different cuts of the sample clips, going on from the shipped `nano`, batches of 16: seconds a clip to look at
and listen to it (what a loop that encodes every clip in every epoch pays), to read its features from the warm cache,
and to train on it; peak memory of three steps with and without gradient checkpointing, each in a process of its own.
Prints a table and, with --json FILE, saves it.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from transformers import TrainerCallback

from emotion_llama.analyze.features import encode
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Stopwatch, perceive
from emotion_llama.bench.samples import cuts
from emotion_llama.manifest import write_manifest
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.train.build import build, checkpoint_folder
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.extract import extract
from emotion_llama.train.material import prepare, read_items
from emotion_llama.train.questions import sampler_for
from emotion_llama.train.run import make_trainer

CLIPS = 20
BATCH = 16
STEPS = 5
DRAWS = 320


def config_of(folder: Path, *, checkpointing: bool, steps: int) -> TrainConfig:
    """Settings of a run on the cuts; two labels and four people are made up, for nothing is scored here."""
    clips = [
        clip.model_copy(update={"emotion": ("happy", "sad")[number % 2], "speaker": f"p{number % 4}"})
        for number, clip in enumerate(cuts(CLIPS))
    ]
    write_manifest(clips, folder / "clips.jsonl")
    return TrainConfig.model_validate(
        {
            "out": str(folder / "run"),
            "trackers": [],
            "model": {"init": "nano", "gradient_checkpointing": checkpointing},
            "data": {
                "root": str(folder),
                "sources": [{"name": "cuts", "path": "clips.jsonl", "labels": ["happy", "sad"], "side": "train"}],
            },
            "schedule": {"steps": steps, "batch_size": BATCH, "warmup_steps": 1},
            "calibration": None,
        }
    )


class StepTimes(TrainerCallback):  # type: ignore[misc]  # untyped library
    """The clock at the end of every step."""

    def __init__(self) -> None:
        self.ends_s: list[float] = []

    def on_step_end(self, *arguments: Any, **more: Any) -> None:
        """Note the time."""
        self.ends_s.append(time.perf_counter())


def peak_rss_mb() -> float:
    """Largest resident memory of this process since its counter was set back."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) / 1024


def train(folder: Path, *, checkpointing: bool, steps: int) -> dict[str, float]:
    """Train some steps from the cache; gives seconds a draw, seconds a step, memory before and at the peak."""
    config = config_of(folder, checkpointing=checkpointing, steps=steps)
    material = prepare(config, extract(read_items(config), config).examples)
    sampler = sampler_for(config, material, "train")
    start = time.perf_counter()
    for number in range(DRAWS):
        sampler.draw(number)
    draw_s = (time.perf_counter() - start) / DRAWS
    trainer = make_trainer(config, build(config.model, material.heads, sampler, seed=0), material, folder / "run")
    clock = StepTimes()
    trainer.add_callback(clock)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here (Linux)
    before_mb = peak_rss_mb()
    trainer.train()
    peak_mb = peak_rss_mb()
    steps_s = [b - a for a, b in zip(clock.ends_s, clock.ends_s[1:], strict=False)]
    return {"draw_s": draw_s, "step_s": median(steps_s), "before_mb": before_mb, "peak_mb": peak_mb}


def encoding_s() -> float:
    """Median seconds to look at and listen to one cut, as extraction does, with everything loaded."""
    parts = Parts(checkpoint_folder("nano"), "cpu", len(os.sched_getaffinity(0)), keep_features=False)
    times = []
    for clip in cuts(CLIPS):
        watch = Stopwatch()
        start = time.perf_counter()
        percept = perceive(clip, AnalyzeSettings(), parts, watch)
        encode(percept, parts, percept.waveform is not None, watch)
        times.append(time.perf_counter() - start)
    return median(times[2:])


def measure() -> dict[str, Any]:
    """Run everything; the keys are those printed."""
    encode_s = encoding_s()
    with tempfile.TemporaryDirectory() as folder:
        plain = train(Path(folder) / "a", checkpointing=False, steps=STEPS)
        sizes = {name: _alone(Path(folder) / name, checkpointing=name == "on") for name in ("off", "on")}
    sample_s = plain["step_s"] / BATCH
    return {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}",
        "batch_size": BATCH,
        "encode_s_a_clip": encode_s,
        "draw_s_a_clip": plain["draw_s"],
        "train_s_a_clip": sample_s,
        "features_ratio": encode_s / plain["draw_s"],
        "samples_per_s": 1 / sample_s,
        "samples_per_s_encoding_every_time": 1 / (sample_s - plain["draw_s"] + encode_s),
        "whole_ratio": (sample_s - plain["draw_s"] + encode_s) / sample_s,
        "memory_before_mb": sizes["off"]["before_mb"],
        "memory_mb": sizes["off"]["peak_mb"],
        "memory_mb_checkpointing": sizes["on"]["peak_mb"],
        "step_s": sizes["off"]["step_s"],
        "step_s_checkpointing": sizes["on"]["step_s"],
    }


def _alone(folder: Path, *, checkpointing: bool) -> dict[str, float]:
    """Train in a process of its own, whose peak is that of this training."""
    words = [sys.executable, __file__, "--train", str(folder), *(["--checkpointing"] if checkpointing else [])]
    done = subprocess.run(words, check=True, capture_output=True, text=True)
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure and print; `--train` is what the processes of their own run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--train", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--checkpointing", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.train:
        print(json.dumps(train(arguments.train, checkpointing=arguments.checkpointing, steps=3)))
        return
    result = measure()
    table = Table("measure", "value", title="training from nano")
    for key, value in result.items():
        table.add_row(key, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console(width=100).print(table)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Hold the arithmetic of docs/scaling.md (`scaling_model.py`) against training steps of `nano` on this processor.

    python benchmarks/scaling.py --json docs/scaling-model.json

Steps on invented clips (random words and features, answers of `ANSWER` tokens): two batches by two lengths, with and
without gradient checkpointing, each in a process of its own with one thread (a fork of one that has loaded the model),
and then two processes by torchrun (gloo).
Memory is predicted with nothing fitted. Time has one free number, the share of the machine's best matrix product that
is reached: it is taken from the first row and used for all others. Seconds are those of the processor, so that others
at work on the machine disturb them little. The clusters below the table are computed, not measured.
"""

from __future__ import annotations

import argparse
import gc
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from pydantic import PositiveFloat, PositiveInt
from rich.console import Console
from rich.table import Table
from scaling_model import (
    CLUSTERS,
    LLAMA_7B,
    Batch,
    Shape,
    activation_bytes,
    all_reduce_s,
    clips_per_s,
    step_flop,
    training_bytes,
    weights_bytes,
)
from torch import Tensor, distributed, nn

from emotion_llama.analyze.preset import llm_folder, load_preset
from emotion_llama.bench.figures import Machine, Part
from emotion_llama.bench.limits import layer_shapes
from emotion_llama.bench.machine import describe
from emotion_llama.model.checkpoint import load_adapter
from emotion_llama.model.modeling import IGNORED, EmotionLlamaForConditionalGeneration
from emotion_llama.train.build import checkpoint_folder

ANSWER = 12
STEPS = 3
"""Steps of a process; the first is not counted."""

BATCHES = tuple(
    Batch(clips, length, ANSWER, checkpointing)
    for checkpointing in (False, True)
    for clips in (2, 4)
    for length in (96, 192)
)
TOGETHER = (Batch(2, 96, ANSWER, False), Batch(4, 192, ANSWER, False))
"""Batches of each of two processes."""

PRODUCT_S = 0.3
"""Seconds of the processor that are spent on each product."""

REDUCED = 8_000_000
"""Numbers of the buffer whose all-reduce says what the link carries."""


class Steps(Part):
    """What one process measured. MB are 10^6 bytes; `added_mb`: peak of the steps above what the loaded model holds.

    `step_s`: median seconds by the clock, `cpu_s`: of the processor. `matmul_flop_s`: the best matrix product of the
    model's shapes on as many rows. `link_bytes_a_s`: of an all-reduce, in a run of several processes.
    """

    weights_mb: PositiveFloat
    added_mb: PositiveFloat
    step_s: PositiveFloat
    cpu_s: PositiveFloat
    matmul_flop_s: PositiveFloat
    link_bytes_a_s: PositiveFloat | None


class Row(Part):
    """One batch, measured and predicted; the ratios are predicted ÷ measured."""

    processes: PositiveInt
    clips: PositiveInt
    length: PositiveInt
    checkpointing: bool
    measured: Steps
    memory_mb: PositiveFloat
    seconds: PositiveFloat
    memory_ratio: PositiveFloat
    time_ratio: PositiveFloat


class OnPaper(Part):
    """A cluster with the 7b model, a clip of 450 tokens: clips a second and efficiency at so many clips a batch."""

    cluster: str
    clips: PositiveInt
    accumulate: PositiveInt
    clips_per_s: PositiveFloat
    efficiency: PositiveFloat


class Scaling(Part):
    """All of it. `efficiency`: the share of the matrix product that the first row reaches."""

    machine: Machine
    answer: PositiveInt
    steps: PositiveInt
    parameters: PositiveInt
    trained: PositiveInt
    weights_mb: PositiveFloat
    efficiency: PositiveFloat
    rows: tuple[Row, ...]
    clusters: tuple[OnPaper, ...]


def open_model() -> EmotionLlamaForConditionalGeneration:
    """Load `nano` as training goes on from it, in float32."""
    folder = checkpoint_folder("nano")
    model = load_adapter(folder, llm_folder("smollm2-135m-instruct"), merge=False)
    model.train()
    return model


def shape_of(model: EmotionLlamaForConditionalGeneration) -> Shape:
    """Count what the formulas need."""
    config = model.config.text_config
    frozen = [one for one in model.parameters() if not one.requires_grad]
    lora = {id(one) for one in model.parameters() if one.requires_grad}
    decoder = model.language_model.get_decoder()
    linear = [one.weight for one in decoder.modules() if isinstance(one, nn.Linear) and id(one.weight) not in lora]
    return Shape(
        parameters=sum(one.numel() for one in frozen),
        linear=sum(one.numel() for one in linear),
        trained=sum(one.numel() for one in model.parameters() if one.requires_grad),
        layers=config.num_hidden_layers,
        width=config.hidden_size,
        mlp=config.intermediate_size,
        words=config.vocab_size,
        weight_bytes=4,
        activation_bytes=4,
    )


def inputs_of(model: EmotionLlamaForConditionalGeneration, batch: Batch) -> dict[str, Any]:
    """Invent clips: all feature groups, then words, of which the last are the answer."""
    config = model.config
    features = {one.name: torch.randn(batch.clips, one.tokens, one.width) for one in config.groups}
    soft = sum(one.tokens for one in config.groups)
    words = torch.randint(1000, 20_000, (batch.clips, batch.length))
    words[:, :soft] = config.placeholder_token_id
    labels = torch.full_like(words, IGNORED)
    labels[:, -batch.answer :] = words[:, -batch.answer :]
    return {"input_ids": words, "attention_mask": torch.ones_like(words), "features": features, "labels": labels}


def resident_mb(key: str) -> float:
    """`VmRSS` (now) or `VmHWM` (largest) of this process."""
    found = re.search(rf"{key}:\s+(\d+) kB", Path("/proc/self/status").read_text(encoding="ascii"))
    assert found is not None
    return int(found[1]) * 1024 / 1e6


def product_flop_s(shapes: Sequence[tuple[int, int]], rows: int) -> float:
    """FLOP in a second of the processor of the best of these layers on so many rows, in float32."""
    found = []
    for outputs, inputs in shapes:
        weight, given = torch.randn(outputs, inputs), torch.randn(rows, inputs)
        with torch.inference_mode():
            nn.functional.linear(given, weight)
            start, calls = time.process_time(), 0
            while time.process_time() - start < PRODUCT_S:
                nn.functional.linear(given, weight)
                calls += 1
            found.append(2.0 * rows * inputs * outputs * calls / (time.process_time() - start))
    return max(found)


def timed_steps(step: Callable[[], None]) -> tuple[float, float]:
    """Median seconds of a step, by the clock and of the processor."""
    walls, cpus = [], []
    for _ in range(STEPS):
        wall, cpu = time.perf_counter(), time.process_time()
        step()
        walls.append(time.perf_counter() - wall)
        cpus.append(time.process_time() - cpu)
    return median(walls[1:]), median(cpus[1:])


def link_bytes_a_s(processes: int) -> float:
    """What the link between the processes carries: bytes each sends and receives in a ring, a second."""
    buffer, times = torch.ones(REDUCED), []
    for _ in range(5):
        distributed.barrier()
        start = time.perf_counter()
        distributed.all_reduce(buffer)
        times.append(time.perf_counter() - start)
        buffer.fill_(1.0)
    return 2 * (processes - 1) / processes * REDUCED * 4 / median(times)


def load_model() -> tuple[EmotionLlamaForConditionalGeneration, float]:
    """Load `nano` and say how many MB that took."""
    start_mb = resident_mb("VmRSS")
    model = open_model()
    gc.collect()
    return model, max(resident_mb("VmRSS") - start_mb, 1.0)


def steps_of(model: EmotionLlamaForConditionalGeneration, weights_mb: float, batch: Batch) -> Steps:
    """Train some steps in this process, alone or beside others of torchrun."""
    processes = int(os.environ.get("WORLD_SIZE", "1"))
    torch.manual_seed(0)
    link = link_bytes_a_s(processes) if processes > 1 else None
    flop_s = product_flop_s(layer_shapes(model.language_model.get_decoder()), batch.tokens)
    if batch.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    trained = [one for one in model.parameters() if one.requires_grad]
    given = inputs_of(model, batch)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak counts from here (Linux)
    before_mb = resident_mb("VmRSS")
    runner = nn.parallel.DistributedDataParallel(model, find_unused_parameters=True) if processes > 1 else model
    optimizer = torch.optim.AdamW(trained, lr=1e-5)

    def step() -> None:
        loss: Tensor = runner(**given).loss
        loss.backward()
        nn.utils.clip_grad_norm_(trained, 1.0)
        optimizer.step()
        optimizer.zero_grad()

    step_s, cpu_s = timed_steps(step)
    return Steps(
        weights_mb=weights_mb,
        added_mb=max(resident_mb("VmHWM") - before_mb, 1.0),
        step_s=step_s,
        cpu_s=cpu_s,
        matmul_flop_s=flop_s,
        link_bytes_a_s=link,
    )


def measured_alone(model: EmotionLlamaForConditionalGeneration, weights_mb: float, batch: Batch) -> Steps:
    """Measure in a fork of this process, whose peak is that of these steps."""
    forks = multiprocessing.get_context("fork")
    here, there = forks.Pipe(duplex=False)
    process = forks.Process(target=lambda: there.send(steps_of(model, weights_mb, batch)))
    process.start()
    there.close()
    try:
        found: Steps = here.recv()
    except EOFError:
        raise SystemExit(f"the process that measured {batch} ended without a result") from None
    finally:
        process.join()
    return found


def measured_together(processes: int, batch: Batch) -> Steps:
    """Measure in so many processes by torchrun, of which the first tells."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "steps.json"
        words = [str(batch.clips), str(batch.length), str(int(batch.checkpointing)), str(out)]
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
        command = [sys.executable, *launcher, __file__, "--steps", *words]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr[-3000:]}")
        return Steps.model_validate_json(out.read_bytes())


def one_of_several(batch: Batch, out: Path) -> None:
    """What each process of torchrun does; the first writes what it measured."""
    torch.set_num_threads(1)
    distributed.init_process_group("gloo")
    found = steps_of(*load_model(), batch)
    if distributed.get_rank() == 0:
        out.write_text(found.model_dump_json(), encoding="utf-8")
    distributed.destroy_process_group()


def row_of(shape: Shape, batch: Batch, processes: int, found: Steps, efficiency: float) -> Row:
    """Put the prediction beside what was measured. DDP holds every gradient a second time, to send it."""
    copies = 4 * shape.trained if processes > 1 else 0
    memory_mb = (training_bytes(shape) + activation_bytes(shape, batch) + copies) / 1e6
    seconds = step_flop(shape, batch) / (efficiency * found.matmul_flop_s)
    if found.link_bytes_a_s is not None:
        seconds += all_reduce_s(shape.trained, processes, found.link_bytes_a_s)
    return Row(
        processes=processes,
        clips=batch.clips,
        length=batch.length,
        checkpointing=batch.checkpointing,
        measured=found,
        memory_mb=memory_mb,
        seconds=seconds,
        memory_ratio=memory_mb / found.added_mb,
        time_ratio=seconds / found.cpu_s,
    )


def on_paper() -> list[OnPaper]:
    """Compute the clusters, with batches of 1 and of 8 clips, and with eight batches accumulated."""
    found = []
    for clips, accumulate in ((1, 1), (8, 1), (8, 8)):
        for one in CLUSTERS:
            speed, efficiency = clips_per_s(LLAMA_7B, Batch(clips, 450, 40, False), one, accumulate)
            found.append(
                OnPaper(cluster=one.name, clips=clips, accumulate=accumulate, clips_per_s=speed, efficiency=efficiency)
            )
    return found


def measure(console: Console, save: Callable[[Scaling], None]) -> Scaling:
    """Measure every batch and predict it; `save` gets what there is after each."""
    machine = describe(load_preset("nano", device="cpu", dtype="float32", threads=1), quick=False)
    torch.set_num_threads(1)
    model, weights_mb = load_model()
    shape = shape_of(model)
    rows: list[Row] = []
    efficiency = 0.0
    for processes, batch in [*((1, one) for one in BATCHES), *((2, one) for one in TOGETHER)]:
        found = measured_alone(model, weights_mb, batch) if processes == 1 else measured_together(processes, batch)
        if not rows:
            efficiency = step_flop(shape, batch) / found.cpu_s / found.matmul_flop_s
        rows.append(row_of(shape, batch, processes, found, efficiency))
        whole = Scaling(
            machine=machine,
            answer=ANSWER,
            steps=STEPS - 1,
            parameters=int(shape.parameters),
            trained=int(shape.trained),
            weights_mb=weights_bytes(shape) / 1e6,
            efficiency=efficiency,
            rows=tuple(rows),
            clusters=tuple(on_paper()),
        )
        show(rows[-1:], console)
        save(whole)
    return whole


def show(rows: Sequence[Row], console: Console) -> None:
    """Print predicted and measured side by side."""
    table = Table("processes", "clips × tokens", "checkpointing", "MB", "predicted", "ratio", "s", "predicted", "ratio")
    for row in rows:
        numbers = [f"{row.measured.added_mb:.0f}", f"{row.memory_mb:.0f}", f"{row.memory_ratio:.2f}"]
        numbers += [f"{row.measured.cpu_s:.2f}", f"{row.seconds:.2f}", f"{row.time_ratio:.2f}"]
        table.add_row(str(row.processes), f"{row.clips} × {row.length}", "yes" if row.checkpointing else "no", *numbers)
    console.print(table)


def main() -> None:
    """Measure and print; `--steps` is what the processes of their own run."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--json", type=Path, help="also save the figures there")
    parser.add_argument("--steps", nargs=4, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.steps:
        clips, length, checkpointing, out = options.steps
        one_of_several(Batch(int(clips), int(length), ANSWER, bool(int(checkpointing))), Path(out))
        return

    def save(found: Scaling) -> None:
        if options.json:
            options.json.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")

    console = Console(width=120)
    show(measure(console, save).rows, console)


if __name__ == "__main__":
    main()

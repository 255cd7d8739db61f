"""What a user sees of a run: one line a log, scores at each validation, and bars for the other stages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

T = TypeVar("T")
console = Console(stderr=True)


def working(items: Iterable[T], *, total: int, about: str) -> Iterator[T]:
    """Pass items through while a bar shows how many of `total` are done, and the time left."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=console, transient=total == 0) as progress:
        task = progress.add_task(about, total=total)
        for item in items:
            progress.advance(task)
            yield item


def duration(seconds: float) -> str:
    """Give minutes and seconds as a person reads them."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


class StepReport(TrainerCallback):  # type: ignore[misc]  # untyped library
    """Prints losses by task, learning rate, samples/s and the time left at every log, and validation scores."""

    def __init__(self, a_step: int) -> None:
        self.a_step = a_step
        self._start = 0.0
        self._first = 0

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Start the clock."""
        self._start, self._first = time.perf_counter(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Print one line."""
        if not state.is_world_process_zero or not logs:
            return
        if "loss" in logs:
            done = state.global_step - self._first
            seconds = (time.perf_counter() - self._start) / max(done, 1)
            tasks = " ".join(f"{k[5:]} {v:.3f}" for k, v in logs.items() if k.startswith("loss_"))
            console.print(
                f"step {state.global_step}/{state.max_steps}: loss {logs['loss']:.3f} ({tasks}), "
                f"rate {logs.get('learning_rate', 0.0):.2e}, {self.a_step / seconds:.1f} samples/s, "
                f"{duration(seconds * (state.max_steps - state.global_step))} left"
            )
        elif "eval_war" in logs:
            sources = " ".join(
                f"{k[5:-4]} {v:.3f}"
                for k, v in logs.items()
                if k.startswith("eval_") and k.count("_") > 1 and k.endswith("_uar")
            )
            console.print(
                f"step {state.global_step}: validation WAR {logs['eval_war']:.3f} UAR {logs['eval_uar']:.3f} "
                f"NLL {logs['eval_nll']:.3f} (UAR by source: {sources})"
            )

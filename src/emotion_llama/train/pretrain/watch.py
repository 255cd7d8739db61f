"""What is seen of a run while it goes: one line a log step, reconstruction pictures, TensorBoard."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from PIL import Image
from rich.console import Console
from torch.utils.tensorboard import SummaryWriter
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emotion_llama.errors import OutputError
from emotion_llama.train.pretrain.draws import Sample
from emotion_llama.train.pretrain.pictures import reconstruction_picture


class Lines(TrainerCallback):  # type: ignore[misc]  # the library is untyped
    """Prints loss, held-back loss, learning rate, samples a second and the time left."""

    def __init__(self, console: Console, samples_a_step: int) -> None:
        self._console = console
        self._samples_a_step = samples_a_step
        self._start: tuple[float, int] | None = None

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Remember when and where the run began."""
        self._start = time.perf_counter(), state.global_step

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, float] | None = None,
        **kwargs: Any,
    ) -> None:
        """Print one line."""
        if not state.is_world_process_zero or logs is None:
            return
        head = f"step {state.global_step}/{state.max_steps}"
        if "eval_loss" in logs:
            self._print(f"{head}  held-back loss {logs['eval_loss']:.4f}")
        elif "loss" in logs:
            self._print(f"{head}  loss {logs['loss']:.4f}  rate {logs['learning_rate']:.2e}{self._speed(state)}")

    def _print(self, text: str) -> None:
        self._console.print(text, markup=False, highlight=False)

    def _speed(self, state: TrainerState) -> str:
        if self._start is None or state.global_step == self._start[1]:
            return ""
        seconds_a_step = (time.perf_counter() - self._start[0]) / (state.global_step - self._start[1])
        left = timedelta(seconds=round(seconds_a_step * (state.max_steps - state.global_step)))
        return f"  {self._samples_a_step / seconds_a_step:.1f} samples/s  {left} left"


class Pictures(TrainerCallback):  # type: ignore[misc]  # the library is untyped
    """Draws the same held-back samples after each held-back loss: `folder/step-N.png`, and into TensorBoard."""

    def __init__(self, folder: Path, samples: Sequence[Sample], processor: Any, writer: SummaryWriter) -> None:
        self._folder = folder
        self._samples = samples
        self._processor = processor
        self._writer = writer

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, model: Any = None, **kwargs: Any
    ) -> None:
        """Draw them."""
        if not state.is_world_process_zero:
            return
        picture = reconstruction_picture(model, self._samples, self._processor)
        path = self._folder / f"step-{state.global_step}.png"
        part = path.with_name(f".{path.name}")
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(picture).save(part, format="png")
            part.replace(path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error}); free space and start again") from error
        self._writer.add_image("reconstructions", picture, state.global_step, dataformats="HWC")

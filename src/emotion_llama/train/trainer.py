"""Hugging Face's `Trainer` for this model: adapter checkpoints, losses by task, scores of label questions.

Overridden, checked with transformers 5.23: `get_train_dataloader`'s sampler (the run's own order), `create_optimizer`
and `create_scheduler` (schedule.py), `compute_loss` (loss by task, a stop at NaN), `evaluate` (validate.py), `_save`,
`_load_from_checkpoint`, `_load_best_model` (adapter folders), `_save_checkpoint` (it counts only when it is whole).
Everything else is the library's: gradient accumulation and checkpointing, mixed precision, DDP and FSDP2 through
accelerate, resuming, trackers, early stopping.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import gather_object, save_fsdp_optimizer
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.data import Sampler as TorchSampler
from torch.utils.data import SequentialSampler
from transformers import (
    EarlyStoppingCallback,
    PrinterCallback,
    Trainer,
    TrainerCallback,
    TrainerControl,
    TrainerState,
    TrainingArguments,
)

from emotion_llama.errors import ModelError, OutputError
from emotion_llama.model.checkpoint import adapter_state, fill_adapter, save_adapter
from emotion_llama.model.modeling import IGNORED, EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor, TrainSample
from emotion_llama.model.score import ClipReader
from emotion_llama.train import schedule
from emotion_llama.train.calibrate import calibrate
from emotion_llama.train.config import ScheduleSettings, TrainConfig
from emotion_llama.train.dataset import Samples
from emotion_llama.train.validate import Answered, Scores, answer_together, averaged, by_source

COMPLETE = "complete"
"""A checkpoint folder without this file was not written to its end."""

FULL_DISK = ("PytorchStreamWriter", "inline_container", "iostream error", "write failed")
"""What torch's messages hold when a file cannot be written to its end."""


class Collator:
    """Samples → `model(**batch)` keywords, with the task of each sample for the log."""

    def __init__(self, processor: EmotionLlamaProcessor) -> None:
        self.processor = processor

    def __call__(self, samples: Sequence[TrainSample]) -> dict[str, Any]:
        """Collate one batch."""
        return {**self.processor.for_training(samples), "tasks": [_task(sample) for sample in samples]}


def _task(sample: TrainSample) -> str:
    if sample.question is not None:
        return "question"
    return "text-only" if sample.task == "emotion" and not sample.features and sample.transcript else sample.task


class SameAfterKill(TrainerCallback):  # type: ignore[misc]  # untyped library
    """Makes a run that was killed and started again the same as one that was not.

    Losses are logged with every checkpoint, so that no logged mean spans one; and a run that had stopped early stays
    stopped: the one step that the library takes before it looks is neither scored nor saved.
    """

    stopped = False

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """See whether the checkpoint that is gone on with was the run's last."""
        stored = state.stateful_callbacks.get("TrainerControl", {})
        self.stopped = bool(stored.get("args", {}).get("should_training_stop", False))

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any) -> None:
        """Log with a checkpoint; after the end do nothing."""
        if self.stopped:
            control.should_log = control.should_evaluate = control.should_save = False
            control.should_training_stop = True
        elif control.should_save:
            control.should_log = True


class EmotionTrainer(Trainer):  # type: ignore[misc]  # untyped library
    """Trains projectors and LoRA on a run's samples. `validation`: label questions that choose the best checkpoint."""

    def __init__(
        self,
        model: EmotionLlamaForConditionalGeneration,
        processor: EmotionLlamaProcessor,
        samples: Samples,
        validation: Sequence[TrainSample],
        config: TrainConfig,
        arguments: TrainingArguments,
        callbacks: Sequence[Any] = (),
    ) -> None:
        self.optimizer: Any
        self.lr_scheduler: Any
        self.control: Any
        self.schedule: ScheduleSettings = config.schedule
        self.validation = list(validation)
        self.seed = config.seed
        self.calibrated = config.calibration is not None
        self.reader_processor = processor
        self.task_losses: dict[str, list[float]] = {}
        self.validation_scores: dict[int, dict[str, Scores]] = {}
        patience = config.validation.patience
        more = [EarlyStoppingCallback(early_stopping_patience=patience)] if patience and validation else []
        super().__init__(
            model=model,
            args=arguments,
            train_dataset=samples,
            eval_dataset=self.validation or None,
            data_collator=Collator(processor),
            callbacks=[*callbacks, *more, SameAfterKill()],
        )
        self.remove_callback(PrinterCallback)  # progress.py prints

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Run all steps. Raises `ModelError` saying what to lower when forward or backward runs out of memory."""
        try:
            return super().train(*args, **kwargs)
        except (torch.OutOfMemoryError, MemoryError) as error:
            raise _out_of_memory(error) from error
        except RuntimeError as error:  # the CPU's allocator has no error class of its own
            if "not enough memory" in str(error) or "can't allocate memory" in str(error):
                raise _out_of_memory(error) from error
            raise

    def _get_train_sampler(self, train_dataset: Any = None) -> TorchSampler[int]:
        """The order is the data set's own."""
        return SequentialSampler(self.train_dataset)

    def create_optimizer(self, model: nn.Module | None = None) -> Optimizer:
        """Make the optimizer of schedule.py."""
        if self.optimizer is None:
            self.optimizer = schedule.optimizer(self.model if model is None else model, self.schedule)
        made: Optimizer = self.optimizer
        return made

    def create_scheduler(self, num_training_steps: int, optimizer: Optimizer | None = None) -> Any:
        """Make the scheduler of schedule.py."""
        if self.lr_scheduler is None:
            self.lr_scheduler = schedule.scheduler(self.optimizer if optimizer is None else optimizer, self.schedule)
            self._created_lr_scheduler = True
        return self.lr_scheduler

    def compute_loss(
        self,
        model: nn.Module,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Tensor | int | None = None,
    ) -> Any:
        """Give the loss, and note it by task. Raises `ModelError` naming the clips if it is no number."""
        batch = dict(inputs)
        tasks = batch.pop("tasks")
        loss, outputs = super().compute_loss(model, batch, True, num_items_in_batch)
        if not bool(torch.isfinite(loss)):
            raise ModelError(
                f"step {self.state.global_step + 1}: expected a finite loss, found {float(loss.detach())}; the batch "
                f"holds {', '.join(batch['clip_ids'])}: check these clips, or lower schedule.learning_rate"
            )
        tokens = (batch["labels"][:, 1:] != IGNORED).sum(1)  # (B,)
        for task, nll, count in zip(tasks, outputs["clip_nll"].tolist(), tokens.tolist(), strict=True):
            self.task_losses.setdefault(task, []).append(nll / max(count, 1))
        return (loss, outputs) if return_outputs else loss

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Add the losses by task since the last log to what trackers see."""
        if "loss" in logs:
            found: dict[str, list[float]] = {}
            for part in gather_object([self.task_losses]):  # one a process
                for task, values in part.items():
                    found.setdefault(task, []).extend(values)
            logs |= {f"loss_{task}": sum(values) / len(values) for task, values in sorted(found.items())}
            self.task_losses = {}
        super().log(logs, start_time)

    def evaluate(
        self, eval_dataset: Any = None, ignore_keys: Any = None, metric_key_prefix: str = "eval"
    ) -> dict[str, float]:
        """Score the validation questions: each source's scores, and their mean, which chooses the best checkpoint."""
        model = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        mode = model.training
        state = torch.get_rng_state()
        answers = self.answers(self.validation, orders=1)
        scores = by_source(answers, calibrate(answers, "themselves") if self.calibrated else None)
        torch.set_rng_state(state)
        model.train(mode)
        self.validation_scores[self.state.global_step] = scores
        metrics = {f"{metric_key_prefix}_{name}": value for name, value in averaged(scores).items()}
        for source, found in scores.items():
            metrics |= {f"{metric_key_prefix}_{source}_{name}": found[name] for name in ("war", "uar", "nll")}
        self.log(metrics)
        self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, metrics)
        return metrics

    def answers(self, samples: Sequence[TrainSample], orders: int) -> list[Answered]:
        """Ask label questions under several label orders; every process gives all answers."""
        model = self.accelerator.unwrap_model(self.model, keep_fp32_wrapper=False)
        reader = ClipReader(model, self.reader_processor)
        return answer_together(reader, samples, orders, seed=self.seed, sharded=self.is_fsdp_enabled)

    def save_final(self, folder: Path) -> None:
        """Write the weights as they are now (the best, where a validation chose) into the run's folder."""
        self.save_model(str(folder), _internal_call=True)

    def save_model(self, output_dir: str | None = None, _internal_call: bool = False) -> None:
        """Write an adapter folder; sharded weights are gathered first, and never the frozen ones."""
        state = adapter_state(self.accelerator.unwrap_model(self.model, keep_torch_compile=False))
        self._save(output_dir, state)

    def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
        """Write both; where weights are sharded the library would write the whole base model beside them."""
        if not self.is_fsdp_enabled:
            super()._save_optimizer_and_scheduler(output_dir)
            return
        plugin = self.accelerator.state.fsdp_plugin
        save_fsdp_optimizer(plugin, self.accelerator, self.optimizer, self.model, output_dir)
        if self.args.should_save:
            torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / "scheduler.pt")

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Tensor] | None = None) -> None:
        """Write an adapter folder."""
        if self.args.should_save:
            model = self.accelerator.unwrap_model(self.model, keep_torch_compile=False)
            save_adapter(model, output_dir or self.args.output_dir, state_dict)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: nn.Module | None = None) -> None:
        """Read an adapter folder back into the model."""
        fill_adapter(self.accelerator.unwrap_model(model or self.model), resume_from_checkpoint)

    def _load_best_model(self) -> None:
        """Put the best checkpoint's weights back."""
        if self.state.best_model_checkpoint is not None:
            fill_adapter(self.accelerator.unwrap_model(self.model), self.state.best_model_checkpoint)

    def _save_checkpoint(self, model: nn.Module, trial: Any) -> None:
        """Write a checkpoint, and mark it as whole at the very end; half a checkpoint is taken away again."""
        folder = Path(self.args.output_dir) / f"checkpoint-{self.state.global_step}"
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()  # each process writes a part
            if self.args.should_save:
                (folder / COMPLETE).touch()
        except (OSError, RuntimeError, OutputError) as error:  # torch reports a full disk as one of many RuntimeErrors
            if isinstance(error, RuntimeError) and not any(sign in str(error) for sign in FULL_DISK):
                raise
            shutil.rmtree(folder, ignore_errors=True)
            last = last_checkpoint(Path(self.args.output_dir))
            raise OutputError(
                f"checkpoint {folder} cannot be written: {error}; the last good one is {last or 'none'}: free space "
                "and start the same command again"
            ) from error


def last_checkpoint(folder: Path) -> Path | None:
    """Give the newest checkpoint that was written to its end."""
    found = [path for path in folder.glob("checkpoint-*") if (path / COMPLETE).is_file()]
    return max(found, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def _out_of_memory(error: BaseException) -> ModelError:
    return ModelError(
        "out of memory in a training step: lower schedule.batch_size and raise schedule.accumulate by the same factor, "
        f"or set model.gradient_checkpointing: true, or model.quantize: nf4 on a GPU ({error})"
    )

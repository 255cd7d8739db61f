"""The loop: Hugging Face's `Trainer`, with draws in their own order, whole checkpoints and a watch over the loss."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from torch import Tensor
from transformers import Trainer, TrainingArguments
from transformers.trainer_utils import PREFIX_CHECKPOINT_DIR, rotate_checkpoints

from emotion_llama.errors import ModelError, OutputError
from emotion_llama.train.pretrain.settings import PretrainSettings

PART = "part"
"""A checkpoint lies in this folder until it is whole."""


def arguments(settings: PretrainSettings, folder: Path, resumed: bool) -> TrainingArguments:
    """The library's arguments for these settings; checkpoints go into `folder`."""
    schedule = settings.schedule
    use_cpu = settings.device == "cpu" or not torch.cuda.is_available()
    auto = settings.precision == "auto" and not use_cpu and torch.cuda.is_bf16_supported()
    return TrainingArguments(
        output_dir=str(folder),
        max_steps=schedule.steps,
        per_device_train_batch_size=schedule.batch_size,
        per_device_eval_batch_size=schedule.batch_size,
        gradient_accumulation_steps=schedule.accumulate,
        ddp_find_unused_parameters=False,
        learning_rate=schedule.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=schedule.warmup_steps,
        weight_decay=schedule.weight_decay,
        adam_beta1=schedule.betas[0],
        adam_beta2=schedule.betas[1],
        max_grad_norm=schedule.clip_norm,
        bf16=auto or settings.precision == "bfloat16",
        activation_checkpointing=settings.gradient_checkpointing,
        use_cpu=use_cpu,
        seed=settings.seed,
        train_sampling_strategy="sequential",  # the draws are numbered: their number is their chance
        dataloader_num_workers=schedule.workers,
        remove_unused_columns=False,
        eval_strategy="steps",
        eval_steps=settings.held_back.every,
        eval_on_start=not resumed,
        prediction_loss_only=True,
        logging_steps=settings.log_every,
        logging_first_step=True,
        logging_nan_inf_filter=False,
        save_steps=settings.save_every,
        save_total_limit=settings.keep_checkpoints,
        report_to="none",
        disable_tqdm=True,
    )


class PretrainTrainer(Trainer):  # type: ignore[misc]  # the library is untyped
    """`Trainer` for a net that gives its own loss, on two `Draws`.

    A checkpoint is written beside the others and renamed when whole. Raises `ModelError` at the first loss that is no
    number, before it reaches the weights, and `OutputError` if a checkpoint cannot be written.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self._run_folder = self.args.output_dir
        # the nets take extra keywords but divide no loss by the number of accumulated batches
        self.model_accepts_loss_kwargs = False

    def compute_loss(self, model: Any, inputs: dict[str, Tensor], return_outputs: bool = False, **_: Any) -> Any:
        """Mean loss of a batch."""
        tracks = inputs["track"]
        outputs = model(**{name: value for name, value in inputs.items() if name != "track"})
        if not torch.isfinite(outputs.loss):
            draws = self.train_dataset if self.model.training else self.eval_dataset
            names = sorted({draws.tracks[int(track)].name for track in tracks})
            raise ModelError(
                f"step {self.state.global_step + 1}: the loss is {outputs.loss.item()}, expected a number; the batch "
                f"held {', '.join(names)}; look at these recordings, lower schedule.learning_rate, or set precision to "
                "float32; the last checkpoint is from before"
            )
        return (outputs.loss, outputs) if return_outputs else outputs.loss

    def prediction_step(
        self, model: Any, inputs: dict[str, Tensor], prediction_loss_only: bool, ignore_keys: list[str] | None = None
    ) -> tuple[Tensor, None, None]:
        """The loss of a held-back batch."""
        with torch.no_grad(), self.compute_loss_context_manager():
            loss = self.compute_loss(model, self._prepare_inputs(inputs))
        return loss.detach(), None, None

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        # `save_pretrained` writes the tensor names of the released weights, which only `from_pretrained` reads back:
        # the library's own way would leave every layer of the encoder at its random first values
        kept, info = type(self.model).from_pretrained(
            resume_from_checkpoint, dtype=torch.float32, output_loading_info=True, local_files_only=True
        )
        wrong = sorted(info["missing_keys"]) + sorted(info["unexpected_keys"])
        if wrong:
            raise ModelError(
                f"{resume_from_checkpoint}: tensors do not fit: {', '.join(wrong[:5])}; choose another --out"
            )
        self.model.load_state_dict(kept.state_dict(), strict=True)

    def _get_output_dir(self, trial: Any) -> str:
        return str(self._run_folder)

    def _save_checkpoint(self, model: Any, trial: Any) -> None:
        folder = Path(self.args.output_dir)
        name = f"{PREFIX_CHECKPOINT_DIR}-{self.state.global_step}"
        self._run_folder = str(folder / PART)
        try:
            super()._save_checkpoint(model, trial)
            self.accelerator.wait_for_everyone()
            if self.args.should_save:
                (folder / PART / name).rename(folder / name)
                shutil.rmtree(folder / PART)
                rotate_checkpoints(str(folder), self.args.save_total_limit)
        except (OSError, SafetensorError, RuntimeError) as error:  # torch tells a full disk as RuntimeError
            shutil.rmtree(folder / PART, ignore_errors=True)
            raise OutputError(
                f"{folder / name}: the checkpoint cannot be written ({error}); free space and start again: the run "
                "goes on from the last whole checkpoint"
            ) from error
        finally:
            self._run_folder = self.args.output_dir

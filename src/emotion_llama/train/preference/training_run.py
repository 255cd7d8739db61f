"""One training around a TRL trainer: identity, going on after a kill, held-back rewards, adapter folder, record."""

from __future__ import annotations

import hashlib
import json
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, is_dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import PartialState
from pydantic import BaseModel
from torch.utils.tensorboard import SummaryWriter
from transformers import PrinterCallback, Trainer
from transformers.integrations import TensorBoardCallback

from emotion_llama.environment import git_commit, versions
from emotion_llama.errors import ModelError, UsageError
from emotion_llama.model.checkpoint import adapter_sha256, fill_adapter, save_adapter
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor
from emotion_llama.train.preference.answers import mean_rewards
from emotion_llama.train.preference.arguments import CHECKPOINTS
from emotion_llama.train.preference.facts import VerifiableSample
from emotion_llama.train.preference.policy import as_policy, require_finite_weights
from emotion_llama.train.preference.report import StepReport
from emotion_llama.train.preference.settings import PreferenceSettings
from emotion_llama.train.record import write_json

RECORD = "preference.json"
"""Written last: its presence means that the steps are done."""
STARTED = "preference.started.json"
"""Written first: what the run is, so that only the same one goes on from its checkpoints."""
SCHEMA = "1"
PACKAGES = ("emotion-llama", "torch", "transformers", "trl", "peft", "accelerate", "numpy")


LOGGING = {"report_to", "save_total_limit", "disable_tqdm"}
"""Options of TRL that decide nothing but what is seen and kept."""


class _Scalars(TensorBoardCallback):  # type: ignore[misc]  # untyped library
    """TensorBoard without the rewards that applied to no answer of a batch."""

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any] | None = None, **kwargs: Any) -> None:
        known = {name: value for name, value in (logs or {}).items() if value is not None}
        super().on_log(args, state, control, logs=known, **kwargs)


@dataclass(frozen=True)
class TrainingRun:
    """What every method needs: the model as given, settings, the run's folder, held-back samples."""

    method: str
    model: EmotionLlamaForConditionalGeneration
    processor: EmotionLlamaProcessor
    settings: PreferenceSettings
    out: Path
    seed: int
    validation: Sequence[VerifiableSample]

    def run(self, make_trainer: Callable[[], Trainer], *, data: dict[str, Any]) -> dict[str, Any]:
        """Train with the trainer that `make_trainer` gives and write everything into `out`; gives the record."""
        start = time.perf_counter()
        identity = {
            "schema": SCHEMA,
            "method": self.method,
            "seed": self.seed,
            "settings": self.settings.model_dump(mode="json", exclude={"trl": LOGGING}),
            "data": {**data, "validation": len(self.validation), "validation_sha256": sha256_of(self.validation)},
            "start_sha256": weights_sha256(self.model),
        }
        state = PartialState()
        finished = self._begin(identity, state)
        if finished is not None:
            fill_adapter(self.model, self.out)
            return finished
        last = last_checkpoint(self.out / CHECKPOINTS)
        before = self._held_back()
        steps = self._train(make_trainer, last)
        require_finite_weights(self.model)
        if state.is_main_process:
            save_adapter(self.model, self.out)
        state.wait_for_everyone()
        record = {
            **identity,
            "versions": versions(PACKAGES),
            "git_commit": git_commit(),
            "steps": steps,
            "validation": {"before": before, "after": self._held_back()},
            "resumed_from": None if last is None else Path(last).name,
            "seconds": round(time.perf_counter() - start, 1),
            "peak_memory_mb": peak_memory_mb(),
            "adapter_sha256": adapter_sha256(self.out),
        }
        if state.is_main_process:
            write_json(self.out / RECORD, record)
        return record

    def _train(self, make_trainer: Callable[[], Trainer], last: str | None) -> list[dict[str, Any]]:
        """Run the steps, from checkpoint `last` where there is one; gives what each logged.

        Raises `ModelError` saying what to lower when a step runs out of memory.
        """
        with as_policy(self.model):
            trainer = make_trainer()
            if trainer.pop_callback(TensorBoardCallback) is not None:
                trainer.add_callback(_Scalars(SummaryWriter(str(self.out / "tensorboard"))))
            trainer.remove_callback(PrinterCallback)
            trainer.add_callback(StepReport())
            try:
                trainer.train(resume_from_checkpoint=last)
            except (torch.OutOfMemoryError, MemoryError) as error:
                raise ModelError(
                    "out of memory in a training step: lower trl.per_device_train_batch_size and raise "
                    "trl.gradient_accumulation_steps by the same factor, or set model.gradient_checkpointing: true, or "
                    f"model.quantize: nf4 on a GPU ({error})"
                ) from error
            return [_plain(row) for row in trainer.state.log_history if "loss" in row]

    def _held_back(self) -> dict[str, float | int] | None:
        """Mean rewards on the held-back samples, `None` if there are none."""
        if not self.validation:
            return None
        return mean_rewards(self.model, self.processor, self.validation, self.settings)

    def _begin(self, identity: dict[str, Any], state: PartialState) -> dict[str, Any] | None:
        """Write what this run is; gives the record if it is done. Raises `UsageError` if `out` holds another run."""
        for name, about in ((RECORD, "a finished"), (STARTED, "an unfinished")):
            going_on = name == RECORD or last_checkpoint(self.out / CHECKPOINTS) is not None
            if not (self.out / name).is_file() or not going_on:
                continue
            before: dict[str, Any] = json.loads((self.out / name).read_text(encoding="utf-8"))
            different = sorted(key for key in identity if before.get(key) != identity[key])
            if different:
                raise UsageError(
                    f"{self.out}: holds {about} run with other {', '.join(different)} ({name}); "
                    "choose another folder, or give it the same configuration, data and starting weights"
                )
            return before if name == RECORD else None
        if state.is_main_process:  # nothing of an earlier attempt is worth keeping
            write_json(self.out / STARTED, identity)
        return None


def last_checkpoint(folder: Path) -> str | None:
    """Give the newest whole checkpoint: the trainer writes its state file last, so one without it was cut short."""
    steps = {int(path.parent.name.rpartition("-")[2]): path.parent for path in folder.glob("*-*/trainer_state.json")}
    return str(steps[max(steps)]) if steps else None


def sha256_of(value: Any) -> str:
    """Hash samples, pairs or plain values by content: arrays by their bytes, records by their fields."""
    digest = hashlib.sha256()
    _feed(digest, value)
    return digest.hexdigest()


def weights_sha256(model: EmotionLlamaForConditionalGeneration) -> str:
    """Hash LoRA and projectors as they are now (float32)."""
    trained = {n: p for n, p in model.named_parameters() if ".lora_" in n or n.startswith("projectors.")}
    return sha256_of({name: value.detach().float().cpu().numpy() for name, value in sorted(trained.items())})


def peak_memory_mb() -> int:
    """Largest memory of this process so far, in MB: the GPU's where there is one, else the resident set."""
    if torch.cuda.is_available():
        return round(torch.cuda.max_memory_allocated() / 1e6)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(used / 1e6 if sys.platform == "darwin" else used / 1e3)  # bytes there, kilobytes elsewhere


def _feed(digest: Any, value: Any) -> None:
    if isinstance(value, np.ndarray):
        digest.update(f"{value.shape}{value.dtype}".encode() + np.ascontiguousarray(value).tobytes())
    elif isinstance(value, BaseModel):
        digest.update(value.model_dump_json().encode())
    elif is_dataclass(value) and not isinstance(value, type):
        _feed(digest, {name: getattr(value, name) for name in value.__dataclass_fields__})
    elif isinstance(value, dict):
        for key in sorted(value):
            digest.update(f"{key!r}:".encode())
            _feed(digest, value[key])
    elif isinstance(value, (list, tuple)):
        digest.update(f"[{len(value)}".encode())
        for item in value:
            _feed(digest, item)
    elif isinstance(value, frozenset):
        _feed(digest, sorted(value))
    else:
        digest.update(f"{value!r};".encode())


def _plain(row: dict[str, Any]) -> dict[str, Any]:
    """One logged step without what only says how fast it went."""
    skipped = ("epoch", "step_time", "num_tokens")
    kept = {key: round(value, 6) if isinstance(value, float) else value for key, value in row.items()}
    return {"step": row["step"], **{k: v for k, v in kept.items() if k not in skipped and "length" not in k}}

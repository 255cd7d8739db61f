"""What a user sees of preference and reward training: a line every few steps, and the time left."""

from __future__ import annotations

import time
from typing import Any

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from emotion_llama.train.progress import console, duration

EVERY = 10
"""Steps between two lines; the first and the last step always have one."""

_SHOWN = {
    "loss": "loss",
    "reward": "reward",
    "rewards/accuracies": "preferred",
    "rewards/margins": "margin",
    "kl": "kl",
}


class StepReport(TrainerCallback):  # type: ignore[misc]  # untyped library
    """Prints the loss, rewards one by one, the learning rate and the time left."""

    def __init__(self) -> None:
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
        step, last = state.global_step, state.max_steps
        if not state.is_world_process_zero or not logs or "loss" not in logs:
            return
        if step % EVERY == 0 or step in (1, last):
            seconds = (time.perf_counter() - self._start) / max(step - self._first, 1)
            rate = logs.get("learning_rate", 0.0)
            console.print(
                f"step {step}/{last}: {', '.join(shown(logs))}, rate {rate:.2e}, "
                f"{duration(seconds * (last - step))} left"
            )


def shown(logs: dict[str, Any]) -> list[str]:
    """Give what is worth a line of one step's log: "loss 0.612", "reward 0.81", "label_match 0.500"."""
    named = _SHOWN | {key: key.split("/")[1] for key in logs if key.startswith("rewards/") and key.endswith("/mean")}
    return [f"{word} {logs[key]:.3f}" for key, word in named.items() if logs.get(key) is not None]

"""Learning rates: ours, and the released training code's to the letter."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.optim import AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from emotion_llama.train.config import ScheduleSettings


def learning_rate(settings: ScheduleSettings, step: int) -> float:
    """Give the learning rate of step `step` (from 0).

    "official": the released code's `LinearWarmupCosineLRScheduler` (official configuration `lr_sched:
    linear_warmup_cosine_lr`): the cosine runs over all steps, warm-up included, so the rate falls a little where the
    warm-up ends; the warm-up counts steps inside the epoch.
    """
    top = settings.learning_rate
    if settings.shape == "official":
        within = step % (settings.steps_an_epoch or settings.steps)
        if step < settings.warmup_steps:
            start = settings.warmup_learning_rate
            return min(top, start + (top - start) * within / max(settings.warmup_steps, 1))
        low = settings.min_learning_rate
        return low + (top - low) * 0.5 * (1.0 + math.cos(math.pi * step / settings.steps))
    if step < settings.warmup_steps:
        return top * (step + 1) / settings.warmup_steps
    if settings.shape == "constant":
        return top
    done = (step - settings.warmup_steps) / max(1, settings.steps - settings.warmup_steps)
    return top * (settings.min_share + (1 - settings.min_share) * 0.5 * (1 + math.cos(math.pi * min(done, 1.0))))


def scheduler(optimizer: Optimizer, settings: ScheduleSettings) -> LambdaLR:
    """Make the scheduler; groups with a rate of their own follow the same course."""
    return LambdaLR(optimizer, lambda step: learning_rate(settings, step) / settings.learning_rate)


def optimizer(model: nn.Module, settings: ScheduleSettings) -> AdamW:
    """Make AdamW over the trained parameters: projectors may have their own rate; no decay for biases and 1-D."""
    groups: dict[tuple[bool, bool], list[nn.Parameter]] = {}
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            plain = settings.decay_exempt and (parameter.ndim < 2 or name.endswith("bias"))
            groups.setdefault((".projectors." in f".{name}", plain), []).append(parameter)
    projector_rate = settings.projector_learning_rate or settings.learning_rate
    made: list[dict[str, Any]] = [
        {
            "params": parameters,
            "lr": projector_rate if projects else settings.learning_rate,
            "weight_decay": 0.0 if plain else settings.weight_decay,
        }
        for (projects, plain), parameters in groups.items()
    ]
    return AdamW(made, lr=settings.learning_rate, betas=settings.betas)

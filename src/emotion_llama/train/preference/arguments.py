"""Our settings as TRL's configuration: options passed through, checked, and a few that would break features refused."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch

from emotion_llama.errors import UsageError
from emotion_llama.train.preference.settings import PreferenceSettings

CHECKPOINTS = "checkpoints"
"""Folder below the run's folder with the checkpoints that a killed run goes on from."""

_OURS = {
    "output_dir": "out",
    "max_steps": "steps",
    "num_train_epochs": "steps",
    "seed": "seed",
    "data_seed": "seed",
    "gradient_checkpointing": "model.gradient_checkpointing",
    "save_steps": "save_every",
    "save_strategy": "save_every",
    "reward_weights": "rewards.weights",
}
_REFUSED = {
    "max_length": "prompts hold soft tokens and are never cut; a clip that is too long is named",
    "model_init_kwargs": "the model is loaded already",
    "remove_unused_columns": "features would be dropped",
    "precompute_ref_log_probs": "it is always on: the reference is the starting weights, projectors included",
    "sync_ref_model": "the reference never moves",
    "shuffle_dataset": "the order is drawn once, so that a resumed run goes on with it",
    "use_vllm": "it cannot read soft tokens",
    "use_transformers_continuous_batching": "it cannot read soft tokens",
    "cast_lm_head_to_fp32": "the head is frozen and belongs to the language model",
    "eval_strategy": "held-back rewards are measured before and after",
    "load_best_model_at_end": "held-back rewards are measured before and after",
    "push_to_hub": "use emotion-llama export hub",
    "log_completions_hub_repo": "answers about people are not uploaded",
    "fsdp": "only one process or DDP is supported here",
    "deepspeed": "only one process or DDP is supported here",
}
_DEFAULTS: dict[str, Any] = {
    "learning_rate": 5e-5,  # TRL's own 1e-6 is meant for all weights, here a few low-rank ones move
    "gradient_checkpointing": False,  # the model comes set up as model.gradient_checkpointing says
    "disable_dropout": True,  # with it the policy would differ from itself between sampling and scoring
    "report_to": "tensorboard",
    "logging_steps": 1,
    "disable_tqdm": True,
    "ddp_find_unused_parameters": True,  # a batch may hold no clip with a feature group
    "save_total_limit": 2,
}


def trl_arguments(kind: type[Any], settings: PreferenceSettings, out: Path, forced: Mapping[str, Any]) -> Any:
    """Make TRL's configuration of the class `kind` from `settings.trl`, our defaults below it and `forced` above it.

    Raises `UsageError` for an option that this version of TRL does not know (with the nearest one), that is set
    elsewhere, that does not work with features, or for values that TRL refuses.
    """
    known = {f.name: str(f.type) for f in fields(kind)}
    for name in settings.trl:
        if name in _OURS:
            raise UsageError(f"trl.{name}: set {_OURS[name]} instead")
        if name in _REFUSED or name.startswith("vllm_"):
            raise UsageError(f"trl.{name}: cannot be set, {_REFUSED.get(name, _REFUSED['use_vllm'])}")
        if name not in known:
            near = get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise UsageError(f"trl.{name}: {kind.__name__} of the installed TRL has no such option{hint}")
    saving = {"save_strategy": "steps", "save_steps": settings.save_every} if settings.save_every else {}
    given = {
        "bf16": torch.cuda.is_available(),
        "use_cpu": not torch.cuda.is_available(),
        "dataloader_pin_memory": torch.cuda.is_available(),
        **_DEFAULTS,
        "save_strategy": "no",
        **saving,
        **{name: _number(name, value, known[name]) for name, value in settings.trl.items()},
        "output_dir": str(out / CHECKPOINTS),
        "max_steps": settings.steps,
        "remove_unused_columns": False,
        **forced,
    }
    try:
        return kind(**given)
    except (ValueError, TypeError) as error:
        raise UsageError(f"trl: {kind.__name__} refuses these options: {error}") from error


def _number(name: str, value: Any, kind: str) -> Any:
    """Read "1e-4", which YAML takes for a word, as the number that the option wants."""
    if not isinstance(value, str) or "float" not in kind or "str" in kind:
        return value
    try:
        return float(value)
    except ValueError as error:
        raise UsageError(f"trl.{name}: expected a number, found {value!r}") from error

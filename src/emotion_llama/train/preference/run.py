"""The stage of a training run that prefers or rewards: questions from the run's examples, then DPO or GRPO."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from accelerate import PartialState
from datasets import disable_progress_bars
from transformers.utils import logging as library_logging

from emotion_llama.errors import UsageError
from emotion_llama.train.build import Trainee
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.material import Material
from emotion_llama.train.preference.dpo import train_dpo
from emotion_llama.train.preference.grpo import train_grpo
from emotion_llama.train.preference.pairs import FILE, Pair, among, pairs_from_samples, read_pairs, write_pairs
from emotion_llama.train.preference.questions import draw_questions, finder
from emotion_llama.train.preference.report import EVERY
from emotion_llama.train.preference.settings import PreferenceSettings
from emotion_llama.train.progress import console

_SHARDED = ("ACCELERATE_USE_FSDP", "ACCELERATE_USE_DEEPSPEED")
_KEPT = ("data", "start_sha256", "steps", "validation", "resumed_from", "seconds", "peak_memory_mb")


def run_preference(config: TrainConfig, trainee: Trainee, material: Material, out: Path) -> dict[str, Any]:
    """Train by `config.method`; writes the adapter and `preference.json` into `out`, gives facts for `training.json`.

    The trainee's model is left trained. A run that was killed goes on; one whose steps are done is read back. Raises
    `UsageError` for a setting or folder that does not fit, `ManifestError` for pairs that cannot be read, `ModelError`
    for a loss that is not finite.
    """
    _require_whole_weights()
    assert config.preference is not None  # the settings check it
    library_logging.set_verbosity_error()
    disable_progress_bars()  # of TRL's small tables; what takes long is the computing of references, whose bar stays
    settings = _with_logging(config, config.preference)
    asked = (trainee.model, trainee.processor)
    held_back = draw_questions(config, material, "validation", settings.questions_validation)
    if config.method == "grpo":
        samples = draw_questions(config, material, "train", settings.questions)
        console.print(f"{len(samples)} questions, {len(held_back)} held back")
        record = train_grpo(*asked, samples, settings, out, seed=config.seed, validation=held_back)
    else:
        with PartialState().main_process_first():
            pairs = _pairs(config, trainee, material, settings, out)
        console.print(f"{len(pairs)} pairs, {len(held_back)} questions held back")
        record = train_dpo(*asked, pairs, settings, out, seed=config.seed, validation=held_back)
    return {
        "scores": [
            _score(row) for row in record["steps"] if row["step"] % EVERY == 0 or row["step"] in (1, settings.steps)
        ],
        "best": None,
        "preference": {name: record[name] for name in _KEPT},
    }


def _score(row: dict[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("step", "loss", "learning_rate") if name in row}


def _require_whole_weights() -> None:
    for name in _SHARDED:
        if os.environ.get(name, "").lower() in ("1", "true"):
            raise UsageError(
                f"{name}: preference training runs in one process or under DDP; launch it without sharding"
            )


def _with_logging(config: TrainConfig, settings: PreferenceSettings) -> PreferenceSettings:
    """The run's trackers and number of kept checkpoints, where TRL's options do not name others."""
    own = {"report_to": list(config.trackers) or "none", "save_total_limit": config.keep_checkpoints}
    return settings.model_copy(update={"trl": own | settings.trl})


def _pairs(
    config: TrainConfig, trainee: Trainee, material: Material, settings: PreferenceSettings, out: Path
) -> list[Pair]:
    """Read the user's pairs, or those this run made before; else make and write them."""
    if settings.pairs.file is not None:
        return read_pairs(Path(config.data.root) / settings.pairs.file, finder(config, material))
    samples = draw_questions(config, material, "train", settings.questions)
    if (out / FILE).is_file():
        return read_pairs(out / FILE, among([sample.sample for sample in samples]))
    pairs = pairs_from_samples(samples, trainee.model, trainee.processor, settings, config.seed)
    write_pairs(pairs, out / FILE)
    return pairs

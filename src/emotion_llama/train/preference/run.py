"""A preference or reward training from one YAML file: manifests of words and observations in, adapter folder out.

The clips' words and measured observations are read as they stand in the manifest. Encoder features come in where
`train_dpo` and `train_grpo` are called with samples that have them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, Self

import torch
from pydantic import model_validator

from emotion_llama import assets
from emotion_llama.analyze.preset import choose_device, choose_dtype, load_preset
from emotion_llama.clip import TASKS, Task
from emotion_llama.errors import ManifestError
from emotion_llama.labels import parse_label_set
from emotion_llama.manifest import read_manifest
from emotion_llama.model.checkpoint import load_adapter
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor
from emotion_llama.settings import Settings
from emotion_llama.train.overrides import read_config
from emotion_llama.train.preference.arguments import CHECKPOINTS
from emotion_llama.train.preference.facts import VerifiableSample, samples_from_clips
from emotion_llama.train.preference.pairs import FILE, Pair, pairs_from_samples, read_pairs, write_pairs
from emotion_llama.train.preference.settings import PreferenceSettings
from emotion_llama.train.preference.training_run import last_checkpoint


class PreferenceRun(Settings):
    """One file of `configs/preference/`.

    `model`: preset or checkpoint folder to go on from; `llm`: folder of its language model (default: the asset that the
    checkpoint names). `train`, `validation`: manifests; no speaker may be in both. `labels`: the asked set, or "open".
    `pairs`: the user's own pairs for `dpo` (JSON lines: clip, task, chosen, rejected); without it they are made and
    written to `out`.
    """

    method: Literal["dpo", "grpo"]
    out: Path
    model: str = "nano"
    llm: Path | None = None
    device: str = "auto"
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    train: Path
    validation: Path | None = None
    labels: str = "mer9"
    tasks: tuple[Task, ...] = ("emotion", "reason")
    pairs: Path | None = None
    preference: PreferenceSettings = PreferenceSettings()

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not self.tasks or any(task not in TASKS for task in self.tasks):
            raise ValueError(f"tasks: choose from {', '.join(TASKS)}")
        if self.pairs is not None and self.method != "dpo":
            raise ValueError("pairs: only method dpo reads pairs; leave it out, or choose dpo")
        return self


def run(config_path: Path, overrides: Sequence[str] = ()) -> dict[str, Any]:
    """Run one configuration file with `key=value` overrides; gives the record (`preference.json`).

    A run that was killed goes on when it is started again. Raises `UsageError` for a setting or folder that does not
    fit, `ManifestError` for clips or pairs that cannot be read or a speaker on both sides, `ModelError` for a
    checkpoint that does not fit and a loss that is not finite.
    """
    from emotion_llama.train.preference.dpo import train_dpo
    from emotion_llama.train.preference.grpo import train_grpo

    config = read_config(PreferenceRun, config_path, overrides)
    samples, held_back = _sides(config)
    model, processor = _load(config)
    settings, out = config.preference, config.out
    if config.method == "grpo":
        return train_grpo(model, processor, samples, settings, out, validation=held_back, resume=True)
    pairs = _pairs(config, samples, model, processor)
    return train_dpo(model, processor, pairs, settings, out, validation=held_back, resume=True)


def _sides(config: PreferenceRun) -> tuple[list[VerifiableSample], list[VerifiableSample]]:
    labels, seed = parse_label_set(config.labels), config.preference.seed
    clips = read_manifest(config.train)
    if config.validation is None:
        return samples_from_clips(clips, labels, config.tasks, seed), []
    held_back = read_manifest(config.validation)
    _require_apart(config, {c.speaker for c in clips}, {c.speaker for c in held_back})
    return (
        samples_from_clips(clips, labels, config.tasks, seed),
        samples_from_clips(held_back, labels, config.tasks, seed),
    )


def _require_apart(config: PreferenceRun, train: set[str | None], validation: set[str | None]) -> None:
    both = sorted(name for name in train & validation if name is not None)
    if both:
        raise ManifestError(
            f"{config.validation}: expected other speakers than in {config.train}, found {', '.join(both[:5])} in "
            "both; rewards on people the model learned from say nothing about new ones"
        )


def _load(config: PreferenceRun) -> tuple[EmotionLlamaForConditionalGeneration, EmotionLlamaProcessor]:
    preset = load_preset(config.model, device=config.device, dtype=config.dtype, threads=None)
    llm = config.llm if config.llm is not None else assets.path(preset.config().llm)
    device = choose_device(config.device)
    dtype: torch.dtype = choose_dtype(config.dtype, device)
    model = load_adapter(preset.folder, llm, device=device, dtype=dtype, merge=False)
    return model, EmotionLlamaProcessor.from_pretrained(llm, model.config)


def _pairs(
    config: PreferenceRun,
    samples: Sequence[VerifiableSample],
    model: EmotionLlamaForConditionalGeneration,
    processor: EmotionLlamaProcessor,
) -> list[Pair]:
    """Read the user's pairs, or those this run made before it was killed; else make and write them."""
    made = config.out / FILE
    asked = [sample.sample for sample in samples]
    if config.pairs is not None:
        return read_pairs(config.pairs, asked)
    if made.exists() and last_checkpoint(config.out / CHECKPOINTS) is not None:
        return read_pairs(made, asked)
    pairs = pairs_from_samples(samples, model, processor, config.preference)
    write_pairs(pairs, made)
    return pairs

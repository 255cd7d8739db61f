"""The training loop: projectors and LoRA on label-matched combinations, everything else frozen."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import torch
from rich.console import Console
from torch import nn

from emotion_llama import assets
from emotion_llama.encoders.face_tokens import LOCAL_WIDTH
from emotion_llama.encoders.heads import EmotionHead
from emotion_llama.errors import ModelError
from emotion_llama.labels import canonical
from emotion_llama.model.checkpoint import new_model
from emotion_llama.model.configuration import EmotionLlamaConfig, FeatureGroup, Lora
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor, TrainSample
from emotion_llama.model.projector import Projector
from emotion_llama.model.score import ClipReader
from emotion_llama.train.combine import Combiner
from emotion_llama.train.config import NanoTraining

LLM = "smollm2-135m-instruct"
HEAD_GROUPS = ("face_emotion", "voice_emotion")
BUCKET = 8
"""Batches that are drawn together and sorted by length, so that a batch pads little."""


@dataclass(frozen=True)
class Trainee:
    """The model in training with its processor."""

    model: EmotionLlamaForConditionalGeneration
    processor: EmotionLlamaProcessor


def feature_groups(heads: dict[str, EmotionHead]) -> tuple[FeatureGroup, ...]:
    """The feature groups of `nano`, in prompt order."""
    return (
        FeatureGroup("global", 1280, 1, "video"),
        FeatureGroup("local", LOCAL_WIDTH, 2, "video"),
        FeatureGroup("temporal", 36, 4, "video"),
        FeatureGroup("face_emotion", len(heads["face_emotion"].labels), 1, "video"),
        FeatureGroup("audio", 512, 4, "audio"),
        FeatureGroup("voice_emotion", len(heads["voice_emotion"].labels), 1, "audio"),
    )


def build(config: NanoTraining, heads: dict[str, EmotionHead], samples: Sequence[TrainSample]) -> Trainee:
    """Make the model: standardisation from `samples`, head projectors started as mixtures of label words."""
    torch.manual_seed(config.seed)
    folder = assets.path(LLM)
    lora = Lora(config.lora_rank, config.lora_alpha, config.lora_dropout)
    model_config = EmotionLlamaConfig.for_llm(folder, feature_groups(heads), lora=lora, llm=LLM)
    model = new_model(model_config, folder, lora, dtype=torch.bfloat16)
    processor = EmotionLlamaProcessor.from_pretrained(folder, model.config)
    for name, module in model.projectors.items():
        projector = cast(Projector, module)
        if name in HEAD_GROUPS:
            _start_from_words(model, processor, name, heads[name].labels)
        else:
            rows = torch.from_numpy(np.concatenate([s.features[name] for s in samples if name in s.features]))
            projector.standardise(rows.mean(dim=0), rows.std(dim=0))
    return Trainee(model, processor)


@torch.no_grad()
def _start_from_words(
    model: EmotionLlamaForConditionalGeneration, processor: EmotionLlamaProcessor, name: str, labels: Sequence[str]
) -> None:
    """Start a head's projector so that its soft token is the expected embedding of the label word."""
    words = cast(nn.Embedding, model.get_input_embeddings()).weight
    columns = [words[processor.answer_ids(label)].float().mean(dim=0) for label in labels]
    layer = cast(nn.Linear, cast(Projector, model.projectors[name]).layers[-1])
    layer.weight.copy_(torch.stack(columns, dim=1))  # (D, K)
    layer.bias.zero_()


def train(
    trainee: Trainee, config: NanoTraining, combiner: Combiner, checks: Sequence[TrainSample]
) -> list[dict[str, float]]:
    """Run the steps; gives the log (step, loss, validation accuracy) and leaves the model in its last state."""
    model, console = trainee.model.train(), Console(stderr=True)
    optimizer = _optimizer(model, config)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _warm_cosine(step, config))
    log: list[dict[str, float]] = []
    start, losses = time.perf_counter(), []
    for step, samples in enumerate(_batches(combiner, config), start=1):
        batch = trainee.processor.for_training([_noisy(s, trainee, config, combiner.numbers) for s in samples])
        loss = model(**batch).loss
        if not torch.isfinite(loss):
            clips = ", ".join(s.clip for s in samples)
            raise ModelError(
                f"step {step}: expected a finite loss, found {float(loss.detach())}; "
                f"lower learning_rate or check the clips {clips}"
            )
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for p in model.parameters() if p.requires_grad], 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        losses.append(float(loss.detach()))
        if step % config.validate_every == 0 or step == config.steps:
            accuracy = validate(trainee, checks)
            seconds = (time.perf_counter() - start) / step
            log.append({"step": step, "loss": float(np.mean(losses)), "validation": accuracy, "s_per_step": seconds})
            console.print(f"step {step}: loss {np.mean(losses):.3f}, validation {accuracy:.3f}, {seconds:.2f} s a step")
            losses = []
            model.train()
    return log


def _optimizer(model: EmotionLlamaForConditionalGeneration, config: NanoTraining) -> torch.optim.Optimizer:
    trained = {name: p for name, p in model.named_parameters() if p.requires_grad}
    projectors = [p for name, p in trained.items() if name.startswith("projectors.")]
    lora = [p for name, p in trained.items() if not name.startswith("projectors.")]
    groups = [
        {"params": projectors, "lr": config.projector_learning_rate},
        {"params": lora, "lr": config.learning_rate},
    ]
    return torch.optim.AdamW(groups, weight_decay=config.weight_decay)


def _warm_cosine(step: int, config: NanoTraining) -> float:
    if step < config.warmup_steps:
        return (step + 1) / config.warmup_steps
    done = (step - config.warmup_steps) / max(1, config.steps - config.warmup_steps)
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * done))


def _batches(combiner: Combiner, config: NanoTraining) -> Iterator[list[TrainSample]]:
    for start in range(0, config.steps, BUCKET):
        count = min(BUCKET, config.steps - start)
        drawn = [combiner.draw() for _ in range(count * config.batch_size)]
        drawn.sort(
            key=lambda s: (s.task != "emotion", len(s.answer) + sum(map(len, s.clues)) + len(s.transcript or ""))
        )
        batches = [drawn[i * config.batch_size : (i + 1) * config.batch_size] for i in range(count)]
        combiner.rng.shuffle(batches)
        yield from batches


def _noisy(sample: TrainSample, trainee: Trainee, config: NanoTraining, rng: np.random.Generator) -> TrainSample:
    """Add noise, in units of each column's spread, to the encoder features (not to head outputs)."""
    noisy = dict(sample.features)
    for name, rows in sample.features.items():
        if name not in HEAD_GROUPS:
            spread = cast(Projector, trainee.model.projectors[name]).std.numpy()
            noisy[name] = (rows + rng.normal(0, config.feature_noise, rows.shape) * spread).astype(np.float32)
    return TrainSample(sample.clip, sample.task, sample.labels, sample.transcript, sample.answer, noisy, sample.clues)


def validate(trainee: Trainee, checks: Sequence[TrainSample]) -> float:
    """Give the share of `checks` (closed label sets) whose likeliest label, in one order, is the right one."""
    reader = ClipReader(trainee.model, trainee.processor)
    hits = 0
    for sample in checks:
        scores = reader.score(reader.read(sample.features, sample.transcript), sample.labels, orders=1)
        hits += canonical(sample.labels[int(scores.mean.argmax())]) == canonical(sample.answer)
    return hits / len(checks)

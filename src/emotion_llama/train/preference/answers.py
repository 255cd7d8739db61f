"""Answers that the model in training writes, and what they are worth."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from accelerate.utils import send_to_device

from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor, TrainSample
from emotion_llama.train.preference.facts import VerifiableSample
from emotion_llama.train.preference.rewards import score, total
from emotion_llama.train.preference.settings import PreferenceSettings

TOTAL = "reward"
"""The weighted sum of all rewards, as TRL's logs name it."""


@torch.no_grad()
def write_answers(
    model: EmotionLlamaForConditionalGeneration,
    processor: EmotionLlamaProcessor,
    samples: Sequence[TrainSample],
    settings: PreferenceSettings,
    *,
    temperature: float = 0.0,
    seed: int = 0,
) -> list[str]:
    """Write one answer to each sample: greedy, or sampled with `seed` at a temperature above 0.

    The model is put in evaluation mode; the program's own random state is left as it was.
    """
    model.eval()
    options = {
        "max_new_tokens": settings.max_new_tokens,
        "eos_token_id": processor.end_id,
        "pad_token_id": processor.pad_id,
        # a written placeholder would ask for features that no clip has
        "suppress_tokens": [processor.config.placeholder_token_id],
        "do_sample": temperature > 0,
        **({"temperature": temperature, "top_k": 0} if temperature > 0 else {}),
    }
    texts: list[str] = []
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        for start in range(0, len(samples), settings.batch_size_validation):
            batch = processor.for_generation(samples[start : start + settings.batch_size_validation])
            width = batch["input_ids"].shape[1]
            ids = model.generate(**send_to_device(batch, model.device), **options)[:, width:]
            texts += [processor.decode(answer_tokens(row, processor.end_id)) for row in ids.tolist()]
    return texts


def answer_tokens(ids: Sequence[int], end_id: int) -> list[int]:
    """Cut generated tokens after the first end token, which is kept."""
    row = list(ids)
    return row[: row.index(end_id) + 1] if end_id in row else row


def mean_rewards(
    model: EmotionLlamaForConditionalGeneration,
    processor: EmotionLlamaProcessor,
    samples: Sequence[VerifiableSample],
    settings: PreferenceSettings,
) -> dict[str, float | int]:
    """Give the mean of every reward, and of their weighted sum, over greedy answers to held-back samples.

    Each mean is over the samples that its reward applies to; `n` counts all.
    """
    texts = write_answers(model, processor, [s.sample for s in samples], settings)
    values: dict[str, list[float]] = defaultdict(list)
    for text, sample in zip(texts, samples, strict=True):
        scores = score(text, sample.facts, settings.rewards)
        for name, value in [*scores.items(), (TOTAL, total(scores, settings.rewards))]:
            if value is not None:
                values[name].append(value)
    return {name: round(float(np.mean(found)), 6) for name, found in sorted(values.items())} | {"n": len(samples)}

"""Group-relative policy optimisation (Shao et al. 2024) with soft tokens, by TRL's `GRPOTrainer`.

Rewards are the verifiable ones of `rewards.py`; advantages, loss, clipping, metrics and loop are TRL's. Overridden,
checked with TRL 1.16: `_generate_and_score_completions` and `_compute_loss` (they remember which samples the batch
holds), `_get_per_token_logps_and_entropies` (adds those samples' features to the model's inputs), `_save` and
`_load_from_checkpoint` (adapter folders), `create_model_card` and `_send_telemetry` (none). Answers are sampled through
TRL's `rollout_func`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import send_to_device
from datasets import Dataset
from torch import Tensor
from transformers import Trainer
from trl import GRPOConfig, GRPOTrainer
from trl.models import unwrap_model_for_generation

from emotion_llama.errors import UsageError
from emotion_llama.model.checkpoint import fill_adapter, save_adapter
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor
from emotion_llama.train.preference.answers import answer_tokens
from emotion_llama.train.preference.arguments import trl_arguments
from emotion_llama.train.preference.facts import VerifiableSample
from emotion_llama.train.preference.policy import Reference, require_finite
from emotion_llama.train.preference.rewards import REWARDS, applicable
from emotion_llama.train.preference.settings import PreferenceSettings, RewardName
from emotion_llama.train.preference.training_run import TrainingRun, sha256_of


def train_grpo(
    model: EmotionLlamaForConditionalGeneration,
    processor: EmotionLlamaProcessor,
    samples: Sequence[VerifiableSample],
    settings: PreferenceSettings,
    out: Path,
    *,
    seed: int = 0,
    validation: Sequence[VerifiableSample] = (),
) -> dict[str, Any]:
    """Train what requires a gradient (LoRA, projectors or both) towards answers with high rewards; gives the record.

    Output, `validation`, going on and errors as in `dpo.train_dpo`. Each step samples `num_generations` answers to each
    of `generation_batch_size / num_generations` questions. With `trl.beta` above 0 the reference is the model as it is
    given. Raises `UsageError` also for samples to which no reward applies.
    """
    names = _require_rewards(samples, settings)
    whole = TrainingRun("grpo", model, processor, settings, out, seed, validation)
    args = _arguments(processor, settings, out, names, seed)
    rewards = [reward_function(name, samples, settings) for name in names]
    return whole.run(
        lambda: FeatureGRPOTrainer(model, processor, samples, rewards, args),
        data={"samples": len(samples), "sha256": sha256_of(samples)},
    )


class FeatureGRPOTrainer(GRPOTrainer):  # type: ignore[misc]  # untyped library
    """TRL's trainer on samples with features; the dataset holds row numbers in the order of the whole run."""

    def __init__(
        self,
        model: EmotionLlamaForConditionalGeneration,
        processor: EmotionLlamaProcessor,
        samples: Sequence[VerifiableSample],
        rewards: Sequence[RewardFunction],
        args: GRPOConfig,
    ) -> None:
        self.samples = samples
        self.processor = processor
        self.rows: list[int] = []  # of the batch that is sampled or scored
        beta, args.beta = args.beta, 0.0  # else TRL would load a second model to refer to
        order = rows_in_order(len(samples), _questions(args), args.seed)
        super().__init__(
            model=model,
            reward_funcs=list(rewards),
            args=args,
            train_dataset=Dataset.from_dict(
                {"row": order, "prompt": [_readable(processor, samples[r]) for r in order]}
            ),
            processing_class=processor.tokenizer,
        )
        self.beta = args.beta = beta
        self.ref_model = Reference(model) if beta else None
        self.eos_token_ids = [processor.end_id]
        self.rollout_func = sample_answers

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        self.rows = rows = [row["row"] for row in inputs]
        output: dict[str, Any] = super()._generate_and_score_completions(inputs)
        # TRL shuffles and cuts what it buffers along the first dimension: each answer keeps its sample's number
        return {**output, "row": torch.tensor(rows, device=self.accelerator.device)}

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Tensor:
        self.rows = inputs["row"].tolist()
        loss: Tensor = super()._compute_loss(model, inputs)
        return require_finite(loss, self.state.global_step + 1, [self.samples[row].sample.clip for row in self.rows])

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Tensor, attention_mask: Tensor, logits_to_keep: int, *args: Any, **kwargs: Any
    ) -> Any:
        rows = iter(self.rows)

        def with_features(**inputs: Any) -> Any:
            chunk = [self.samples[next(rows)].sample for _ in inputs["input_ids"]]
            features, present = self.processor.collate([sample.features for sample in chunk])
            moved = send_to_device({"features": features, "feature_mask": present}, input_ids.device)
            return model(**inputs, **moved, clip_ids=[sample.clip for sample in chunk])

        return super()._get_per_token_logps_and_entropies(
            with_features, input_ids, attention_mask, logits_to_keep, *args, **kwargs
        )

    def _save(self, output_dir: str | None = None, state_dict: dict[str, Any] | None = None) -> None:
        save_adapter(self.accelerator.unwrap_model(self.model), output_dir or self.args.output_dir)

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        fill_adapter(self.model, resume_from_checkpoint)

    def create_model_card(
        self, model_name: str | None = None, dataset_name: str | None = None, tags: str | list[str] | None = None
    ) -> None:
        """Write none: `preference.json` and the exported model's own card say what was trained."""

    def _send_telemetry(self) -> None:
        """Nothing about a run leaves the machine."""


def sample_answers(prompts: Sequence[str], trainer: FeatureGRPOTrainer) -> dict[str, Any]:
    """Sample one answer to each row of the trainer's batch, features included: TRL's `rollout_func`."""
    batch = trainer.processor.for_generation([trainer.samples[row].sample for row in trainer.rows])
    batch = send_to_device(batch, trainer.accelerator.device)
    with (
        unwrap_model_for_generation(
            trainer.model_wrapped,
            trainer.accelerator,
            generation_kwargs=trainer.generation_kwargs,
            gradient_checkpointing_kwargs=trainer.args.gradient_checkpointing_kwargs,
        ) as model,
        torch.no_grad(),
    ):
        ids = model.generate(**batch, generation_config=trainer.generation_config)
    width = batch["input_ids"].shape[1]
    return {
        "prompt_ids": [
            row[mask == 1].tolist() for row, mask in zip(batch["input_ids"], batch["attention_mask"], strict=True)
        ],
        "completion_ids": [answer_tokens(row, trainer.processor.end_id) for row in ids[:, width:].tolist()],
        "logprobs": None,
    }


RewardFunction = Callable[..., list[float | None]]
"""A reward in the form that TRL calls."""


def reward_function(
    name: RewardName, samples: Sequence[VerifiableSample], settings: PreferenceSettings
) -> RewardFunction:
    """Give one reward in the form TRL calls: answers and row numbers in, values out; named for its logs."""

    def reward(completions: Sequence[str], row: Sequence[int], **_: Any) -> list[float | None]:
        return [
            REWARDS[name](text.strip(), samples[number].facts, settings.rewards)
            for text, number in zip(completions, row, strict=True)
        ]

    reward.__name__ = name
    return reward


def rows_in_order(rows: int, wanted: int, seed: int) -> list[int]:
    """Give `wanted` row numbers: seeded permutations of all rows, one after another."""
    draw = torch.Generator().manual_seed(seed)
    found: list[int] = []
    while len(found) < wanted:
        found += torch.randperm(rows, generator=draw).tolist()
    return found[:wanted]


def _arguments(
    processor: EmotionLlamaProcessor, settings: PreferenceSettings, out: Path, names: Sequence[RewardName], seed: int
) -> GRPOConfig:
    own = settings.trl.get("generation_kwargs") or {}
    generation = {
        "eos_token_id": processor.end_id,
        "pad_token_id": processor.pad_id,
        **own,
        # a written placeholder would ask for features that no clip has
        "suppress_tokens": [*own.get("suppress_tokens", []), processor.config.placeholder_token_id],
    }
    weights = settings.rewards.weights.used
    forced = {
        "reward_weights": [weights[name] for name in names],
        "shuffle_dataset": False,
        "generation_kwargs": generation,
        "seed": seed,
    }
    args = trl_arguments(GRPOConfig, settings, out, forced)
    served = args.steps_per_generation * args.num_iterations
    if settings.save_every * args.gradient_accumulation_steps % served:
        raise UsageError(
            f"save_every {settings.save_every}: answers are sampled once for {served} batches "
            "(steps_per_generation × num_iterations); save at a multiple, or a resumed run would not be the same"
        )
    return args


def _questions(args: GRPOConfig) -> int:
    """How many questions the whole run asks."""
    served = args.steps_per_generation * args.num_iterations
    rounds = -(-args.max_steps * args.gradient_accumulation_steps // served)
    return int(rounds * args.generation_batch_size // args.num_generations)


def _readable(processor: EmotionLlamaProcessor, sample: VerifiableSample) -> str:
    """The prompt as a person reads it, for TRL's log of completions."""
    asked = sample.sample
    return processor.render(asked.task, asked.labels, asked.transcript, asked.features, asked.clues).text


def _require_rewards(samples: Sequence[VerifiableSample], settings: PreferenceSettings) -> list[RewardName]:
    """Give the rewards that apply to any sample; each sample needs one."""
    if not samples:
        raise UsageError("samples: expected at least one to learn from, found none")
    found: set[RewardName] = set()
    for sample in samples:
        applied = applicable(sample.facts, settings.rewards)
        if not applied:
            raise UsageError(
                f"clip {sample.sample.clip}, task {sample.facts.task}: no reward applies "
                f"({', '.join(settings.rewards.weights.used)}); give its label or measurements, or other weights"
            )
        found |= applied
    return [name for name in settings.rewards.weights.used if name in found]


OVERRIDDEN = (
    (GRPOTrainer, "_generate_and_score_completions"),
    (GRPOTrainer, "_compute_loss"),
    (GRPOTrainer, "_get_per_token_logps_and_entropies"),
    (Trainer, "_save"),
    (Trainer, "_load_from_checkpoint"),
    (GRPOTrainer, "create_model_card"),
    (GRPOTrainer, "_send_telemetry"),
)
"""What is overridden, for the test that sees TRL change."""

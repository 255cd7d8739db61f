"""Direct preference optimisation (Rafailov et al. 2023) with soft tokens, by TRL's `DPOTrainer`.

Loss, metrics, loop and the precomputed reference log-probabilities are TRL's. Overridden, checked with TRL 1.16:
`_prepare_dataset` (our samples are not tokenised text), `compute_loss` (a loss that is not finite stops the run),
`_save` and `_load_from_checkpoint` (adapter folders), `create_model_card` (the run's own record says it) and
`_send_telemetry` (nothing leaves the machine).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from torch import Tensor
from transformers import Trainer
from trl import DPOConfig, DPOTrainer

from emotion_llama.errors import UsageError
from emotion_llama.model.checkpoint import fill_adapter, save_adapter
from emotion_llama.model.modeling import IGNORED, EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor
from emotion_llama.train.preference.arguments import trl_arguments
from emotion_llama.train.preference.facts import VerifiableSample
from emotion_llama.train.preference.pairs import Pair
from emotion_llama.train.preference.policy import require_finite
from emotion_llama.train.preference.settings import PreferenceSettings
from emotion_llama.train.preference.training_run import TrainingRun, sha256_of

_REFERENCE = ("ref_chosen_logps", "ref_rejected_logps")


def train_dpo(
    model: EmotionLlamaForConditionalGeneration,
    processor: EmotionLlamaProcessor,
    pairs: Sequence[Pair],
    settings: PreferenceSettings,
    out: Path,
    *,
    seed: int = 0,
    validation: Sequence[VerifiableSample] = (),
) -> dict[str, Any]:
    """Train what requires a gradient (LoRA, projectors or both) to prefer the chosen answers; gives the record.

    The reference is the model as it is given, whatever was trained before: its log-probabilities are computed first.
    `out` gets the adapter folder, `tensorboard/`, `checkpoints/` and last `preference.json`. `validation` samples are
    answered before and after, and their mean rewards recorded. A run that was killed goes on from its last whole
    checkpoint, and a finished one is read back; `model` must again be the starting one. It is left trained, in
    evaluation mode.
    Raises `UsageError` for options that do not fit or a folder that holds another run, `ModelError` without LoRA and
    for a loss that is not finite.
    """
    if not pairs:
        raise UsageError("pairs: expected at least one to learn from, found none")
    whole = TrainingRun("dpo", model, processor, settings, out, seed, validation)
    forced = {"precompute_ref_log_probs": True, "max_length": None, "seed": seed}
    args = trl_arguments(DPOConfig, settings, out, forced)
    digests = [sha256_of((pair.sample, pair.rejected)) for pair in pairs]
    return whole.run(
        lambda: FeatureDPOTrainer(model, processor, pairs, args, digests),
        data={"pairs": len(pairs), "sha256": sha256_of(digests)},
    )


class FeatureDPOTrainer(DPOTrainer):  # type: ignore[misc]  # untyped library
    """TRL's trainer on pairs with features; the dataset holds row numbers, batches are made by our processor."""

    def __init__(
        self,
        model: EmotionLlamaForConditionalGeneration,
        processor: EmotionLlamaProcessor,
        pairs: Sequence[Pair],
        args: DPOConfig,
        digests: Sequence[str],
    ) -> None:
        self.pairs = pairs
        self.processor = processor
        model.eval()  # the reference log-probabilities are computed on the way
        super().__init__(
            model=model,
            args=args,
            data_collator=self.collate,
            # TRL keeps the reference log-probabilities by the dataset's content: the digests make it this data's
            train_dataset=Dataset.from_dict({"row": list(range(len(pairs))), "sha256": list(digests)}),
            processing_class=processor.tokenizer,
        )

    def collate(self, rows: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Make one batch: all chosen answers, then all rejected ones, each with the features of its clip."""
        pairs = [self.pairs[row["row"]] for row in rows]
        rejected = [replace(pair.sample, answer=pair.rejected) for pair in pairs]
        batch = self.processor.for_training([*(pair.sample for pair in pairs), *rejected])
        batch["completion_mask"] = (batch.pop("labels") != IGNORED).long()  # (2B, T)
        for name in _REFERENCE:
            if name in rows[0]:
                batch[name] = torch.tensor([row[name] for row in rows])
        return batch

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Tensor:
        """Give TRL's loss; one that is not finite stops the run with the names of the batch's clips."""
        loss: Tensor = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        return require_finite(loss, self.state.global_step + 1, inputs["clip_ids"])

    def _prepare_dataset(self, dataset: Dataset, processing_class: Any, args: Any, dataset_name: str) -> Dataset:
        return dataset

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


OVERRIDDEN = (
    (DPOTrainer, "_prepare_dataset"),
    (DPOTrainer, "compute_loss"),
    (Trainer, "_save"),
    (Trainer, "_load_from_checkpoint"),
    (DPOTrainer, "create_model_card"),
    (DPOTrainer, "_send_telemetry"),
)
"""What is overridden, for the test that sees TRL change."""

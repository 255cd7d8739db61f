"""What TRL's trainers need of our model, which is neither a bare language model nor a `PeftModel`.

TRL calls `model(**batch, labels=…, fused_lm_head=True)` for log-probabilities: its patch runs the model's backbone and
scores the answer positions through the head in tiles. Our backbone is "soft tokens spliced in, then the decoder".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call

from emotion_llama.errors import ModelError
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration

_BACKBONE = "spliced_decoder"


@contextmanager
def as_policy(model: EmotionLlamaForConditionalGeneration) -> Iterator[None]:
    """Within it TRL can train the model; afterwards everything but the trained weights is as it was.

    Undone are TRL's replaced `forward`, the dropout it switches off and the pad token it writes into the
    configuration. Trained is what requires a gradient: LoRA, projectors or both. Raises `ModelError` without LoRA.
    """
    if model.config.lora is None:
        raise ModelError("model: expected LoRA layers to train, found none; load the checkpoint with merge=False")
    dropouts = [(module, module.p) for module in model.modules() if isinstance(module, nn.Dropout)]
    configs = (model.config.get_text_config(), model.generation_config)
    pads = [config.pad_token_id for config in configs]
    setattr(model, _BACKBONE, MethodType(_spliced_decoder, model))
    model.base_model_prefix = _BACKBONE  # where TRL's patch looks the backbone up
    try:
        yield
    finally:
        model.__dict__.pop("forward", None)
        delattr(model, _BACKBONE)
        del model.base_model_prefix  # uncovers the class's own
        for module, share in dropouts:
            module.p = share
        for config, pad in zip(configs, pads, strict=True):
            config.pad_token_id = pad
        model.eval()


def _spliced_decoder(
    model: EmotionLlamaForConditionalGeneration,
    input_ids: Tensor,
    attention_mask: Tensor,
    features: Mapping[str, Tensor] | None = None,
    feature_mask: Mapping[str, Tensor] | None = None,
    clip_ids: Sequence[str] | None = None,
    **kwargs: Any,
) -> Any:
    """Give the decoder's output, as `forward` has it before the head; positions count real tokens from 0."""
    embeds = model.embed(input_ids, features, feature_mask, clip_ids)  # (B, T, D)
    positions = (attention_mask.long().cumsum(1) - 1).clamp(min=0)  # (B, T)
    decoder = model.language_model.get_decoder()
    return decoder(inputs_embeds=embeds, attention_mask=attention_mask, position_ids=positions, **kwargs)


class Reference:
    """The model with the weights it had when this was made: trained ones are copied, frozen ones shared.

    Calling it is calling the model, without gradient; the model's own weights are never touched.
    """

    def __init__(self, model: EmotionLlamaForConditionalGeneration) -> None:
        self.model = model
        self.start = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}

    @torch.no_grad()
    def __call__(self, **inputs: Any) -> Any:
        """Run the model on `inputs` with the starting weights."""
        return functional_call(self.model, self.start, (), inputs)


def require_finite(loss: Tensor, step: int, clips: Sequence[str]) -> Tensor:
    """Give the loss back. Raises `ModelError`, naming the batch's clips, if it is NaN or infinite."""
    if not bool(torch.isfinite(loss)):
        named = ", ".join(dict.fromkeys(clips))
        raise ModelError(
            f"step {step}: expected a finite loss, found {float(loss.detach())}; lower trl.learning_rate or check the "
            f"clips {named}"
        )
    return loss


def require_finite_weights(model: EmotionLlamaForConditionalGeneration) -> None:
    """Raise `ModelError`, naming the parameter, if a trained weight is NaN or infinite (after the last step)."""
    for name, weight in model.named_parameters():
        if (".lora_" in name or name.startswith("projectors.")) and not bool(torch.isfinite(weight).all()):
            raise ModelError(f"{name}: expected finite weights after training, found others; lower trl.learning_rate")

"""The model: soft tokens from encoder features, spliced into the prompt of a causal language model.

Shapes use one alphabet: B clips, T prompt positions, N rows of one feature group, E width of an encoder, D hidden width
of the language model, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from peft import LoraConfig, inject_adapter_in_model
from peft.tuners.lora import LoraLayer
from torch import Tensor, nn
from torch.nn import functional
from transformers import AutoModelForCausalLM, PreTrainedModel
from transformers.cache_utils import Cache
from transformers.generation import GenerationMixin
from transformers.modeling_outputs import CausalLMOutputWithPast

from emotion_llama.errors import ModelError
from emotion_llama.model.configuration import EmotionLlamaConfig
from emotion_llama.model.projector import Projector

IGNORED = -100
"""The label of positions that are not part of an answer."""


@dataclass
class EmotionLlamaOutput(CausalLMOutputWithPast):  # type: ignore[misc]  # untyped library
    """The library's output, with `clip_nll` (B,): each clip's summed negative log-likelihood of its answer (no
    gradient), given together with a loss."""

    clip_nll: Tensor | None = None


class EmotionLlamaForConditionalGeneration(PreTrainedModel, GenerationMixin):  # type: ignore[misc]  # untyped library
    """A causal language model that reads encoder features at placeholder positions (paper section 3.2).

    Trained are the projectors and, where `config.lora` is set, LoRA in the language model; its own weights are frozen.
    """

    config_class = EmotionLlamaConfig
    config: EmotionLlamaConfig
    base_model_prefix = "language_model"
    supports_gradient_checkpointing = True
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True
    _skip_keys_device_placement = ("past_key_values",)
    _keep_in_fp32_modules_strict = ("projectors", "lora_A", "lora_B")

    def __init__(self, config: EmotionLlamaConfig) -> None:
        super().__init__(config)
        self.language_model = AutoModelForCausalLM.from_config(config.text_config)
        self.projectors = new_projectors(config)
        if config.lora is not None:
            inject_lora(self.language_model, config)
        self.post_init()
        self.freeze_base()

    @classmethod
    def from_pretrained(cls, *args: Any, **kwargs: Any) -> Any:
        """Read a whole checkpoint as the library does; the base is frozen again, which reading undoes."""
        read = super().from_pretrained(*args, **kwargs)
        model = read[0] if isinstance(read, tuple) else read  # a tuple when output_loading_info was asked for
        model.freeze_base()
        return read

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        features: Mapping[str, Tensor] | None = None,
        feature_mask: Mapping[str, Tensor] | None = None,
        labels: Tensor | None = None,
        clip_ids: Sequence[str] | None = None,
        **kwargs: Any,
    ) -> EmotionLlamaOutput:
        """Run the language model on `input_ids` (B, T) with soft tokens at the placeholders.

        `features` maps a group to (B, N, E), `feature_mask` to (B, N) bool (absent = all present). With `labels` (B, T)
        the result holds the mean loss over answer positions and no logits (the head is run on those positions only);
        without, logits of the last `logits_to_keep` positions (0 = all; a tensor of positions; or a mask (B, T) bool of
        those wanted, then (wanted, V), row after row). Other keywords go to the language model.
        Raises `ModelError` when a clip's placeholders and features differ in number; `clip_ids` name the clip.
        """
        items, keep = kwargs.pop("num_items_in_batch", None), kwargs.pop("logits_to_keep", 0)
        embeds = kwargs.pop("inputs_embeds", None)
        if (input_ids is None) == (embeds is None):
            raise ModelError("model input: expected either input_ids or inputs_embeds, found both or neither")
        if input_ids is not None:
            embeds = self.embed(input_ids, features, feature_mask, clip_ids)
        if kwargs.get("position_ids") is None and attention_mask is not None and attention_mask.ndim == 2:
            kwargs["position_ids"] = _positions(attention_mask, embeds.shape[1])
        decoder = self.language_model.get_decoder()
        outputs = decoder(inputs_embeds=embeds, attention_mask=attention_mask, **{**kwargs, "return_dict": True})
        hidden = outputs.last_hidden_state  # (B, T, D)
        head = self.language_model.get_output_embeddings()
        loss = logits = clip_nll = None
        if labels is not None:
            loss, clip_nll = answer_losses(hidden, labels, head, items)
        else:
            logits = head(_kept(hidden, keep))  # (B, kept, V), of a mask (wanted, V)
        return EmotionLlamaOutput(
            loss=loss,
            logits=logits,
            clip_nll=clip_nll,
            past_key_values=outputs.past_key_values,
            hidden_states=outputs.hidden_states,
            attentions=outputs.attentions,
        )

    def embed(
        self,
        input_ids: Tensor,
        features: Mapping[str, Tensor] | None = None,
        feature_mask: Mapping[str, Tensor] | None = None,
        clip_ids: Sequence[str] | None = None,
    ) -> Tensor:
        """Give the input embeddings (B, T, D): words looked up, placeholders filled with projected features."""
        place_id = self.config.placeholder_token_id
        if place_id is None:
            raise ModelError("config placeholder_token_id: expected the id of an unused special token, found none")
        place = input_ids.eq(place_id)  # (B, T)
        words: Tensor = self.get_input_embeddings()(input_ids)  # (B, T, D)
        soft, present = self._soft_tokens(features or {}, feature_mask or {}, len(input_ids))
        wanted, found = place.sum(1).tolist(), [0] * len(input_ids) if present is None else present.sum(1).tolist()
        for row, (places, rows) in enumerate(zip(wanted, found, strict=True)):
            if places != rows:
                clip = clip_ids[row] if clip_ids is not None else f"row {row} of the batch"
                raise ModelError(
                    f"clip {clip}: the prompt holds {places} soft-token places but {rows} feature rows are present; "
                    "render the prompt from the same features"
                )
        if soft is None or present is None:
            return words
        filling = soft[present].to(words.dtype)  # (rows, D), clip by clip in configuration order
        return words.masked_scatter(place.unsqueeze(-1), filling)

    def _soft_tokens(
        self, features: Mapping[str, Tensor], masks: Mapping[str, Tensor], batch: int
    ) -> tuple[Tensor | None, Tensor | None]:
        unknown = set(features) - set(self.projectors)
        if unknown:
            raise ModelError(f"features {sorted(unknown)} are not in the configuration ({', '.join(self.projectors)})")
        soft: list[Tensor] = []
        present: list[Tensor] = []
        for group in self.config.groups:
            if group.name not in features:
                continue
            rows = features[group.name]
            if rows.ndim != 3 or rows.shape[0] != batch or rows.shape[2] != group.width:
                raise ModelError(
                    f"feature {group.name!r}: expected shape ({batch}, N, {group.width}), found {tuple(rows.shape)}"
                )
            mask = masks.get(group.name)
            soft.append(self.projectors[group.name](rows, mask))  # (B, N, D)
            present.append(torch.ones(rows.shape[:2], dtype=torch.bool, device=rows.device) if mask is None else mask)
        return (torch.cat(soft, 1), torch.cat(present, 1)) if soft else (None, None)

    def prepare_inputs_for_generation(
        self, input_ids: Tensor, is_first_iteration: bool | None = False, **kwargs: Any
    ) -> dict[str, Any]:
        """Give one step's inputs: features go in with the prompt only, later steps find them in the cache."""
        inputs: dict[str, Any] = super().prepare_inputs_for_generation(
            input_ids, is_first_iteration=is_first_iteration, **kwargs
        )
        if not is_first_iteration and kwargs.get("use_cache", True):
            for key in ("features", "feature_mask"):
                inputs.pop(key, None)
        return inputs

    def get_input_embeddings(self) -> nn.Module:
        """The language model's word embedding."""
        module: nn.Module = self.language_model.get_input_embeddings()
        return module

    def get_output_embeddings(self) -> nn.Module:
        """The language model's head."""
        module: nn.Module = self.language_model.get_output_embeddings()
        return module

    def freeze_base(self) -> None:
        """Leave gradients to the projectors and LoRA only; keep both in float32 whatever the base is."""
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(name.startswith("projectors.") or ".lora_" in name)
            if parameter.requires_grad and parameter.device.type != "meta":
                parameter.data = parameter.data.float()

    @torch.no_grad()
    def merge_lora(self) -> None:
        """Add LoRA to the frozen weights and take its layers out; the configuration then says there is none."""
        decoder = self.language_model
        for name, layer in [(n, m) for n, m in decoder.named_modules() if isinstance(m, LoraLayer)]:
            layer.merge(safe_merge=True)
            parent, _, leaf = name.rpartition(".")
            setattr(decoder.get_submodule(parent), leaf, layer.get_base_layer())
        self.config.lora = None


def new_projectors(config: EmotionLlamaConfig) -> nn.ModuleDict:
    """Make the projectors of a configuration, one a feature group."""
    width = config.text_config.hidden_size
    return nn.ModuleDict({group.name: Projector(group, width) for group in config.groups})


def lora_config(config: EmotionLlamaConfig) -> LoraConfig:
    """Give the PEFT configuration of `config.lora`. Raises `ModelError` if there is none."""
    if config.lora is None:
        raise ModelError("config lora: expected rank, alpha and targets, found none; there is no adapter to speak of")
    return LoraConfig(
        r=config.lora["rank"],
        lora_alpha=config.lora["alpha"],
        lora_dropout=config.lora["dropout"],
        target_modules=list(config.lora["targets"]),
        bias="none",
        task_type="CAUSAL_LM",
        base_model_name_or_path=config.llm,
    )


def inject_lora(language_model: PreTrainedModel, config: EmotionLlamaConfig) -> None:
    """Put fresh LoRA layers (zero effect) into a language model, in place."""
    inject_adapter_in_model(lora_config(config), language_model)


def answer_losses(
    hidden: Tensor, labels: Tensor, head: nn.Module, items: Tensor | int | None = None
) -> tuple[Tensor, Tensor]:
    """Next-token cross-entropy of the answer positions: (B, T, D), (B, T) → scalar, and its sum for each clip (B,).

    The head runs on those positions only. `items` divides the sum (gradient accumulation, several processes); default:
    their number. Raises `ModelError` if no position is part of an answer.
    """
    targets = labels[:, 1:]
    wanted = targets != IGNORED
    if not bool(wanted.any()):
        raise ModelError("labels: expected answer tokens, found none in the batch")
    logits = head(hidden[:, :-1][wanted]).float()  # (answer tokens, V)
    nll = functional.cross_entropy(logits, targets[wanted], reduction="none")  # (answer tokens,)
    clip = wanted.nonzero()[:, 0]  # (answer tokens,)
    by_clip = torch.zeros(len(labels), device=nll.device).index_add(0, clip, nll.detach())  # (B,)
    return nll.sum() / (int(wanted.sum()) if items is None else items), by_clip


def _kept(hidden: Tensor, keep: int | Tensor) -> Tensor:
    if isinstance(keep, int):
        return hidden[:, -keep:]
    return hidden[keep] if keep.dtype == torch.bool else hidden[:, keep]


def _positions(attention_mask: Tensor, length: int) -> Tensor:
    """Positions that count real tokens from 0, so that padding on either side changes nothing."""
    return (attention_mask.long().cumsum(1) - 1).clamp(min=0)[:, -length:]


__all__ = ["IGNORED", "Cache", "EmotionLlamaForConditionalGeneration", "answer_losses", "inject_lora", "new_projectors"]

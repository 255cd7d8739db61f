"""Names of tensors in the released files, and what becomes of each.

Sources: upstream `minigpt4/models/minigpt_v2.py` and `eva_vit.py`; peft 0.2 (`lora_A.weight`) and from 0.3
(`lora_A.default.weight`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

PROJECTORS = {
    "llama_proj": "global",
    "feats_llama_proj1": "local",
    "feats_llama_proj2": "temporal",
    "feats_llama_proj3": "audio",
    "cls_tk_llama_proj": "global_cls",
}
"""Upstream's projections and the feature group that each serves, in the order in which upstream feeds their tokens."""

_LORA = re.compile(
    r"(?:llama_model\.)?base_model\.model\.(?P<layer>.+?\.layers\.\d+\..+?)\.lora_(?P<side>[AB])(?:\.default)?\.weight"
)
_IGNORED = (
    (re.compile(r"attention\."), "a classification head that upstream builds and never calls"),
    (re.compile(r".*rotary_emb\.inv_freq"), "rotary frequencies, which are computed"),
)
_EVA_BLOCK = re.compile(r"blocks\.(?P<number>\d+)\.(?P<part>.+)")
_EVA_PARTS = {
    "norm1": "layer_norm1", "norm2": "layer_norm2", "attn.qkv": "self_attn.qkv", "attn.proj": "self_attn.projection",
    "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
}  # fmt: skip
_EVA_WHOLE = {
    "cls_token": "embeddings.class_embedding",
    "pos_embed": "embeddings.position_embedding",
    "patch_embed.proj.weight": "embeddings.patch_embedding.weight",
    "patch_embed.proj.bias": "embeddings.patch_embedding.bias",
}


@dataclass(frozen=True)
class Fate:
    """What becomes of one tensor: its new `name`, or the `reason` why it is left out; neither if it is not known."""

    name: str | None = None
    reason: str | None = None


def checkpoint_fate(key: str) -> Fate:
    """Give the name of a tensor of an Emotion-LLaMA or MiniGPT-v2 checkpoint in our model."""
    part, _, leaf = key.rpartition(".")
    if part in PROJECTORS and leaf in ("weight", "bias"):
        return Fate(f"projectors.{PROJECTORS[part]}.layers.0.{leaf}")
    if found := _LORA.fullmatch(key):
        return Fate(f"language_model.{found['layer']}.lora_{found['side']}.default.weight")
    if part == "ln_vision":
        return Fate(f"vision.post_layernorm.{leaf}")
    return _left_out(key)


def _left_out(key: str) -> Fate:
    return next((Fate(reason=reason) for pattern, reason in _IGNORED if pattern.match(key)), Fate())


def llama_name(key: str, targets: tuple[str, ...] = ()) -> str:
    """Give the name of a language model's tensor in our model; the layers in `targets` carry LoRA."""
    part, _, leaf = key.rpartition(".")
    carries = part.rpartition(".")[2] in targets and ".layers." in key
    return f"language_model.{part}.base_layer.{leaf}" if carries else f"language_model.{key}"


def eva_fate(key: str, blocks: int) -> Fate:
    """Give the name of a tensor of `eva_vit_g.pth` in the library's `Blip2VisionModel` of so many blocks.

    `attn.q_bias` and `attn.v_bias` are both named as the bias that they become together.
    """
    if key in _EVA_WHOLE:
        return Fate(_EVA_WHOLE[key])
    if found := _EVA_BLOCK.fullmatch(key):
        number, part = int(found["number"]), found["part"]
        if number >= blocks:
            return Fate(reason=f"block {number + 1}: upstream uses the first {blocks}")
        if part in ("attn.q_bias", "attn.v_bias"):
            return Fate(f"encoder.layers.{number}.self_attn.qkv.bias")
        module, _, leaf = part.rpartition(".")
        if module in _EVA_PARTS:
            return Fate(f"encoder.layers.{number}.{_EVA_PARTS[module]}.{leaf}")
    if key.partition(".")[0] in ("norm", "head", "fc_norm"):
        return Fate(reason="the net's own last norm and head, which upstream does without")
    return Fate()

"""FaceMAE and VideoMAE weights of their training scripts → folders of the library's form.

The scripts are those of the two papers (He et al. 2022, Tong et al. 2022), whose names timm's vision transformer gives.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor
from transformers import VideoMAEConfig, VideoMAEModel, ViTMAEConfig, ViTMAEModel

from emotion_llama.errors import ModelError
from emotion_llama.official.keys import Fate
from emotion_llama.official.reading import read_pickle
from emotion_llama.official.table import FileTable, account

_BLOCK = re.compile(r"blocks\.(?P<number>\d+)\.(?P<part>.+)")
_DECODER = re.compile(r"(decoder|mask_token|encoder_to_decoder)")
_HEAD = re.compile(r"(head|fc_norm)\.")
"""Sides and heads of other uses of the net; `norm` is the encoder's own."""


def convert_face_mae(file: Path, out: Path) -> FileTable:
    """Write the encoder folder `out` for `encoders.face_mae.FaceMae` and give the account of the file.

    Pixels are only divided by 255, as upstream's extraction does. Raises `ModelError` for a file of another net.
    """
    return _convert(file, out, "FaceMAE", ViTMAEModel, _mae_config, _mae_fate, 4)


def convert_face_videomae(file: Path, out: Path) -> FileTable:
    """Write the encoder folder `out` for `encoders.face_videomae.FaceVideoMae`, as `convert_face_mae` does."""
    return _convert(file, out, "VideoMAE", VideoMAEModel, _videomae_config, _videomae_fate, 5)


def _convert(file: Path, out: Path, what: str, kind: Any, describe: Any, fate: Any, rank: int) -> FileTable:
    tensors = {_plain(key): tensor for key, tensor in read_pickle(file).items()}
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    for key, dimensions in (("patch_embed.proj.weight", rank), ("blocks.0.mlp.fc1.weight", 2)):
        if len(shapes.get(key, ())) != dimensions:
            raise ModelError(f"{file}: expected {what} with {key} of rank {dimensions}, found {shapes.get(key)}")
    config = describe(shapes)
    net = kind(config)
    own = {key: tuple(value.shape) for key, value in net.state_dict().items()}
    split = _split_qkv(tensors)
    table = account(file, what, {key: tuple(value.shape) for key, value in split.items()}, fate, own)
    table.check()
    net.load_state_dict({name: split[key].float() for key, name in table.mapped.items()}, strict=True)
    out.mkdir(parents=True)
    net.save_pretrained(out)
    (out / "preprocessor_config.json").write_text(json.dumps(_pixels(config), indent=1) + "\n", encoding="utf-8")
    return table


def _plain(key: str) -> str:
    for prefix in ("module.", "backbone."):
        key = key.removeprefix(prefix)
    return key.removeprefix("encoder.") if key.startswith("encoder.") else key


def face_fate(key: str) -> Fate:
    """What becomes of a tensor of either file, its joint matrices not yet taken apart."""
    plain = _plain(key).replace(".attn.qkv.", ".attn.q.").replace(".q_bias", ".q.bias").replace(".v_bias", ".v.bias")
    return _mae_fate(plain)


def _split_qkv(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take the joint matrices of queries, keys and values apart."""
    found: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        head, _, leaf = key.rpartition(".attn.")
        if head.startswith("blocks.") and leaf in ("qkv.weight", "qkv.bias"):
            for name, part in zip("qkv", tensor.chunk(3), strict=True):
                found[f"{head}.attn.{name}.{leaf.removeprefix('qkv.')}"] = part.clone()
        elif head.startswith("blocks.") and leaf in ("q_bias", "v_bias"):
            found[f"{head}.attn.{leaf[0]}.bias"] = tensor
        else:
            found[key] = tensor
    return found


def _layers(shapes: Mapping[str, tuple[int, ...]]) -> int:
    return 1 + max(int(found["number"]) for key in shapes if (found := _BLOCK.fullmatch(key)))


def _sizes(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, int]:
    width = shapes["patch_embed.proj.weight"][0]
    return {
        "hidden_size": width,
        "intermediate_size": shapes["blocks.0.mlp.fc1.weight"][0],
        "num_hidden_layers": _layers(shapes),
        "num_attention_heads": max(1, width // 64),
        "patch_size": shapes["patch_embed.proj.weight"][-1],
    }


def _mae_config(shapes: Mapping[str, tuple[int, ...]]) -> ViTMAEConfig:
    sizes = _sizes(shapes)
    side = round((shapes["pos_embed"][1] - 1) ** 0.5) * sizes["patch_size"]
    return ViTMAEConfig(**sizes, image_size=side, layer_norm_eps=1e-6, qkv_bias=True)


def _videomae_config(shapes: Mapping[str, tuple[int, ...]]) -> VideoMAEConfig:
    return VideoMAEConfig(
        **_sizes(shapes),
        tubelet_size=shapes["patch_embed.proj.weight"][2],
        image_size=224,
        num_frames=16,
        layer_norm_eps=1e-6,
        use_mean_pooling=False,
        qkv_bias=True,
    )


_WHOLE = {
    "cls_token": "embeddings.cls_token",
    "pos_embed": "embeddings.position_embeddings",
    "patch_embed.proj.weight": "embeddings.patch_embeddings.projection.weight",
    "patch_embed.proj.bias": "embeddings.patch_embeddings.projection.bias",
    "norm.weight": "layernorm.weight",
    "norm.bias": "layernorm.bias",
}
_MAE_PARTS = {
    "attn.q": "attention.q_proj", "attn.k": "attention.k_proj", "attn.v": "attention.v_proj",
    "attn.proj": "attention.o_proj", "norm1": "layernorm_before", "norm2": "layernorm_after",
    "mlp.fc1": "mlp.fc1", "mlp.fc2": "mlp.fc2",
}  # fmt: skip
_VIDEOMAE_PARTS = {
    "attn.q": "attention.attention.query", "attn.k": "attention.attention.key", "attn.v": "attention.attention.value",
    "attn.proj": "attention.output.dense", "norm1": "layernorm_before", "norm2": "layernorm_after",
    "mlp.fc1": "intermediate.dense", "mlp.fc2": "output.dense",
}  # fmt: skip


def _mae_fate(key: str) -> Fate:
    return _fate(key, "layers", _MAE_PARTS)


def _videomae_fate(key: str) -> Fate:
    return _fate(key, "encoder.layer", _VIDEOMAE_PARTS)


def _fate(key: str, layers: str, parts: Mapping[str, str]) -> Fate:
    if key in _WHOLE:
        return Fate(_WHOLE[key])
    if found := _BLOCK.fullmatch(key):
        module, _, leaf = found["part"].rpartition(".")
        return Fate(f"{layers}.{found['number']}.{parts[module]}.{leaf}") if module in parts else Fate()
    if _DECODER.match(key):
        return Fate(reason="the decoder, which only pre-training uses")
    return Fate(reason="a head of another use of the net") if _HEAD.match(key) else Fate()


def _pixels(config: Any) -> dict[str, Any]:
    """Pixels divided by 255 and no more."""
    side = int(config.image_size)
    return {
        "do_resize": True, "size": {"height": side, "width": side}, "do_rescale": True, "rescale_factor": 1 / 255,
        "do_normalize": False, "do_center_crop": False, "resample": 2,
    }  # fmt: skip

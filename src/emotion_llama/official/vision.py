"""`eva_vit_g.pth` → a folder of the library's form for `encoders.eva.EvaVit`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor
from torch.nn import functional
from transformers import Blip2VisionConfig, Blip2VisionModel

from emotion_llama.errors import ModelError
from emotion_llama.official.keys import eva_fate
from emotion_llama.official.reading import read_pickle
from emotion_llama.official.table import FileTable, account

BLOCKS = 39
"""Upstream builds so many blocks; the file has one more."""

SIDE_PX = 448
_NORM = ("post_layernorm.weight", "post_layernorm.bias")


def convert_eva(file: Path, out: Path, *, blocks: int = BLOCKS, side_px: int = SIDE_PX) -> FileTable:
    """Write the encoder folder `out` and give the account of the file.

    Positions are resized to the grid of `side_px` as upstream does when loading (bicubic, corners not aligned); tensors
    keep their precision. Raises `ModelError` for a file that is not this net, is cut short, or has another width.
    """
    tensors = read_pickle(file)
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    config = _config(file, shapes, side_px, blocks)
    with torch.device("meta"):
        net = Blip2VisionModel(config)
    wanted = {name: tuple(value.shape) for name, value in net.state_dict().items() if name not in _NORM}
    seen = {**shapes, "pos_embed": wanted["embeddings.position_embedding"]}  # resized below
    table = account(file, "EVA-ViT-g", seen, lambda key: eva_fate(key, blocks), wanted)
    table.check()
    out.mkdir(parents=True)
    save_file(_tensors(table.mapped, tensors, config), out / "model.safetensors", metadata={"format": "pt"})
    described = {**config.to_diff_dict(), "model_type": config.model_type, "architectures": ["Blip2VisionModel"]}
    (out / "config.json").write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    return table


def _config(file: Path, shapes: Mapping[str, tuple[int, ...]], side_px: int, blocks: int) -> Blip2VisionConfig:
    for key, rank in (("patch_embed.proj.weight", 4), ("pos_embed", 3), ("blocks.0.mlp.fc1.weight", 2)):
        if len(shapes.get(key, ())) != rank:
            raise ModelError(
                f"{file}: expected EVA-ViT-g with the tensor {key} of rank {rank}, found {shapes.get(key)}"
            )
    width, _, patch, _ = shapes["patch_embed.proj.weight"]
    return Blip2VisionConfig(
        hidden_size=width,
        intermediate_size=shapes["blocks.0.mlp.fc1.weight"][0],
        num_hidden_layers=blocks,
        num_attention_heads=width // 88,
        image_size=side_px,
        patch_size=patch,
        layer_norm_eps=1e-6,
        hidden_act="gelu",
        qkv_bias=True,
    )


def _tensors(mapped: Mapping[str, str], tensors: Mapping[str, Tensor], config: Blip2VisionConfig) -> dict[str, Tensor]:
    made: dict[str, Tensor] = {}
    for key, name in mapped.items():
        if key.endswith(".attn.q_bias"):
            q, v = tensors[key], tensors[key.replace("q_bias", "v_bias")]
            made[name] = torch.cat((q, torch.zeros_like(v), v))
        elif key == "pos_embed":
            made[name] = resize_positions(tensors[key], config.image_size // config.patch_size)
        elif not key.endswith(".attn.v_bias"):
            made[name] = tensors[key].contiguous()
    made[_NORM[0]], made[_NORM[1]] = torch.ones(config.hidden_size), torch.zeros(config.hidden_size)
    return made


def resize_positions(positions: Tensor, side: int) -> Tensor:
    """Resize learned positions (1, 1 + n², D) to a grid of `side` × `side`; the class token's stays."""
    first, grid = positions[:, :1], positions[:, 1:]
    before = round(grid.shape[1] ** 0.5)
    if before == side:
        return positions.contiguous()
    square = grid.reshape(1, before, before, -1).permute(0, 3, 1, 2).float()  # (1, D, n, n)
    resized = functional.interpolate(square, size=(side, side), mode="bicubic", align_corners=False)
    rows = resized.permute(0, 2, 3, 1).flatten(1, 2).to(positions.dtype)  # (1, side², D)
    return torch.cat((first, rows), dim=1).contiguous()

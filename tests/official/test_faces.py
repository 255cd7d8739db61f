"""FaceMAE and VideoMAE files of their training scripts give what those scripts' nets compute."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn import functional

from emotion_llama.encoders.face_mae import FaceMae
from emotion_llama.encoders.face_videomae import FaceVideoMae, segment_frames
from emotion_llama.errors import ModelError
from emotion_llama.official.faces import convert_face_mae, convert_face_videomae

WIDTH, HEADS = 128, 2


def block(number: int, draw: torch.Generator, prefix: str, biases: bool) -> dict[str, Tensor]:
    """The tensors of one transformer block, as timm names them."""
    sizes: dict[str, tuple[int, ...]] = {
        "norm1.weight": (WIDTH,), "norm1.bias": (WIDTH,), "norm2.weight": (WIDTH,), "norm2.bias": (WIDTH,),
        "attn.qkv.weight": (3 * WIDTH, WIDTH), "attn.proj.weight": (WIDTH, WIDTH), "attn.proj.bias": (WIDTH,),
        "mlp.fc1.weight": (64, WIDTH), "mlp.fc1.bias": (64,), "mlp.fc2.weight": (WIDTH, 64), "mlp.fc2.bias": (WIDTH,),
    }  # fmt: skip
    sizes |= {"attn.q_bias": (WIDTH,), "attn.v_bias": (WIDTH,)} if biases else {"attn.qkv.bias": (3 * WIDTH,)}
    return {f"{prefix}blocks.{number}.{name}": torch.randn(size, generator=draw) * 0.1 for name, size in sizes.items()}


def run_blocks(tensors: dict[str, Tensor], rows: Tensor, prefix: str = "") -> Tensor:
    """The vision transformer of the training scripts, written out: (T, D) to (T, D)."""
    for number in range(2):
        at = {key.removeprefix(f"{prefix}blocks.{number}."): value for key, value in tensors.items()}
        bias = at.get("attn.qkv.bias")
        if bias is None:
            bias = torch.cat((at["attn.q_bias"], torch.zeros(WIDTH), at["attn.v_bias"]))
        inner = functional.layer_norm(rows, (WIDTH,), at["norm1.weight"], at["norm1.bias"], 1e-6)
        joint = functional.linear(inner, at["attn.qkv.weight"], bias).reshape(len(rows), 3, HEADS, -1)
        q, k, v = joint.permute(1, 2, 0, 3)  # (heads, T, d)
        seen = ((q @ k.mT) * (WIDTH // HEADS) ** -0.5).softmax(-1) @ v
        joined = seen.permute(1, 0, 2).reshape(len(rows), WIDTH)
        rows = rows + functional.linear(joined, at["attn.proj.weight"], at["attn.proj.bias"])
        inner = functional.layer_norm(rows, (WIDTH,), at["norm2.weight"], at["norm2.bias"], 1e-6)
        inner = functional.gelu(functional.linear(inner, at["mlp.fc1.weight"], at["mlp.fc1.bias"]))
        rows = rows + functional.linear(inner, at["mlp.fc2.weight"], at["mlp.fc2.bias"])
    return functional.layer_norm(rows, (WIDTH,), tensors[f"{prefix}norm.weight"], tensors[f"{prefix}norm.bias"], 1e-6)


def mae_tensors() -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(0)
    return {
        "cls_token": torch.randn(1, 1, WIDTH, generator=draw),
        "pos_embed": torch.randn(1, 5, WIDTH, generator=draw),
        "patch_embed.proj.weight": torch.randn(WIDTH, 3, 16, 16, generator=draw) * 0.05,
        "patch_embed.proj.bias": torch.randn(WIDTH, generator=draw) * 0.1,
        "norm.weight": torch.ones(WIDTH) * 1.1, "norm.bias": torch.ones(WIDTH) * 0.1,
        **block(0, draw, "", biases=False), **block(1, draw, "", biases=False),
        "mask_token": torch.zeros(1, 1, 8), "decoder_pos_embed": torch.zeros(1, 5, 8),
        "decoder_blocks.0.norm1.weight": torch.zeros(8), "decoder_pred.weight": torch.zeros(3, 8),
    }  # fmt: skip


def test_face_mae_equals_its_training_scripts_net(tmp_path: Path) -> None:
    tensors = mae_tensors()
    torch.save({"model": tensors, "epoch": 340}, tmp_path / "mae_checkpoint-340.pth")
    table = convert_face_mae(tmp_path / "mae_checkpoint-340.pth", tmp_path / "mae")
    assert len(table.left_out) == 4 and not table.unknown
    crops = np.random.default_rng(0).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    pixels = torch.from_numpy(crops).permute(0, 3, 1, 2).float() / 255  # divided by 255 and no more
    patches = functional.conv2d(pixels, tensors["patch_embed.proj.weight"], tensors["patch_embed.proj.bias"], 16)
    rows = patches.flatten(2).mT + tensors["pos_embed"][:, 1:]
    first = (tensors["cls_token"] + tensors["pos_embed"][:, :1]).expand(3, -1, -1)
    expected = torch.stack([run_blocks(tensors, one) for one in torch.cat((first, rows), 1)])[:, 1:].mean((0, 1))
    np.testing.assert_allclose(FaceMae(tmp_path / "mae")(crops)[0], expected.numpy(), atol=2e-5)


def test_videomae_equals_its_training_scripts_net(tmp_path: Path) -> None:
    draw = torch.Generator().manual_seed(1)
    prefix = "encoder."
    tensors = {
        "encoder.patch_embed.proj.weight": torch.randn(WIDTH, 3, 2, 16, 16, generator=draw) * 0.02,
        "encoder.patch_embed.proj.bias": torch.randn(WIDTH, generator=draw) * 0.1,
        "encoder.norm.weight": torch.ones(WIDTH) * 0.9, "encoder.norm.bias": torch.ones(WIDTH) * -0.1,
        **block(0, draw, prefix, biases=True), **block(1, draw, prefix, biases=True),
        "decoder.blocks.0.norm1.weight": torch.zeros(8), "encoder_to_decoder.weight": torch.zeros(8, WIDTH),
        "mask_token": torch.zeros(1, 1, 8),
    }  # fmt: skip
    torch.save({"module": tensors}, tmp_path / "maeVideo_ckp399.pth")
    table = convert_face_videomae(tmp_path / "maeVideo_ckp399.pth", tmp_path / "videomae")
    assert len(table.left_out) == 3 and not table.unknown
    crops = np.random.default_rng(0).integers(0, 256, (40, 224, 224, 3), dtype=np.uint8)
    chosen = crops[segment_frames(40, 16, 2)]
    pixels = (torch.from_numpy(chosen).permute(3, 0, 1, 2).float() / 255)[None]  # (1, 3, T, H, W)
    weight, bias = tensors["encoder.patch_embed.proj.weight"], tensors["encoder.patch_embed.proj.bias"]
    rows = functional.conv3d(pixels, weight, bias, (2, 16, 16)).flatten(2).mT[0]  # (1568, D)
    at = np.arange(1568)[:, None] / np.power(10000, 2 * (np.arange(WIDTH) // 2) / WIDTH)
    at[:, 0::2], at[:, 1::2] = np.sin(at[:, 0::2]), np.cos(at[:, 1::2])
    expected = run_blocks(tensors, rows + torch.from_numpy(at).float(), prefix).mean(0)
    np.testing.assert_allclose(FaceVideoMae(tmp_path / "videomae")(crops)[0], expected.numpy(), atol=2e-5)


def test_a_file_of_the_other_kind_is_refused(tmp_path: Path) -> None:
    torch.save({"model": mae_tensors()}, tmp_path / "mae.pth")
    with pytest.raises(ModelError, match=r"expected VideoMAE with patch_embed\.proj\.weight of rank 5"):
        convert_face_videomae(tmp_path / "mae.pth", tmp_path / "out")
    torch.save({"model": {**mae_tensors(), "odd.weight": torch.ones(2)}}, tmp_path / "odd.pth")
    with pytest.raises(ModelError, match=r"odd\.weight"):
        convert_face_mae(tmp_path / "odd.pth", tmp_path / "out")

"""A released Emotion-LLaMA in small: official names and containers, weights by the golden files' rule."""

from __future__ import annotations

import json
import shutil
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import LlamaConfig

from emotion_llama.official.convert import EvaSize, ReleasedFiles, convert_official

GOLDEN = Path(__file__).parent.parent / "golden"
SMALL = EvaSize(blocks=2, side_px=112)


def made_up(name: str, shape: list[int], scale: float, offset: float) -> Tensor:
    """One tensor of the golden files."""
    draw = np.random.Generator(np.random.PCG64(zlib.crc32(name.encode("utf-8"))))
    value = draw.standard_normal(shape).astype(np.float32) * np.float32(scale) + np.float32(offset)
    return torch.from_numpy(value)


@pytest.fixture(scope="session")
def released(tmp_path_factory: pytest.TempPathFactory) -> ReleasedFiles:
    """Write the files as upstream publishes them: pickles, and a Hugging Face folder for the language model."""
    folder = tmp_path_factory.mktemp("released")
    parts: dict[str, dict[str, Tensor]] = {"eva": {}, "llama": {}, "checkpoint": {}}
    for entry in json.loads((GOLDEN / "weights.json").read_text(encoding="utf-8"))["tensors"]:
        parts[entry["file"]][entry["key"]] = made_up(entry["name"], entry["shape"], entry["scale"], entry["offset"])
    torch.save(parts["eva"], folder / "eva_vit_g.pth")
    unused = {"attention.fc_out.weight": torch.ones(6, 128), "attention.fc_out.bias": torch.ones(6)}
    rotary = {
        f"llama_model.base_model.model.model.layers.{n}.self_attn.rotary_emb.inv_freq": torch.ones(8) for n in (0, 1)
    }
    torch.save(_container({**parts["checkpoint"], **unused, **rotary}), folder / "Emoation_LLaMA.pth")
    first = {
        name: tensor * 2 for name, tensor in parts["checkpoint"].items() if "feats" not in name and "cls" not in name
    }
    torch.save(_container(first), folder / "minigptv2_checkpoint.pth")
    llama = folder / "llama"
    llama.mkdir()
    save_file(parts["llama"], llama / "model.safetensors", metadata={"format": "pt"})
    LlamaConfig(
        hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=172, vocab_size=512,
        rms_norm_eps=1e-5, max_position_embeddings=4096, tie_word_embeddings=False, architectures=["LlamaForCausalLM"],
    ).save_pretrained(llama)  # fmt: skip
    shutil.copyfile(GOLDEN / "tokenizer.model", llama / "tokenizer.model")
    return ReleasedFiles(
        llama, folder / "eva_vit_g.pth", folder / "Emoation_LLaMA.pth", folder / "minigptv2_checkpoint.pth"
    )


def _container(model: dict[str, Tensor]) -> dict[str, Any]:
    return {"model": model, "optimizer": {"state": {}}, "config": {"run": {"seed": 42}}, "scaler": {}, "epoch": 29}


@pytest.fixture(scope="session")
def converted(released: ReleasedFiles, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder made from them."""
    out = tmp_path_factory.mktemp("converted") / "small"
    convert_official(released, out, eva=SMALL)
    return out

"""The conversion streams: a language model much larger than its largest file never lies in memory whole."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from transformers import LlamaConfig

from emotion_llama.official.convert import ReleasedFiles
from emotion_llama.official.keys import PROJECTORS
from emotion_llama.official.language import WIDTHS

WIDTH, INNER, LAYERS, SHARDS = 2048, 5504, 20, 4
GB = 1024**3

CODE = """
import re, sys
from pathlib import Path
from emotion_llama.official.convert import EvaSize, ReleasedFiles, convert_official
llama, eva, checkpoint, out = map(Path, sys.argv[1:])
convert_official(ReleasedFiles(llama, eva, checkpoint), out, eva=EvaSize(blocks=2, side_px=112))
# not ru_maxrss, which a program inherits from the one that started it
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024)
"""


def _layer(number: int) -> dict[str, torch.Tensor]:
    shapes = {f"self_attn.{name}_proj": (WIDTH, WIDTH) for name in "qkvo"}
    shapes |= {"mlp.gate_proj": (INNER, WIDTH), "mlp.up_proj": (INNER, WIDTH), "mlp.down_proj": (WIDTH, INNER)}
    norms = {"input_layernorm": (WIDTH,), "post_attention_layernorm": (WIDTH,)}
    return {f"model.layers.{number}.{name}.weight": torch.zeros(shape) for name, shape in (shapes | norms).items()}


@pytest.fixture
def large(released: ReleasedFiles, tmp_path: Path) -> ReleasedFiles:
    """A language model of 4 GB in four files, with its checkpoint. Removed with the test's folder."""
    llama = tmp_path / "llama"
    llama.mkdir()
    ends = {"model.embed_tokens.weight": torch.zeros(512, WIDTH), "lm_head.weight": torch.zeros(512, WIDTH)}
    for shard in range(SHARDS):
        layers = range(shard * LAYERS // SHARDS, (shard + 1) * LAYERS // SHARDS)
        tensors = {name: value for number in layers for name, value in _layer(number).items()}
        if shard == 0:
            tensors |= {**ends, "model.norm.weight": torch.ones(WIDTH)}
        save_file(tensors, llama / f"model-{shard + 1:05d}-of-{SHARDS:05d}.safetensors", metadata={"format": "pt"})
    LlamaConfig(
        hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=16, intermediate_size=INNER, vocab_size=512,
        tie_word_embeddings=False, architectures=["LlamaForCausalLM"],
    ).save_pretrained(llama)  # fmt: skip
    shutil.copyfile(released.llama / "tokenizer.model", llama / "tokenizer.model")
    checkpoint = {
        f"llama_model.base_model.model.model.layers.{number}.self_attn.{part}_proj.lora_{side}.weight": torch.ones(
            shape
        )
        for number in range(LAYERS)
        for part in "qv"
        for side, shape in (("A", (4, WIDTH)), ("B", (WIDTH, 4)))
    }
    for key, name in PROJECTORS.items():
        checkpoint |= {f"{key}.weight": torch.ones(WIDTH, WIDTHS[name]), f"{key}.bias": torch.ones(WIDTH)}
    torch.save({"model": checkpoint}, tmp_path / "Emoation_LLaMA.pth")
    return ReleasedFiles(llama, released.eva, tmp_path / "Emoation_LLaMA.pth")


@pytest.mark.slow
def test_memory_stays_below_the_largest_file_and_two_gigabytes(large: ReleasedFiles, tmp_path: Path) -> None:
    files = [path for path in (*large.llama.iterdir(), large.eva, tmp_path / "Emoation_LLaMA.pth") if path.is_file()]
    largest, total = max(path.stat().st_size for path in files), sum(path.stat().st_size for path in files)
    assert total > largest + 2 * GB  # else it would say nothing
    out = tmp_path / "out"
    done = subprocess.run(
        [sys.executable, "-c", CODE, *map(str, (large.llama, large.eva, large.emotion_llama, out))],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr
    peak = int(done.stdout.strip().splitlines()[-1])
    written = sum(path.stat().st_size for path in out.glob("*.safetensors"))
    shutil.rmtree(out)
    shutil.rmtree(large.llama)
    assert written > 0.9 * total
    assert peak < largest + 2 * GB

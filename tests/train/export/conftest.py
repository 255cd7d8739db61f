"""A tiny checkpoint to export: a real LLaMA with grouped-query attention, a real BPE tokenizer, large LoRA weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from emotion_llama.model import EmotionLlamaConfig, FeatureGroup, Lora, new_model, save_adapter
from emotion_llama.train.export.source import Source, open_source
from tests.chat import SMOLLM

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<empty_output>"]
GROUPS = (
    FeatureGroup("global", 12, 1, "video"),
    FeatureGroup("local", 6, 2, "video", "mlp"),
    FeatureGroup("audio", 8, 3, "audio"),
)


def chat_tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    core.train_from_iterator([" neutral calm happy sad angry fearful disgust surprised person video"] * 50, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<empty_output>"],
        chat_template=SMOLLM,
    )


def write_llm(folder: Path, **changes: Any) -> Path:
    tokenizer = chat_tokenizer()
    torch.manual_seed(7)
    sizes: dict[str, Any] = {
        "vocab_size": len(tokenizer) + 3,  # more rows than tokens, as real models have
        "hidden_size": 64,
        "intermediate_size": 48,  # no multiple of a quantisation block
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,  # large, so that every mistake shows in the logits
        "tie_word_embeddings": True,
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    LlamaForCausalLM(LlamaConfig(**sizes | changes)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def write_checkpoint(folder: Path, llm: Path, record: dict[str, Any] | None) -> Path:
    config = EmotionLlamaConfig.for_llm(llm, GROUPS, lora=Lora(rank=4, alpha=8, dropout=0.0), llm=str(llm))
    torch.manual_seed(1)
    model = new_model(config, llm)
    for name, parameter in model.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    model.projectors["audio"].standardise(torch.arange(8.0) / 8, torch.full((8,), 2.0))
    save_adapter(model, folder)
    (folder / "calibration.json").write_text('{"default_temperature": 1.5}')
    (folder / "heads.safetensors").write_bytes(b"heads")
    if record is not None:
        (folder / "training.json").write_text(json.dumps(record))
    return folder


def record_of(**changes: Any) -> dict[str, Any]:
    config = {
        "out": "/home/somebody/runs/x",
        "about": "A test run.",
        "licence": "cc-by-4.0",
        "model": {"llm": "tiny", "init": None},
        "schedule": {"steps": 120},
        "data": {"sources": [{"name": "calls", "path": "/home/somebody/calls.jsonl"}]},
    }
    return {
        "schema": "1",
        "config": config,
        "seed": 3,
        "data": [
            {"name": "calls", "path": "/home/somebody/calls.jsonl", "sha256": "ab" * 32,
             "clips": {"train": 800, "validation": 100, "test": 240}},
        ],
        "versions": {"torch": "2.13.0"},
        "git_commit": None,
        "scores": [
            {"step": 40, "loss": 1.25, "loss_by_task": {"emotion": 0.9},
             "validation": {"war": 0.5, "uar": 0.49, "weighted_f1": 0.48, "nll": 1.4, "n": 100}},
            {"step": 80, "loss": 0.75, "loss_by_task": {"emotion": 0.6},
             "validation": {"war": 0.7, "uar": 0.69, "weighted_f1": 0.68, "nll": 0.9, "n": 100}},
        ],
        "best": {"step": 80, "metric": "uar", "value": 0.69},
        "test": {
            "calls": {"n": 240, "war": 0.71234567, "uar": 0.7, "weighted_f1": 0.69, "nll": 0.8, "ece": 0.05,
                      "labels": ["happy", "sad", "angry", "neutral"], "intervals": {"war": [0.65, 0.77]}},
        },
        "seconds": 400,
        "adapter_sha256": "cd" * 32,
        **changes,
    }  # fmt: skip


@pytest.fixture(scope="session")
def llm_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_llm(tmp_path_factory.mktemp("export_llm"))


@pytest.fixture(scope="session")
def checkpoint_dir(tmp_path_factory: pytest.TempPathFactory, llm_dir: Path) -> Path:
    """A finished run; read only."""
    return write_checkpoint(tmp_path_factory.mktemp("runs") / "own-data", llm_dir, record_of())


@pytest.fixture
def source(checkpoint_dir: Path) -> Source:
    return open_source(checkpoint_dir)


@pytest.fixture
def make_source(tmp_path: Path, llm_dir: Path) -> Callable[..., Source]:
    """A run with a record of one's own (`None`: without any), on another language model if `llm` is given."""

    def make(record: dict[str, Any] | None = None, llm: Path | None = None) -> Source:
        return open_source(write_checkpoint(tmp_path / "run", llm or llm_dir, record))

    return make


@pytest.fixture
def make_llm(tmp_path: Path) -> Callable[..., Path]:
    """The tiny language model with other settings."""
    return lambda **changes: write_llm(tmp_path / "other_llm", **changes)


@pytest.fixture
def make_record() -> Callable[..., dict[str, Any]]:
    """A finished run's record, some entries changed."""
    return record_of


@pytest.fixture
def features() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = {"global": (1, 12), "local": (2, 6), "audio": (3, 8)}
    return {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}

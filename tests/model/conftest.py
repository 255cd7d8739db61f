"""A tiny language model on disk: a real LLaMA with grouped-query attention and random weights, a real BPE tokenizer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from emotion_llama.model import EmotionLlamaConfig, EmotionLlamaProcessor, FeatureGroup, Lora, new_model
from tests.chat import SMOLLM

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<empty_output>"]
WORDS = "neutral calm happy sad angry fearful disgust surprised"
GROUPS = (
    FeatureGroup("global", 12, 1, "video"),
    FeatureGroup("local", 6, 2, "video", "mlp"),
    FeatureGroup("audio", 8, 3, "audio"),
)


def _tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    core.train_from_iterator([f" {word}" for word in WORDS.split()] * 50, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<empty_output>"],
        chat_template=SMOLLM,
    )


@pytest.fixture(scope="session")
def llm_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tiny_llm")
    tokenizer = _tokenizer()
    torch.manual_seed(7)
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=32,
            intermediate_size=48,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            initializer_range=0.3,  # large, so that every mistake shows in the logits
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
        )
    )
    llama.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture()
def config(llm_dir: Path) -> EmotionLlamaConfig:
    return EmotionLlamaConfig.for_llm(llm_dir, GROUPS, lora=Lora(rank=4, alpha=8, dropout=0.0), llm="tiny")


@pytest.fixture()
def processor(llm_dir: Path, config: EmotionLlamaConfig) -> EmotionLlamaProcessor:
    return EmotionLlamaProcessor.from_pretrained(llm_dir, config)


@pytest.fixture()
def model(llm_dir: Path, config: EmotionLlamaConfig):  # type: ignore[no-untyped-def]
    """LoRA and soft tokens large enough that leaving one out is seen."""
    torch.manual_seed(1)
    made = new_model(config, llm_dir)
    for name, parameter in made.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.2)
    return made.eval()


@pytest.fixture()
def features() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(3)
    shapes = {"global": (1, 12), "local": (2, 6), "audio": (3, 8)}
    return {name: rng.standard_normal(shape, dtype=np.float32) for name, shape in shapes.items()}

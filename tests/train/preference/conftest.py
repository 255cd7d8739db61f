"""A tiny language model with soft tokens, its adapter folder, and invented clips with measurements."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from emotion_llama.clip import Observation
from emotion_llama.model import EmotionLlamaConfig, EmotionLlamaProcessor, FeatureGroup, Lora, TrainSample, new_model
from emotion_llama.model.checkpoint import load_adapter, save_adapter
from emotion_llama.train.preference.facts import Facts, VerifiableSample
from tests.chat import SMOLLM

LABELS = ("happy", "sad", "angry", "neutral")
GROUPS = (FeatureGroup("local", 6, 2, "video", "mlp"), FeatureGroup("audio", 8, 3, "audio"))
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<empty_output>"]

SMILE = Observation(
    channel="face", text="the lip corners are pulled up strongly", source="mesh-au-1", name="AU12", value=3.0,
    unit="of 5", supports=("happy",),
)  # fmt: skip
BROWS = Observation(
    channel="face", text="the brows are lowered strongly", source="mesh-au-1", name="AU04", value=3.0, unit="of 5",
    supports=("angry",),
)  # fmt: skip
LOUD = Observation(
    channel="voice", text="the voice is loud", source="voice-1", name="loudness_db", value=-8.0, unit="dB",
    direction=1, supports=("angry", "happy"),
)  # fmt: skip
QUIET = Observation(
    channel="voice", text="the voice is quiet", source="voice-1", name="loudness_db", value=-45.0, unit="dB",
    direction=-1, supports=("sad",),
)  # fmt: skip


def _tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420, special_tokens=SPECIAL, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    core.train_from_iterator([f" {word}" for word in LABELS] * 50, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<empty_output>"],
        chat_template=SMOLLM,
    )


@pytest.fixture(scope="session")
def small_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real LLaMA of two narrow layers with random weights, and its tokenizer."""
    folder = tmp_path_factory.mktemp("small_llm")
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
            initializer_range=0.3,  # large, so that soft tokens and LoRA have something to work on
            tie_word_embeddings=True,
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
        )
    )
    llama.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def adapter(small_llm: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A trained-looking checkpoint: LoRA that is not zero, with dropout as in training."""
    torch.manual_seed(1)
    config = EmotionLlamaConfig.for_llm(small_llm, GROUPS, lora=Lora(rank=8, alpha=16, dropout=0.05), llm="small")
    made = new_model(config, small_llm)
    for name, parameter in made.named_parameters():
        if ".lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    folder = tmp_path_factory.mktemp("adapter")
    save_adapter(made, folder)
    return folder


@pytest.fixture()
def model(adapter: Path, small_llm: Path):  # type: ignore[no-untyped-def]
    return load_adapter(adapter, small_llm, merge=False)


@pytest.fixture()
def processor(small_llm: Path, model) -> EmotionLlamaProcessor:  # type: ignore[no-untyped-def]
    return EmotionLlamaProcessor.from_pretrained(small_llm, model.config)


@pytest.fixture()
def ask() -> Callable[..., VerifiableSample]:
    """One question with features whose number of rows differs from clip to clip."""

    def make(number: int, task: str = "emotion", label: str | None = None, **facts: object) -> VerifiableSample:
        rng = np.random.default_rng(number)
        label = label or LABELS[number % len(LABELS)]
        features = {"audio": rng.standard_normal((1 + number % 3, 8), dtype=np.float32)}
        if number % 2:
            features["local"] = rng.standard_normal((2, 6), dtype=np.float32)
        words = None if number % 4 == 3 else "well " * (1 + number % 5)
        sample = TrainSample(f"clip{number}", task, LABELS, words, label, features)
        evidence = {"happy": (SMILE, LOUD), "sad": (QUIET,), "angry": (BROWS, LOUD), "neutral": ()}[label]
        given = {"evidence": evidence, "transcript": words, **facts}
        return VerifiableSample(sample, Facts(task, LABELS, label, **given))

    return make


@pytest.fixture()
def only():  # type: ignore[no-untyped-def]
    """`only(model, "lora", "projectors")` gives gradients to these parts, as `model.train` of the settings does."""

    def chosen(model, *parts: str) -> None:  # type: ignore[no-untyped-def]
        for name, parameter in model.named_parameters():
            part = "projectors" if name.startswith("projectors.") else "lora" if ".lora_" in name else ""
            parameter.requires_grad_(part in parts)

    return chosen


class Again:
    """Starts a run anew: the starting model, and the folder of a run that was killed after a step."""

    def __init__(self, adapter: Path, small_llm: Path) -> None:
        self.adapter = adapter
        self.llm = small_llm

    def model(self):  # type: ignore[no-untyped-def]
        return load_adapter(self.adapter, self.llm, merge=False)

    def cut(self, whole: Path, folder: Path, step: int) -> Path:
        shutil.copytree(whole, folder)
        for path in (folder / "checkpoints").iterdir():
            if path.name != f"checkpoint-{step}":
                shutil.rmtree(path)
        torn = folder / "checkpoints" / f"checkpoint-{step + 1}"  # killed while this one was written
        shutil.copytree(folder / "checkpoints" / f"checkpoint-{step}", torn)
        (torn / "trainer_state.json").unlink()
        (folder / "preference.json").unlink()
        return folder


@pytest.fixture()
def again(adapter: Path, small_llm: Path) -> Again:
    return Again(adapter, small_llm)

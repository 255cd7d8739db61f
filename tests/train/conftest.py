"""Invented people, pictures and lines of text, training settings, and a tiny language model to train."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from emotion_llama.clip import Observation
from emotion_llama.encoders.face_tokens import LOCAL_WIDTH
from emotion_llama.labels import LABEL_SETS
from emotion_llama.model import EmotionLlamaConfig, EmotionLlamaProcessor, FeatureGroup, Lora, new_model
from emotion_llama.train.combine import Pool, Text, by_emotion
from emotion_llama.train.config import NanoTraining
from emotion_llama.train.examples import Example
from emotion_llama.train.fit import Trainee

VOICE_EMOTIONS = ("angry", "bored", "calm", "disgust", "fear", "happy", "neutral", "sad", "surprise")
FACE_EMOTIONS = ("angry", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")
TEXT_EMOTIONS = ("angry", "love", "fear", "happy", "neutral", "sad", "surprise")
KIDS = "Kids are talking by the door."
GROUPS = (
    FeatureGroup("global", 6, 1, "video"),
    FeatureGroup("local", LOCAL_WIDTH, 2, "video"),
    FeatureGroup("temporal", 36, 4, "video"),
    FeatureGroup("face_emotion", len(FACE_EMOTIONS), 1, "video"),
    FeatureGroup("audio", 5, 3, "audio"),
    FeatureGroup("voice_emotion", len(VOICE_EMOTIONS), 1, "audio"),
)


def _voice(emotion: str, number: int) -> Example:
    rng = np.random.default_rng(number)
    name = f"voice/{emotion}/{number}"
    loud = Observation(
        channel="voice", text=f"the voice of {name} is loud", source="voice-1", name="loudness_db", value=-12.0,
        direction=1, supports=("angry", "happy"),
    )  # fmt: skip
    said = Observation(
        channel="words", text=f"the words of {name}", source="emotion-words-1", name="words", supports=("sad",)
    )
    return Example(
        id=name,
        corpus="ravdess" if number % 2 else "emodb",
        emotion=emotion,
        person=f"voice person {number % 5}",
        side="train",
        transcript=KIDS if number % 2 else "Der Lappen liegt auf dem Eisschrank.",
        observations=(loud, said),
        arrays={"audio": rng.standard_normal((3, 5), dtype=np.float32)},
    )


def _face(emotion: str, number: int) -> Example:
    rng = np.random.default_rng(1000 + number)
    name = f"face/{emotion}/{number}"
    corner = Observation(
        channel="face", text=f"the lip corners of {name} are pulled", source="mesh-au-1", name="AU12", value=3.0,
        supports=("happy",),
    )  # fmt: skip
    return Example(
        id=name,
        corpus="pictures",
        emotion=emotion,
        person=f"face person {number % 5}",
        side="train",
        transcript=None,
        observations=(corner,),
        arrays={
            "global": rng.standard_normal((1, 6), dtype=np.float32),
            "local": rng.standard_normal(LOCAL_WIDTH, dtype=np.float32),
            "action_units": rng.uniform(0, 5, 18).astype(np.float32),
        },
    )


def _outputs(examples: list[Example], labels: tuple[str, ...]) -> dict[str, np.ndarray]:
    return {e.id: np.eye(len(labels), dtype=np.float32)[[labels.index(e.emotion)]] for e in examples}


@pytest.fixture(scope="session")
def pool() -> Pool:
    """Three voices, three faces and three lines for each emotion; head outputs that are always right."""
    voices = [_voice(emotion, n) for emotion in VOICE_EMOTIONS for n in range(3)]
    faces = [_face(emotion, n) for emotion in FACE_EMOTIONS for n in range(3)]
    texts = [
        Text(f"{emotion}/{n}", f"This line {n} is {emotion}", emotion) for emotion in TEXT_EMOTIONS for n in range(3)
    ]
    return Pool(
        voices=by_emotion(voices),
        faces=by_emotion(faces),
        texts=by_emotion(texts),
        voice_outputs=_outputs(voices, VOICE_EMOTIONS),
        face_outputs=_outputs(faces, FACE_EMOTIONS),
    )


@pytest.fixture(scope="session")
def settings() -> Callable[..., NanoTraining]:
    """Training settings; keywords change them."""

    def make(**changes: Any) -> NanoTraining:
        names = {name: name for name in ("out", "ravdess", "emodb", "fer2013", "pictures", "goemotions")}
        return NanoTraining.model_validate({**names, "splits": {}, **changes})

    return make


def _tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<empty_output>"]
    trainer = trainers.BpeTrainer(
        vocab_size=600, special_tokens=special, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()
    )
    words = [f" {word}" for words in LABEL_SETS.values() for word in words]
    core.train_from_iterator(words * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<empty_output>"],
        chat_template="{% for m in messages %}<|im_start|>{{ m['role'] }}\n{{ m['content'] }}<|im_end|>\n{% endfor %}",
    )


@pytest.fixture(scope="session")
def tiny_llm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a real LLaMA of two narrow layers, random weights, and its tokenizer."""
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
            max_position_embeddings=1024,
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


@pytest.fixture()
def trainee(tiny_llm: Path) -> Trainee:
    """A fresh tiny model with the feature groups of the invented examples."""
    torch.manual_seed(1)
    lora = Lora(rank=4, alpha=8, dropout=0.0)
    config = EmotionLlamaConfig.for_llm(tiny_llm, GROUPS, lora=lora, llm="tiny")
    model = new_model(config, tiny_llm)
    return Trainee(model, EmotionLlamaProcessor.from_pretrained(tiny_llm, model.config))

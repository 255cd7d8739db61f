"""Invented people in three sides, training settings, a tiny language model to train, and small data folders."""

from __future__ import annotations

import csv
import json
import wave
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from emotion_llama.clip import Observation
from emotion_llama.encoders.face_tokens import LOCAL_WIDTH
from emotion_llama.encoders.heads import EmotionHead, Layer
from emotion_llama.labels import LABEL_SETS, canonical
from emotion_llama.overrides import apply_override
from emotion_llama.train.asking import Opinions
from emotion_llama.train.build import Trainee, build
from emotion_llama.train.clip_samples import ClipSampler
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.dataset import Sampler
from emotion_llama.train.examples import Example
from emotion_llama.train.sources import SIDES
from tests.chat import SMOLLM

MakeConfig = Callable[..., TrainConfig]
MakeTrainee = Callable[..., Trainee]

RAVDESS8, FER7, CREMA6 = LABEL_SETS["ravdess8"], LABEL_SETS["fer7"], LABEL_SETS["crema6"]
VOICE_LABELS = tuple(sorted(map(canonical, RAVDESS8)))
FACE_LABELS = tuple(sorted(map(canonical, FER7)))
TEXT_EMOTIONS = ("angry", "love", "fear", "happy", "neutral", "sad", "surprise")
PEOPLE = {"p0": "train", "p1": "train", "p2": "train", "p3": "train", "p4": "validation", "p5": "test"}
"""Each person → side. Clips of one person never leave it."""

KIDS = "Kids are talking by the door."


def observation(channel: str, text: str, supports: tuple[str, ...] = ("happy",)) -> Observation:
    """Give a made-up measurement."""
    names = {"voice": "loudness_db", "face": "AU12", "words": "words", "scene": "brightness"}
    return Observation(
        channel=channel, text=text, source="made-1", name=names[channel], value=3.0, direction=1, supports=supports
    )


def _rng(name: str) -> np.random.Generator:
    return np.random.default_rng(list(name.encode()))


def _signal(labels: Sequence[str], emotion: str, width: int, rng: np.random.Generator) -> np.ndarray:
    """One row (1, width): 3 in the column of the emotion, noise of size 1 everywhere."""
    row = rng.standard_normal((1, width)).astype(np.float32)
    row[0, labels.index(emotion)] += 3.0
    return row


def voice(label: str, person: str, take: int = 0, source: str = "voices") -> Example:
    """A voice recording with the words it says, a label of ravdess8."""
    name, emotion = f"{source}/{person}/{label}{take}", canonical(label)
    rng = _rng(name)
    return Example(
        id=name, source=source, side=PEOPLE[person], person=f"{source}/{person}", label=label, emotion=emotion,
        labels=RAVDESS8, transcript=KIDS,
        observations=(observation("voice", f"the voice of {name} is loud", ("angry", "happy")),
                      observation("words", f"the words of {name}", ("sad",))),
        arrays={"audio_mix": rng.standard_normal((3, 5), dtype=np.float32),
                "audio_statistics": _signal(VOICE_LABELS, emotion, 10, rng)},
    )  # fmt: skip


def face(label: str, person: str, take: int = 0, source: str = "faces") -> Example:
    """A face picture, a label of fer7."""
    name, emotion = f"{source}/{person}/{label}{take}", canonical(label)
    rng = _rng(name)
    return Example(
        id=name, source=source, side=PEOPLE[person], person=f"{source}/{person}", label=label, emotion=emotion,
        labels=FER7, transcript=None,
        observations=(observation("face", f"the lip corners of {name} are pulled"),),
        arrays={"global": rng.standard_normal((1, 6), dtype=np.float32),
                "local": rng.standard_normal((2, LOCAL_WIDTH), dtype=np.float32),
                "action_units": rng.uniform(0, 5, (1, 18)).astype(np.float32),
                "face_view": np.concatenate([_signal(FACE_LABELS, emotion, 9, rng) for _ in range(2)])},
    )  # fmt: skip


def text(emotion: str, person: str, take: int = 0, source: str = "texts") -> Example:
    """A line of text in a set with free labels."""
    return Example(
        id=f"{source}/{person}/{emotion}{take}", source=source, side=PEOPLE[person], person=f"{source}/{person}",
        label=emotion, emotion=emotion, labels=(), transcript=f"Line {take} of {person} is {emotion}",
        observations=(observation("words", f"{emotion} words"),), arrays={},
    )  # fmt: skip


def film(label: str, person: str, take: int = 0, source: str = "films") -> Example:
    """A talking face: picture, movement, voice and words at once, a label of fer7."""
    seen, heard = face(label, person, take, source), voice(label, person, take, source)
    rng = _rng(f"{seen.id}-moving")
    moving = rng.random((4, 36), dtype=np.float32)
    return replace(
        seen,
        transcript="I saw it.",
        observations=(*seen.observations, *heard.observations, observation("scene", f"the room of {seen.id}", ())),
        arrays={
            **{n: rows for n, rows in seen.arrays.items() if n != "action_units"},
            **heard.arrays,
            "temporal": moving,
        },
    )


@pytest.fixture(scope="session")
def make() -> dict[str, Callable[..., Example]]:
    """Makers of single examples: `make["voice"]("fearful", "p0", take=2, source="voices")`, `face`, `text`, `film`."""
    return {"voice": voice, "face": face, "text": text, "film": film}


@pytest.fixture(scope="session")
def examples() -> list[Example]:
    """All people say and show every label once or twice: sources voices, faces, texts, films; sides as `PEOPLE`."""
    found = []
    for person in PEOPLE:
        found += [voice(label, person, take) for label in RAVDESS8 for take in range(2)]
        found += [face(label, person, take) for label in FER7 for take in range(2)]
        found += [text(emotion, person, take) for emotion in TEXT_EMOTIONS for take in range(2)]
        found += [film(label, person) for label in FER7]
    assert {e.side for e in found} == set(SIDES)
    return found


def flat_head(name: str, array: str, labels: tuple[str, ...], width: int) -> EmotionHead:
    """A head that reads the label off `_signal`'s columns, not always rightly."""
    weight = np.eye(width, len(labels), dtype=np.float32) * 1.5
    standard = (np.zeros(width, np.float32), np.ones(width, np.float32))
    return EmotionHead.linear(name, array, labels, standard, Layer(weight, np.zeros(len(labels), np.float32)))


@pytest.fixture(scope="session")
def heads() -> dict[str, EmotionHead]:
    """The two heads of `make_config`, fitted by nobody."""
    return {
        "face_emotion": flat_head("face_emotion", "face_view", FACE_LABELS, 9),
        "voice_emotion": flat_head("voice_emotion", "audio_statistics", VOICE_LABELS, 10),
    }


@pytest.fixture(scope="session")
def opinions(examples: list[Example], heads: dict[str, EmotionHead]) -> Opinions:
    """What `heads` say of `examples`."""
    return {
        name: {e.id: head.opinion(e.arrays[head.array]) for e in examples if head.array in e.arrays}
        for name, head in heads.items()
    }


@pytest.fixture(scope="session")
def make_config(tiny_llm: Path) -> MakeConfig:
    """Settings of a tiny run on `examples`; `make_config("schedule.steps=5", out=folder)` changes them."""

    def made(*words: str, out: Path | str = "runs/made") -> TrainConfig:
        values = _settings(tiny_llm, str(out))
        for word in words:
            apply_override(values, word)
        return TrainConfig.model_validate(values)

    return made


def _settings(llm: Path, out: str) -> dict[str, Any]:
    groups = [
        {"name": "global", "modality": "video"},
        {"name": "local", "modality": "video"},
        {"name": "temporal", "modality": "video", "tokens": 4},
        {"name": "face_emotion", "modality": "video", "head": "face_emotion"},
        {"name": "audio_mix", "modality": "audio"},
        {"name": "voice_emotion", "modality": "audio", "head": "voice_emotion"},
    ]
    heads = [
        {"name": "face_emotion", "array": "face_view", "strengths": [0.01, 0.1], "folds": 3},
        {"name": "voice_emotion", "array": "audio_statistics", "strengths": [0.01, 0.1], "folds": 3},
    ]
    sets = {"voices": "ravdess8", "faces": "fer7", "texts": "", "films": "fer7"}
    return {
        "out": out,
        "model": {
            "llm": str(llm), "dtype": "float32", "features": groups, "heads": heads,
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.0},
        },
        "data": {"sources": [
            {"name": name, "path": f"{name}.jsonl", "split": "official", "labels": labels}
            for name, labels in sets.items()
        ]},
        "schedule": {"steps": 4, "batch_size": 4, "warmup_steps": 1, "bucket": 2},
        "validation": {"every": 2, "clips": 8},
        "calibration": {"clips": 8, "orders": 2},
        "trackers": [],
    }  # fmt: skip


@pytest.fixture(scope="session")
def make_sampler(examples: list[Example], opinions: Opinions, make_config: MakeConfig) -> Callable[..., Any]:
    """`make_sampler(ClipSampler or Combiner, "samples.blank=0", side="train", seed=0)` on `examples` and `opinions`."""

    def made(kind: Callable[..., Any], *words: str, side: str = "train", seed: int = 0) -> Any:
        config = make_config(*words)
        members = [e for e in examples if e.side == side]
        return kind(members, config.data.sources, config.model.features, opinions, config.samples, seed)

    return made


@pytest.fixture
def make_trainee(make_config: MakeConfig, make_sampler: Callable[..., Any], heads: dict[str, EmotionHead]) -> Any:
    """A fresh tiny model with its processor: `make_trainee("model.train=[projectors]", sampler=…, seed=1)`."""

    def made(*words: str, sampler: Sampler | None = None, seed: int = 1) -> Trainee:
        settings = make_config(*words).model
        return build(settings, heads, sampler or make_sampler(ClipSampler, *words), seed=seed)

    return made


@pytest.fixture(scope="session")
def feature_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of kind "features", part CREMA-D: 8 actors × 6 labels × 2 takes; the label shows in the vectors."""
    folder = tmp_path_factory.mktemp("features")
    rng = np.random.default_rng(5)
    rows, audio, video = [], [], []
    codes = ("ANG", "DIS", "FEA", "HAP", "NEU", "SAD")
    for actor in range(1001, 1009):
        for number, code in enumerate(codes):
            for sentence in ("IEO", "TIE"):
                rows.append((len(rows), f"{actor}_{sentence}_{code}_XX", "CREMA-D", f"C{actor}", CREMA6[number]))
                audio.append(rng.normal(3 * np.eye(1, 12, number)[0], 1))
                video.append(rng.normal(2 * np.eye(1, 8, number), 1, (3, 8)))
    lengths = np.full(len(rows), 3)
    np.savez(
        folder / "features.npz",
        audio=np.array(audio, np.float32),
        video=np.array(video, np.float32),
        video_len=lengths,
    )
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([("row", "id", "set", "actor", "emotion"), *rows])
    return folder


@pytest.fixture(scope="session")
def make_feature_config(tiny_llm: Path, feature_folder: Path) -> MakeConfig:
    """Settings of a whole tiny run on `feature_folder`: two actors validate, two are for the test; nothing to fetch."""

    def made(*words: str, out: Path | str = "runs/made") -> TrainConfig:
        values = _settings(tiny_llm, str(out))
        values["model"]["heads"] = [{"name": "both_emotion", "array": "both", "strengths": [0.01, 0.1], "folds": 3}]
        values["model"]["features"] = [
            {"name": "video", "modality": "video"},
            {"name": "audio", "modality": "audio"},
            {"name": "both_emotion", "modality": "audio", "head": "both_emotion"},
        ]
        source = {
            "name": "crema", "kind": "features", "part": "CREMA-D", "path": feature_folder.name, "labels": "crema6",
            "split": {"validation": 0.25, "test": 0.25},
        }  # fmt: skip
        values["data"] = {"root": str(feature_folder.parent), "sources": [source]}
        for word in words:
            apply_override(values, word)
        return TrainConfig.model_validate(values)

    return made


@pytest.fixture
def recordings(tmp_path: Path, own_cache: Path) -> Path:
    """A manifest of ten silent recordings by five people with words: extraction runs on it without any fetched net."""
    folder = tmp_path / "recordings"
    folder.mkdir()
    lines = []
    for number in range(10):
        name = f"take{number}.wav"
        write_wav(folder / name, np.zeros(8000 + number, np.int16))
        line = {
            "clip": name, "speaker": f"q{number % 5}", "emotion": ("happy", "sad")[number // 5],
            "transcript": f"Take {number}.",
        }  # fmt: skip
        lines.append(json.dumps(line))
    (folder / "manifest.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder / "manifest.jsonl"


def write_wav(path: Path, samples: np.ndarray) -> None:
    """Write 16-bit mono sound at 16 kHz."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(16_000)
        file.writeframes(samples.astype("<i2").tobytes())


@pytest.fixture(scope="session")
def make_wav() -> Callable[[Path, np.ndarray], None]:
    """`make_wav(path, samples)` writes 16-bit mono sound at 16 kHz."""
    return write_wav


@pytest.fixture(scope="session")
def voice_like() -> Callable[[float], np.ndarray]:
    """`voice_like(seconds)` gives harmonics of 150 Hz that swell four times a second, as 16-bit samples at 16 kHz."""

    def made(seconds: float) -> np.ndarray:
        at_s = np.arange(round(seconds * 16_000)) / 16_000
        harmonics = sum(np.sin(2 * np.pi * 150 * k * at_s) / k for k in range(1, 9))
        return np.asarray(4000 * harmonics * (1 + np.sin(2 * np.pi * 4 * at_s)), np.int16)

    return made


@pytest.fixture
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty cache folder: nothing is fetched, nothing was extracted."""
    monkeypatch.setenv("EMOTION_LLAMA_CACHE", str(tmp_path / "cache"))
    yield tmp_path / "cache"


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
        chat_template=SMOLLM,
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

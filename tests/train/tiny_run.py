"""A whole training run small enough for a test: invented feature vectors, a narrow LLaMA, settings as a user has them.

Also a program (`python tiny_run.py SETTINGS [key=value …]`): it trains and writes what a test compares as JSON beside
the run, for tests that need several processes, or one that can be killed.
"""

from __future__ import annotations

import atexit
import csv
import gc
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from accelerate import DistributedType, PartialState
from accelerate.state import AcceleratorState
from numpy.typing import NDArray
from safetensors.torch import load_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from emotion_llama.labels import LABEL_SETS
from emotion_llama.overrides import read_config
from emotion_llama.train.build import build
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.extract import extract
from emotion_llama.train.material import prepare, read_items
from emotion_llama.train.questions import sampler_for
from emotion_llama.train.run import end_together, make_trainer, train_steps
from emotion_llama.train.trainer import EmotionTrainer
from tests.chat import SMOLLM

torch.set_num_threads(1)  # tiny matrices: more threads only wait for one another
gc.freeze()  # the library collects garbage at the start of every training; imported modules need not be looked at

WORDS = LABEL_SETS["ravdess8"]
WIDTH = 8
SHAPE: dict[str, Any] = {
    "hidden_size": 32, "intermediate_size": 48, "num_attention_heads": 4, "num_key_value_heads": 2,
    "num_hidden_layers": 2, "tie_word_embeddings": True,
}  # fmt: skip


@cache
def tiny_llm(**shape: int) -> Path:
    """A folder with a real LLaMA of two narrow layers, random weights, and its tokenizer; gone when tests end."""
    folder = Path(tempfile.mkdtemp(prefix="tiny_llm_"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    tokenizer = _tokenizer()
    torch.manual_seed(7)
    llama = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=len(tokenizer),
            max_position_embeddings=512,
            initializer_range=0.3,  # large, so that soft tokens and LoRA have something to work on
            bos_token_id=1,
            eos_token_id=2,
            pad_token_id=2,
            **(SHAPE | shape),
        )
    )
    llama.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=420,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<empty_output>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    core.train_from_iterator([f" {word}" for words in LABEL_SETS.values() for word in words] * 20, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|im_end|>",
        additional_special_tokens=["<empty_output>"],
        chat_template=SMOLLM,
    )


def write_features(folder: Path, *, people: int = 6, takes: int = 1, noise: float = 0.3, seed: int = 0) -> None:
    """A set of feature vectors in which the emotion can be heard and seen: one direction an emotion, plus noise."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    directions = rng.standard_normal((len(WORDS), WIDTH)).astype(np.float32) * 2
    rows: list[dict[str, Any]] = []
    audio: list[NDArray[np.float32]] = []
    for person in range(1, people + 1):
        for number, emotion in enumerate(WORDS):
            for take in range(takes):
                rows.append(
                    {
                        "row": len(rows), "id": f"p{person}-{emotion}-{take}", "set": "RAVDESS",
                        "actor": f"R{person:02d}", "gender": "female", "emotion": emotion,
                        "sentence": "Kids are talking by the door." if take % 2 == 0 else "",
                    }
                )  # fmt: skip
                audio.append(directions[number] + rng.standard_normal(WIDTH).astype(np.float32) * noise)
    sound = np.stack(audio)
    video = np.stack([sound + 1, sound - 1], axis=1)  # (N, 2, V)
    np.savez(folder / "features.npz", audio=sound, video=video, video_len=np.full(len(rows), 2))
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def settings(folder: Path, llm: Path | None = None) -> dict[str, Any]:
    """Settings of a run over what `write_features` wrote into `folder/clips`."""
    return {
        "out": str(folder / "run"),
        "model": {
            "llm": str(llm or tiny_llm()),
            "dtype": "float32",
            "features": [
                {"name": "video", "modality": "video", "tokens": 2},
                {"name": "audio", "modality": "audio", "projector": "mlp"},
            ],
            "lora": {"rank": 4, "alpha": 8, "dropout": 0.1},
        },
        "data": {
            "root": str(folder),
            "sources": [
                {
                    "name": "voices", "kind": "features", "path": "clips", "part": "RAVDESS", "labels": "ravdess8",
                    "split": {"validation": 0.17, "test": 0.17},
                }
            ],
        },
        "samples": {"drop": {"text": 0.3, "video": 0.2}, "feature_noise": 0.05},
        "schedule": {"steps": 12, "batch_size": 4, "learning_rate": 0.005, "warmup_steps": 2, "bucket": 3},
        "validation": {"every": 4, "metric": "nll"},
        "calibration": {"orders": 1},
        "trackers": [],
    }  # fmt: skip


def write_settings(folder: Path, changes: Sequence[str] = (), **features: Any) -> Path:
    """Write data and settings into `folder`; gives the settings file. `features` go to `write_features`."""
    if not (folder / "clips").exists():
        write_features(folder / "clips", **features)
    path = folder / "settings.yaml"
    path.write_text(yaml.safe_dump(settings(folder), sort_keys=False), encoding="utf-8")
    config = read_config(TrainConfig, path, changes)
    path.write_text(yaml.safe_dump(config.model_dump(mode="json", exclude_unset=True)), encoding="utf-8")
    return path


def configured(folder: Path, *changes: str, **features: Any) -> TrainConfig:
    """Data and settings of a run, with changes as on the command line."""
    return read_config(TrainConfig, write_settings(folder, changes, **features))


def trainer_of(config: TrainConfig) -> EmotionTrainer:
    """The trainer exactly as `run` puts it together."""
    material = prepare(config, extract(read_items(config), config).examples)
    sampler = sampler_for(config, material, "train")
    trainee = build(config.model, material.heads, sampler, seed=config.seed, code=config.samples.language)
    return make_trainer(config, trainee, material, Path(config.out))


def trained(model: torch.nn.Module) -> dict[str, Tensor]:
    """Copies of all parameters."""
    return {name: parameter.detach().clone() for name, parameter in model.named_parameters()}


def losses(trainer: EmotionTrainer) -> dict[int, float]:
    """Step → logged loss."""
    return {entry["step"]: entry["loss"] for entry in trainer.state.log_history if "loss" in entry}


def weights(folder: Path) -> dict[str, Tensor]:
    """All tensors of an adapter folder."""
    files = ("adapter_model.safetensors", "projectors.safetensors")
    return {f"{name}/{key}": value for name in files for key, value in load_file(folder / name).items()}


def largest_difference(one: dict[str, Tensor], other: dict[str, Tensor]) -> float:
    """Largest absolute difference between tensors of the same names and shapes."""
    assert one.keys() == other.keys()
    return max(float((one[name].float() - other[name].float()).abs().max()) for name in one)


def environment(**more: str) -> dict[str, str]:
    """One thread, this source tree, nothing of a launcher that may be around."""
    root = str(Path(__file__).parents[2])
    return os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false", "PYTHONPATH": root} | more


def launch(launcher: Sequence[str], *words: str) -> None:
    """Run `python -m LAUNCHER -m tests.train.tiny_run WORDS`; a failure shows what was printed."""
    done = subprocess.run(
        [sys.executable, "-m", *launcher, "-m", "tests.train.tiny_run", *words],
        env=environment(), capture_output=True, text=True, timeout=200, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-4000:]


def shard_on_cpu() -> None:
    """Let accelerate shard on processors too: it reads FSDP settings where there are GPUs only, and gives DDP here."""
    plain = AcceleratorState.__init__

    def init(self: AcceleratorState, *words: Any, **more: Any) -> None:
        if PartialState().distributed_type == DistributedType.MULTI_CPU:
            PartialState._shared_state["distributed_type"] = DistributedType.MULTI_GPU  # devices stay processors
        plain(self, *words, **more)

    AcceleratorState.__init__ = init


def main(path: str, *changes: str) -> None:
    """Train alone (no calibration, no test), from the last checkpoint: adapter and losses.json in `out`."""
    if os.environ.get("ACCELERATE_USE_FSDP") == "true":
        shard_on_cpu()
    config = read_config(TrainConfig, Path(path), changes)
    out = Path(config.out)
    trainer = trainer_of(config)
    train_steps(trainer, out)
    trainer.save_final(out)
    if trainer.is_world_process_zero():
        kind = str(trainer.accelerator.distributed_type)
        found = {"losses": losses(trainer), "validation": trainer.validation_scores, "kind": kind}
        (out / "losses.json").write_text(json.dumps(found), encoding="utf-8")
    end_together()


if __name__ == "__main__":
    main(*sys.argv[1:])

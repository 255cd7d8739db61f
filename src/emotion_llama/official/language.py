"""Llama-2 and the Emotion-LLaMA checkpoint on it → the weight files of one model folder, a shard at a time."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor
from transformers import AutoConfig

from emotion_llama.errors import ModelError
from emotion_llama.model.configuration import EmotionLlamaConfig, FeatureGroup, Lora
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.official.keys import PROJECTORS, Fate, checkpoint_fate, llama_name
from emotion_llama.official.reading import Shard, open_shards, read_pickle
from emotion_llama.official.table import FileTable, Shapes, account
from emotion_llama.prompt import LLAMA_2

LORA_ALPHA = 16
LORA_DROPOUT = 0.05
SHARD_BYTES = 3 * 1024**3 // 4
"""A shard lies in memory twice while it is written: as it was read, and as its bytes."""
WIDTHS = {"global": 5632, "local": 1024, "temporal": 1024, "audio": 1024, "global_cls": 1408}
"""Feature groups in upstream's order of tokens (patches, FaceMAE, VideoMAE, HuBERT, class token) and their widths."""

_VIDEO = ("global", "local", "temporal", "global_cls")


@dataclass(frozen=True)
class Checkpoint:
    """The tensors of an Emotion-LLaMA checkpoint by our names, with the accounts of the files they came from."""

    tensors: Mapping[str, Tensor]
    tables: tuple[FileTable, ...]


def read_checkpoint(emotion_llama: Path | None, minigptv2: Path | None, llama: Shapes) -> Checkpoint:
    """Read the two checkpoints as upstream does: MiniGPT-v2 first, then Emotion-LLaMA over it.

    Without the second its projections of face, voice and class token are drawn anew, with a fixed seed.

    Raises `ModelError` if either is not what it should be, or holds no LoRA.
    """
    tensors: dict[str, Tensor] = {}
    tables = []
    for file, what, parts in (
        (minigptv2, "MiniGPT-v2", ("llama_proj",)),
        (emotion_llama, "Emotion-LLaMA", tuple(PROJECTORS)),
    ):
        if file is None:
            continue
        read = read_pickle(file)
        table = _account(file, what, read, parts, llama)
        table.check()
        tables.append(table)
        tensors |= {name: read[key] for key, name in table.mapped.items()}
    if emotion_llama is None:
        tensors = {**fresh_projections(llama["model.embed_tokens.weight"][1]), **tensors}
    return Checkpoint(tensors, tuple(tables))


def fresh_projections(width: int, seed: int = 42) -> dict[str, Tensor]:
    """Draw the projections that MiniGPT-v2 has none of, as upstream's `nn.Linear` starts them; its seed is 42."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        layers = {name: torch.nn.Linear(WIDTHS[name], width) for name in PROJECTORS.values()}
    return {
        f"projectors.{name}.layers.0.{leaf}": tensor.detach()
        for name, layer in layers.items()
        for leaf, tensor in (("weight", layer.weight), ("bias", layer.bias))
    }


def _account(file: Path, what: str, read: Mapping[str, Tensor], parts: tuple[str, ...], llama: Shapes) -> FileTable:
    shapes = {key: tuple(tensor.shape) for key, tensor in read.items()}
    expected = _expected_lora(file, what, shapes, llama)
    width = llama["model.embed_tokens.weight"][1]
    for part in parts:
        expected[f"projectors.{PROJECTORS[part]}.layers.0.weight"] = (width, WIDTHS[PROJECTORS[part]])
        expected[f"projectors.{PROJECTORS[part]}.layers.0.bias"] = (width,)

    def fate(key: str) -> Fate:
        end = checkpoint_fate(key)
        return Fate(reason="ln_vision, which goes into the global encoder") if key.startswith("ln_vision.") else end

    return account(file, what, shapes, fate, expected)


def _expected_lora(file: Path, what: str, shapes: Shapes, llama: Shapes) -> dict[str, tuple[int, ...]]:
    """Names and shapes of all LoRA tensors that the file must hold: both matrices, in every layer, of its targets."""
    lora = {end.name: shapes[key] for key in shapes if (end := checkpoint_fate(key)).name and ".lora_" in str(end.name)}
    if not lora:
        raise ModelError(
            f"{file}: expected {what} with LoRA tensors (…q_proj.lora_A.weight), found none among {len(shapes)} "
            f"tensors such as {', '.join(list(shapes)[:2])}; is it the file that its option asks for?"
        )
    targets = {str(name).split(".lora_")[0].rpartition(".")[2] for name in lora}
    rank = min(next(iter(lora.values())))
    expected: dict[str, tuple[int, ...]] = {}
    for key, shape in llama.items():
        part = key.removesuffix(".weight")
        if ".layers." in key and part.rpartition(".")[2] in targets:
            expected[f"language_model.{part}.lora_A.default.weight"] = (rank, shape[1])
            expected[f"language_model.{part}.lora_B.default.weight"] = (shape[0], rank)
    return expected


def model_config(llama: Path, checkpoint: Checkpoint, tokens: int, placeholder_id: int) -> EmotionLlamaConfig:
    """Describe the model that the files make: `tokens` patch tokens, LoRA as its tensors have it."""
    lora = [name for name in checkpoint.tensors if ".lora_A." in name]
    text_config = AutoConfig.from_pretrained(llama, local_files_only=True)
    text_config.name_or_path = ""
    adaptation = Lora(
        rank=int(checkpoint.tensors[lora[0]].shape[0]),
        alpha=LORA_ALPHA,
        dropout=LORA_DROPOUT,
        targets=tuple(sorted({name.split(".lora_")[0].rpartition(".")[2] for name in lora})),
    )
    return _config(text_config, adaptation, tokens, placeholder_id)


def _config(text_config: Any, lora: Lora, tokens: int, placeholder_id: int) -> EmotionLlamaConfig:
    groups = [
        FeatureGroup(name, width, tokens if name == "global" else 1, "video" if name in _VIDEO else "audio", "plain")
        for name, width in WIDTHS.items()
    ]
    return EmotionLlamaConfig(
        text_config=text_config,
        features=[vars(group) for group in groups],
        placeholder_token_id=placeholder_id,
        lora=vars(lora),
        chat_frame=vars(LLAMA_2),
        wording="official",
        layout="official-eval",
        zeros=["local", "temporal", "audio"],
    )


def full_config() -> EmotionLlamaConfig:
    """Describe the published model at its full size: Llama-2-7b, EVA-ViT-g at 448 pixels, LoRA of rank 64."""
    text_config = AutoConfig.for_model(
        "llama",
        vocab_size=32000,
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        max_position_embeddings=4096,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
    )
    return _config(text_config, Lora(64, LORA_ALPHA, LORA_DROPOUT), 256, 0)


def write_model(config: EmotionLlamaConfig, llama: Path, checkpoint: Checkpoint, out: Path) -> FileTable:
    """Write the weight files and their index; gives the account of the language model's files.

    No more than one shard is held at a time. Raises `ModelError` for files that do not make the model whole.
    """
    shards = open_shards(llama)
    targets = tuple(config.lora["targets"]) if config.lora else ()
    with torch.device("meta"):
        model = EmotionLlamaForConditionalGeneration(config)
    expected = {name: tuple(value.shape) for name, value in model.state_dict().items()}
    of_llama = {name: shape for name, shape in expected.items() if name not in checkpoint.tensors}
    shapes = {key: shard.shape(key) for key, shard in shards.items()}
    table = account(llama, "the language model", shapes, lambda key: _llama_fate(key, targets), of_llama)
    table.check()
    sources = _sources(table.mapped, shards, checkpoint)
    _write_shards(sources, out)
    return table


def _llama_fate(key: str, targets: tuple[str, ...]) -> Fate:
    if key.endswith("rotary_emb.inv_freq"):
        return Fate(reason="rotary frequencies, which are computed")
    return Fate(llama_name(key, targets))


Source = tuple[str, int, Callable[[], Tensor]]


def _sources(mapped: Mapping[str, str], shards: Mapping[str, Shard], checkpoint: Checkpoint) -> Iterator[Source]:
    """Name, bytes and reader of every tensor of the model, the language model's in the order of its files."""
    for key, name in mapped.items():
        shard = shards[key]
        yield name, shard.bytes(key), lambda shard=shard, key=key: shard.read(key)  # type: ignore[misc]
    for name, tensor in checkpoint.tensors.items():
        yield name, tensor.nbytes, lambda tensor=tensor: tensor  # type: ignore[misc]


def _write_shards(sources: Iterator[Source], out: Path) -> None:
    planned: list[list[Source]] = [[]]
    filled = total = 0
    for source in sources:
        if planned[-1] and filled + source[1] > SHARD_BYTES:
            planned.append([])
            filled = 0
        planned[-1].append(source)
        filled, total = filled + source[1], total + source[1]
    index: dict[str, str] = {}
    for number, shard in enumerate(planned, start=1):
        name = f"model-{number:05d}-of-{len(planned):05d}.safetensors"
        save_file({key: read().contiguous() for key, _, read in shard}, out / name, metadata={"format": "pt"})
        index |= {key: name for key, _, _ in shard}
    told = {"metadata": {"total_size": total}, "weight_map": index}
    (out / "model.safetensors.index.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")

"""Adapter checkpoints: what training writes, without the language model it rests on.

A folder holds `config.json`, `adapter_config.json` and `adapter_model.safetensors` (LoRA in PEFT's own format: PEFT
alone can put it on the language model) and `projectors.safetensors`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from emotion_llama.errors import ModelError
from emotion_llama.model.configuration import EmotionLlamaConfig, Lora
from emotion_llama.model.modeling import (
    EmotionLlamaForConditionalGeneration,
    inject_lora,
    lora_config,
    new_projectors,
)
from emotion_llama.model.projector import Projector
from emotion_llama.prompt import PROMPT_VERSION

ADAPTER_FILE = "adapter_model.safetensors"
PROJECTORS_FILE = "projectors.safetensors"
_PEFT_PREFIX = "base_model.model."


def new_model(
    config: EmotionLlamaConfig,
    llm_dir: str | Path,
    lora: Lora | None = None,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
) -> EmotionLlamaForConditionalGeneration:
    """Make a model to train: the language model of `llm_dir` frozen in `dtype`, fresh float32 projectors and LoRA.

    `lora` overrides `config.lora`; without either only the projectors are trained. Soft tokens start at the size of
    the language model's word embeddings. Seed torch before the call for repeatable weights.
    """
    if lora is not None:
        config.lora = asdict(lora)
    model = _on_language_model(config, llm_dir, device, dtype)
    (words,) = model.get_input_embeddings().parameters()
    size = float(words.detach().float().pow(2).mean().sqrt())
    for projector in model.projectors.values():
        assert isinstance(projector, Projector)
        projector.initialise(size)
    return model


def save_adapter(model: EmotionLlamaForConditionalGeneration, folder: str | Path) -> None:
    """Write projectors and LoRA, float32, into `folder` (made if missing); each file under its name only when whole.

    Raises `ModelError` if LoRA was merged already.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    adapter = lora_config(model.config)
    adapter.inference_mode = True
    _write(target / ADAPTER_FILE, _lora_tensors(model.language_model))
    _write(target / PROJECTORS_FILE, model.projectors.state_dict())
    adapter.save_pretrained(target)
    model.config.save_pretrained(target)


def load_adapter(
    folder: str | Path,
    llm_dir: str | Path,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    merge: bool = True,
) -> EmotionLlamaForConditionalGeneration:
    """Put an adapter checkpoint on the language model of `llm_dir`; ready to answer (evaluation mode).

    With `merge` LoRA is added to the language model's weights (faster, nothing left to train).
    Raises `ModelError` unless every tensor of the checkpoint and of the model is accounted for.
    """
    source = Path(folder)
    config = _read_config(source)
    model = _on_language_model(config, llm_dir, device, torch.float32 if merge else dtype)
    _fill(_lora_tensors(model.language_model), source / ADAPTER_FILE)
    _fill(model.projectors.state_dict(), source / PROJECTORS_FILE)
    if merge:  # added up in float32, so that only the sum is rounded
        model.merge_lora()
        model.language_model.to(dtype)
    model.eval()
    return model


def adapter_sha256(folder: str | Path) -> str:
    """Give one sha256 over the weight files of an adapter checkpoint (LoRA first, then projectors)."""
    digest = hashlib.sha256()
    for name in (ADAPTER_FILE, PROJECTORS_FILE):
        path = Path(folder) / name
        if not path.is_file():
            raise ModelError(f"checkpoint {folder}: expected the file {name}, found none")
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _read_config(folder: Path) -> EmotionLlamaConfig:
    if not (folder / "config.json").is_file():
        raise ModelError(f"checkpoint {folder}: expected the file config.json, found none; give an adapter folder")
    config: EmotionLlamaConfig = EmotionLlamaConfig.from_pretrained(folder)
    if config.prompt_version not in (None, PROMPT_VERSION):
        raise ModelError(
            f"checkpoint {folder}: trained with prompt version {config.prompt_version}, this package writes "
            f"version {PROMPT_VERSION}; use the package version it was made with, or train it anew"
        )
    return config


def _on_language_model(
    config: EmotionLlamaConfig, llm_dir: str | Path, device: str, dtype: torch.dtype
) -> EmotionLlamaForConditionalGeneration:
    """Build the model around read weights; the random ones it would start with stay on the meta device."""
    language_model = AutoModelForCausalLM.from_pretrained(llm_dir, dtype=dtype)
    found, expected = language_model.config, config.text_config
    for key in ("model_type", "hidden_size", "num_hidden_layers", "vocab_size"):
        if getattr(found, key) != getattr(expected, key):
            raise ModelError(
                f"language model {llm_dir}: expected {key} {getattr(expected, key)}, found {getattr(found, key)}; "
                f"this configuration was made for {config.llm or 'another model'}"
            )
    with torch.device("meta"):
        model = EmotionLlamaForConditionalGeneration(config)
    if config.lora is not None:
        inject_lora(language_model, config)
    model.language_model = language_model
    model.projectors = new_projectors(config)
    model.freeze_base()
    model.to(device)
    return model


def _lora_tensors(language_model: nn.Module) -> dict[str, Tensor]:
    """Give the LoRA tensors (shared, not copied) under their names in PEFT's files."""
    own = {name: value.data for name, value in language_model.named_parameters() if ".lora_" in name}
    if not own:
        raise ModelError("adapter: expected LoRA layers in the language model, found none (merged already?)")
    return {_PEFT_PREFIX + name.replace(".default.", "."): value for name, value in own.items()}


def _fill(targets: Mapping[str, Tensor], path: Path) -> None:
    """Copy a safetensors file into `targets`; names and shapes must agree one to one."""
    try:
        found = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ModelError(f"checkpoint file {path}: expected safetensors, {error}; copy or train it anew") from error
    missing, extra = sorted(set(targets) - set(found)), sorted(set(found) - set(targets))
    if missing or extra or not found:
        raise ModelError(
            f"checkpoint file {path}: {len(set(targets) & set(found))} of {len(targets)} tensors found; "
            f"missing {missing[:3]}, not known {extra[:3]}; the file belongs to another configuration"
        )
    for name, target in targets.items():
        if found[name].shape != target.shape:
            raise ModelError(
                f"checkpoint file {path}: {name} expected shape {tuple(target.shape)}, found {tuple(found[name].shape)}"
            )
        with torch.no_grad():
            target.copy_(found[name])


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    partial = path.with_name(path.name + ".partial")
    save_file({name: value.detach().float().cpu().contiguous() for name, value in tensors.items()}, partial)
    partial.chmod(0o644)  # the library makes it private; a checkpoint is there to be shared
    partial.replace(path)

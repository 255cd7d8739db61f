"""Adapter checkpoints: what training writes, without the language model it rests on.

A folder holds `config.json`, `adapter_config.json` and `adapter_model.safetensors` (LoRA in PEFT's own format: PEFT
alone can put it on the language model) and `projectors.safetensors`. A merged folder is a whole model of the library's
own form (`config.json` and `model.safetensors` or its shards), with LoRA added to the weights.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, distribute_tensor
from transformers import AutoModelForCausalLM

from emotion_llama.errors import ModelError, OutputError
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
MODEL_FILE = "model.safetensors"
INDEX_FILE = "model.safetensors.index.json"
_PEFT_PREFIX = "base_model.model."


def new_model(
    config: EmotionLlamaConfig,
    llm_dir: str | Path,
    lora: Lora | None = None,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    quantize: Literal["nf4"] | None = None,
) -> EmotionLlamaForConditionalGeneration:
    """Make a model to train: the language model of `llm_dir` frozen in `dtype`, fresh float32 projectors and LoRA.

    `lora` overrides `config.lora`; without either only the projectors are trained. `quantize` "nf4" holds the frozen
    weights in 4 bits (QLoRA, Dettmers et al. 2023). Soft tokens start at the size of the language model's word
    embeddings. Seed torch before the call for repeatable weights.
    """
    if lora is not None:
        config.lora = asdict(lora)
    model = _on_language_model(config, llm_dir, device, dtype, quantize)
    (words,) = model.get_input_embeddings().parameters()
    size = float(words.detach().float().pow(2).mean().sqrt())
    for projector in model.projectors.values():
        assert isinstance(projector, Projector)
        projector.initialise(size)
    return model


def save_adapter(
    model: EmotionLlamaForConditionalGeneration, folder: str | Path, state: Mapping[str, Tensor] | None = None
) -> None:
    """Write projectors and LoRA, float32, into `folder` (made if missing); each file under its name only when whole.

    `state`: what `adapter_state` gave (default: asked for here). Raises `ModelError` if LoRA was merged already,
    `OutputError` if a file cannot be written.
    """
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    tensors = adapter_state(model) if state is None else state
    adapter = lora_config(model.config)
    adapter.inference_mode = True
    inner, outer = "language_model.", "projectors."
    lora = {name.removeprefix(inner): t for name, t in tensors.items() if name.startswith(inner) and ".lora_" in name}
    if not lora:
        raise ModelError("adapter: expected LoRA layers in the language model, found none (merged already?)")
    _write(target / ADAPTER_FILE, {_peft_name(name): tensor for name, tensor in lora.items()})
    _write(
        target / PROJECTORS_FILE,
        {name.removeprefix(outer): tensor for name, tensor in tensors.items() if name.startswith(outer)},
    )
    adapter.save_pretrained(target)
    model.config.save_pretrained(target)


def adapter_state(model: EmotionLlamaForConditionalGeneration) -> dict[str, Tensor]:
    """Give copies of projectors and LoRA as whole float32 tensors on the CPU.

    Where the weights are sharded over processes, all of them must call this together.
    """
    wanted = {n: t for n, t in model.state_dict().items() if n.startswith("projectors.") or ".lora_" in n}
    whole = {name: t.full_tensor() if isinstance(t, DTensor) else t for name, t in wanted.items()}
    return {name: t.detach().to("cpu", torch.float32, copy=True) for name, t in whole.items()}


def fill_adapter(model: EmotionLlamaForConditionalGeneration, folder: str | Path) -> None:
    """Copy projectors and LoRA of an adapter folder into a model of the same architecture, in place.

    Where the weights are sharded over processes, all of them must call this together.
    Raises `ModelError` unless every tensor of the checkpoint and of the model is accounted for.
    """
    source = Path(folder)
    _fill(_lora_tensors(model.language_model), source / ADAPTER_FILE)
    _fill(model.projectors.state_dict(), source / PROJECTORS_FILE)


def load_adapter(
    folder: str | Path,
    llm_dir: str | Path,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    merge: bool = True,
    quantize: Literal["nf4"] | None = None,
) -> EmotionLlamaForConditionalGeneration:
    """Put an adapter checkpoint on the language model of `llm_dir`; ready to answer (evaluation mode).

    With `merge` LoRA is added to the language model's weights (faster, nothing left to train); `quantize` is for
    training on, without `merge`.
    Raises `ModelError` unless every tensor of the checkpoint and of the model is accounted for.
    """
    source = Path(folder)
    config = read_config(source)
    model = _on_language_model(config, llm_dir, device, torch.float32 if merge else dtype, quantize)
    fill_adapter(model, source)
    if merge:  # added up in float32, so that only the sum is rounded
        model.merge_lora()
        model.language_model.to(dtype)
    model.eval()
    return model


def is_merged(folder: str | Path) -> bool:
    """Whether a checkpoint folder holds a whole model (LoRA merged) instead of an adapter."""
    return any((Path(folder) / name).is_file() for name in (MODEL_FILE, INDEX_FILE))


def load_merged(
    folder: str | Path, *, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> EmotionLlamaForConditionalGeneration:
    """Read a merged folder; ready to answer (evaluation mode), projectors in float32.

    Raises `ModelError` unless every tensor of the files and of the model is accounted for.
    """
    source = Path(folder)
    config = read_config(source)
    try:
        model, found = EmotionLlamaForConditionalGeneration.from_pretrained(
            source, config=config, dtype=dtype, output_loading_info=True, local_files_only=True
        )
    except (OSError, RuntimeError, SafetensorError) as error:
        raise ModelError(f"merged model {source}: cannot be read ({error}); copy or export it anew") from error
    wrong = {key: sorted(map(str, found[key]))[:3] for key in ("missing_keys", "unexpected_keys") if found[key]}
    if wrong:
        raise ModelError(f"merged model {source}: files and config.json do not agree: {wrong}; export it anew")
    ready: EmotionLlamaForConditionalGeneration = model.to(device).eval()
    return ready


def adapter_sha256(folder: str | Path) -> str:
    """Give one sha256 over the weight files of a checkpoint: LoRA, then projectors; or those of a merged model."""
    paths = require_files(folder)
    return _sha256(tuple((path, path.stat().st_size, path.stat().st_mtime_ns) for path in paths))


def require_files(folder: str | Path) -> list[Path]:
    """Give the paths of a checkpoint's weight files. Raises `ModelError` naming the one that is not there."""
    source = Path(folder)
    names: tuple[str, ...] = (ADAPTER_FILE, PROJECTORS_FILE)
    if (source / INDEX_FILE).is_file():
        try:
            names = tuple(sorted(set(json.loads((source / INDEX_FILE).read_text("utf-8"))["weight_map"].values())))
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise ModelError(f"{source / INDEX_FILE}: not an index of weight files; copy it anew") from error
    elif (source / MODEL_FILE).is_file():
        names = (MODEL_FILE,)
    for name in names:
        if not (source / name).is_file():
            raise ModelError(f"checkpoint {folder}: expected the file {name}, found none")
    return [source / name for name in names]


@lru_cache(maxsize=16)
def _sha256(files: tuple[tuple[Path, int, int], ...]) -> str:
    """Hash files in order; remembered by size and time, since every result of a loaded model names this hash."""
    digest = hashlib.sha256()
    for path, _, _ in files:
        with path.open("rb") as stream:
            while chunk := stream.read(1 << 20):
                digest.update(chunk)
    return digest.hexdigest()


def read_config(folder: Path) -> EmotionLlamaConfig:
    """Read a checkpoint's configuration. Raises `ModelError` if there is none or it is of another kind or prompt."""
    if not (folder / "config.json").is_file():
        raise ModelError(f"checkpoint {folder}: expected the file config.json, found none; give an adapter folder")
    try:
        found = EmotionLlamaConfig.get_config_dict(folder)[0].get("model_type")
    except OSError as error:
        raise ModelError(f"checkpoint {folder}: config.json cannot be read ({error}); copy it anew") from error
    if found != EmotionLlamaConfig.model_type:
        raise ModelError(
            f"checkpoint {folder}: expected model_type {EmotionLlamaConfig.model_type!r} in config.json, found "
            f"{found!r}; give a folder that training wrote"
        )
    config: EmotionLlamaConfig = EmotionLlamaConfig.from_pretrained(folder)
    if config.prompt_version not in (None, PROMPT_VERSION):
        raise ModelError(
            f"checkpoint {folder}: trained with prompt version {config.prompt_version}, this package writes "
            f"version {PROMPT_VERSION}; use the package version it was made with, or train it anew"
        )
    return config


def _on_language_model(
    config: EmotionLlamaConfig,
    llm_dir: str | Path,
    device: str,
    dtype: torch.dtype,
    quantize: Literal["nf4"] | None = None,
) -> EmotionLlamaForConditionalGeneration:
    """Build the model around read weights; the random ones it would start with stay on the meta device.

    A whole model of our own form (a converted release) brings projectors and LoRA along.
    """
    if is_whole(llm_dir):
        return on_whole_model(config, Path(llm_dir), device=device, dtype=dtype, quantize=quantize)
    options = _four_bits(device, dtype) if quantize == "nf4" else {}
    language_model = AutoModelForCausalLM.from_pretrained(llm_dir, dtype=dtype, **options)
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
    if quantize is None:
        model.to(device)
    else:  # the library has put the quantised weights where they belong
        model.projectors.to(device)
    return model


def is_whole(llm_dir: str | Path) -> bool:
    """Whether the folder of a language model is a whole model of our own form, as a converted release is."""
    path = Path(llm_dir) / "config.json"
    if not is_merged(llm_dir) or not path.is_file():
        return False
    found = EmotionLlamaConfig.get_config_dict(path.parent)[0]
    return found.get("model_type") == EmotionLlamaConfig.model_type and found.get("lora") is not None


def on_whole_model(
    config: EmotionLlamaConfig,
    folder: Path,
    *,
    device: str = "cpu",
    dtype: torch.dtype = torch.float32,
    quantize: Literal["nf4"] | None = None,
) -> EmotionLlamaForConditionalGeneration:
    """Make a model to train on from a converted release: its own projectors and LoRA, the rest frozen in `dtype`.

    Raises `ModelError` if `config` is of another architecture.
    """
    if quantize is not None:
        raise ModelError(f"quantize {quantize}: not for a whole model such as {folder}; leave quantize out")
    model = load_merged(folder, device=device, dtype=dtype)
    if model.config.lora != config.lora or model.config.features != config.features:
        raise ModelError(
            f"{folder}: its LoRA or feature groups differ from those of the checkpoint that rests on it; give the "
            "folder that the checkpoint was trained from"
        )
    model.config = config
    model.freeze_base()
    return model


def _four_bits(device: str, dtype: torch.dtype) -> dict[str, Any]:
    """Options of the library that read the base in 4-bit NormalFloat, doubly quantised."""
    if device == "cpu" or find_spec("bitsandbytes") is None:
        raise ModelError(
            f"quantize nf4: expected a GPU and the package bitsandbytes, found device {device!r}"
            f"{'' if find_spec('bitsandbytes') else ' and no bitsandbytes'}; leave quantize out, or install it"
        )
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True, bnb_4bit_compute_dtype=dtype
    )
    return {"quantization_config": config, "device_map": {"": device}}


def _lora_tensors(language_model: nn.Module) -> dict[str, Tensor]:
    """Give the LoRA tensors (shared, not copied) under their names in PEFT's files."""
    own = {name: value for name, value in language_model.state_dict().items() if ".lora_" in name}
    if not own:
        raise ModelError("adapter: expected LoRA layers in the language model, found none (merged already?)")
    return {_peft_name(name): value for name, value in own.items()}


def _peft_name(name: str) -> str:
    return _PEFT_PREFIX + name.replace(".default.", ".")


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
        value = found[name].to(target.device)
        if isinstance(target, DTensor):
            value = distribute_tensor(value, target.device_mesh, target.placements)
        with torch.no_grad():
            target.copy_(value)


def _write(path: Path, tensors: Mapping[str, Tensor]) -> None:
    partial = path.with_name(path.name + ".partial")
    try:
        save_file({name: value.contiguous() for name, value in tensors.items()}, partial)
        partial.chmod(0o644)  # the library makes it private; a checkpoint is there to be shared
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error}); free space or choose another folder") from error

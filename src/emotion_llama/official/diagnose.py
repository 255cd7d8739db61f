"""What a checkpoint is, how much of it can be used, and what it needs (`emotion-llama doctor checkpoint`)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import torch
from safetensors import safe_open
from torch import Tensor

from emotion_llama.errors import ModelError
from emotion_llama.model.checkpoint import is_merged, read_config, require_files
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.official.keys import Fate, checkpoint_fate, eva_fate
from emotion_llama.official.reading import read_pickle

Kind = Literal[
    "Emotion-LLaMA checkpoint", "MiniGPT-v2 checkpoint", "EVA-ViT-g", "FaceMAE", "VideoMAE", "adapter folder",
    "whole model folder", "unknown",
]  # fmt: skip

_OPTION = {
    "Emotion-LLaMA checkpoint": "--emotion-llama",
    "MiniGPT-v2 checkpoint": "--minigptv2",
    "EVA-ViT-g": "--eva",
    "FaceMAE": "--mae",
    "VideoMAE": "--videomae",
}
_PURPOSES = (
    ("checkpoint_best", "a classifier of MER2023: it cannot reason, it was tuned on labels alone"),
    ("MER2024-best", "a classifier of MER2024: asked for a reason it repeats the transcript"),
    ("DFEW_zero-shot", "the checkpoint of the DFEW zero-shot scores"),
    ("Emoation_LLaMA", "the general model, which reasons"),
    ("Emotion_LLaMA", "the general model, which reasons"),
)
_NOT_TOLD = "not told by its name: ask it for a reason to see whether it reasons"


@dataclass(frozen=True)
class Diagnosis:
    """What was found. `share`: of the parameters, those that the conversion or `load` uses. `needs` in words."""

    path: Path
    kind: Kind
    tensors: int
    parameters: int
    used: int
    unknown: tuple[str, ...]
    missing: tuple[str, ...]
    purpose: str
    needs: str

    @property
    def share(self) -> float:
        """Used parameters of all."""
        return self.used / self.parameters if self.parameters else 0.0


def diagnose_checkpoint(path: Path) -> Diagnosis:
    """Look at a released file or at a folder of ours. Raises `ModelError` for what cannot be read as either."""
    if path.is_dir():
        return _folder(path)
    tensors = read_pickle(path)
    kind = kind_of(tensors)
    sizes = {key: tensor.numel() for key, tensor in tensors.items()}
    fates = {key: _fate(kind, key) for key in tensors}
    used = sum(size for key, size in sizes.items() if fates[key].name is not None)
    unknown = tuple(key for key, fate in fates.items() if fate.name is None and fate.reason is None)
    purpose = "an encoder" if kind not in ("Emotion-LLaMA checkpoint", "unknown") else _purpose(path)
    option = _OPTION.get(kind)
    needs = f"emotion-llama convert official {option} {path}" if option else "nothing here can use it"
    return Diagnosis(path, kind, len(tensors), sum(sizes.values()), used, unknown, (), purpose, needs)


def kind_of(tensors: Mapping[str, Tensor]) -> Kind:
    """Tell a released file by its tensors."""
    if any(key.startswith("feats_llama_proj") for key in tensors):
        return "Emotion-LLaMA checkpoint"
    if "llama_proj.weight" in tensors:
        return "MiniGPT-v2 checkpoint"
    patch = next((tensor for key, tensor in tensors.items() if key.endswith("patch_embed.proj.weight")), None)
    if patch is None:
        return "unknown"
    if patch.ndim == 5:
        return "VideoMAE"
    return "EVA-ViT-g" if "blocks.0.attn.q_bias" in tensors else "FaceMAE"


def _fate(kind: Kind, key: str) -> Fate:
    if kind in ("Emotion-LLaMA checkpoint", "MiniGPT-v2 checkpoint"):
        return checkpoint_fate(key)
    if kind == "EVA-ViT-g":
        from emotion_llama.official.vision import BLOCKS

        return eva_fate(key, BLOCKS)
    if kind in ("FaceMAE", "VideoMAE"):
        from emotion_llama.official.faces import face_fate

        return face_fate(key)
    return Fate()


def _purpose(path: Path) -> str:
    return next((purpose for name, purpose in _PURPOSES if name.lower() in path.stem.lower()), _NOT_TOLD)


def _folder(path: Path) -> Diagnosis:
    config = read_config(path)
    merged = is_merged(path)
    with torch.device("meta"):
        model = EmotionLlamaForConditionalGeneration(config)
    state = model.state_dict()
    if not merged:
        state = {name: value for name, value in state.items() if ".lora_" in name or name.startswith("projectors.")}
    found = _shapes(path, merged)
    used = sum(math.prod(shape) for name, shape in found.items() if name in state and shape == tuple(state[name].shape))
    unknown = tuple(sorted(set(found) - set(state)))
    missing = tuple(sorted(set(state) - set(found)))
    official = config.wording == "official"
    needs = f"el.load({str(path)!r})" + (f", layout {config.layout} unless told otherwise" if official else "")
    if not merged:
        needs += f"; language model {config.llm}"
    purpose = "a converted release" if official else "trained by this program"
    kind: Kind = "whole model folder" if merged else "adapter folder"
    total = sum(math.prod(shape) for shape in found.values())
    return Diagnosis(path, kind, len(found), total, used, unknown, missing, purpose, needs)


def _shapes(path: Path, merged: bool) -> dict[str, tuple[int, ...]]:
    """Names in our model and shapes of a folder's tensors."""
    found: dict[str, tuple[int, ...]] = {}
    for file in require_files(path):
        try:
            with safe_open(file, framework="pt") as opened:
                for name in opened.keys():  # noqa: SIM118  # not a dictionary
                    found[_own_name(file, name, merged)] = tuple(opened.get_slice(name).get_shape())
        except OSError as error:
            raise ModelError(f"{file}: cannot be read ({error}); copy it again") from error
    return found


def _own_name(file: Path, name: str, merged: bool) -> str:
    if merged:
        return name
    if file.stem == "projectors":
        return f"projectors.{name}"
    part, _, leaf = name.removeprefix("base_model.model.").rpartition(".")
    return f"language_model.{part}.default.{leaf}"

"""The model to train: new, or going on from a checkpoint; standardisation from the data, head projectors from words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion_llama.analyze.preset import PRESETS, choose_dtype, llm_folder
from emotion_llama.encoders.heads import EmotionHead
from emotion_llama.errors import ManifestError, ModelError
from emotion_llama.model.checkpoint import is_whole, load_adapter, new_model, on_whole_model, read_config
from emotion_llama.model.configuration import EmotionLlamaConfig, FeatureGroup, Lora
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor
from emotion_llama.model.projector import Projector
from emotion_llama.train.config import FeatureSettings, ModelSettings
from emotion_llama.train.dataset import Sampler

STATISTICS_SAMPLES = 600
"""So many training samples decide width, tokens and standardisation of the feature groups."""


@dataclass(frozen=True)
class Trainee:
    """The model in training with its processor. `spread`: standard deviation of each feature group's columns (E,)."""

    model: EmotionLlamaForConditionalGeneration
    processor: EmotionLlamaProcessor
    spread: dict[str, NDArray[np.float32]]


def build(
    settings: ModelSettings,
    heads: Mapping[str, EmotionHead],
    sampler: Sampler,
    *,
    seed: int,
    device: str = "cpu",
    code: str = "en",
) -> Trainee:
    """Make the model of a run, reproducibly by `seed`; shapes and standardisation are those of the sampler's samples.

    `code`: the language that its samples are in, and that it is asked in from then on.

    Raises `ModelError` for a checkpoint of another architecture, `ManifestError` for a group that no sample has.
    """
    torch.manual_seed(seed)
    dtype = choose_dtype(settings.dtype, device)
    if settings.init is not None:
        trainee = _go_on(settings, device, dtype)
        if trainee.model.config.wording == "official" and code != "en":
            raise ModelError(
                f"init {settings.init}: released weights know their own English prompt only; leave language out"
            )
        trainee.model.config.language = trainee.processor.config.language = code
        return trainee
    folder = llm_folder(settings.llm)
    seen = _statistics(sampler, [group.name for group in settings.features if group.head is None])
    groups = tuple(_group(group, heads, seen) for group in settings.features)
    lora = Lora(**settings.lora.model_dump()) if settings.lora is not None else None
    config = EmotionLlamaConfig.for_llm(
        folder,
        groups,
        lora=lora,
        llm=settings.llm,
        placeholder=settings.placeholder,
        encoders=dict(settings.encoders),
        language=code,
    )
    model = new_model(config, folder, lora, device=device, dtype=dtype, quantize=settings.quantize)
    processor = EmotionLlamaProcessor.from_pretrained(folder, model.config)
    for group in settings.features:
        projector = cast(Projector, model.projectors[group.name])
        if group.head is not None:
            start_from_words(model, processor, group.name, heads[group.head].labels)
        elif projector.kind != "plain":
            projector.standardise(*seen[group.name].standard())
    return _trainee(model, processor, settings)


def checkpoint_folder(init: str) -> Path:
    """Give the folder of a checkpoint or preset. Raises `ModelError` if it is none."""
    folder = Path(str(files("emotion_llama") / "weights" / init)) if init in PRESETS else Path(init)
    if not (folder / "config.json").is_file():
        raise ModelError(f"init {init!r}: expected a checkpoint folder or one of {', '.join(PRESETS)}, found neither")
    return folder


def _go_on(settings: ModelSettings, device: str, dtype: torch.dtype) -> Trainee:
    assert settings.init is not None
    folder = checkpoint_folder(settings.init)
    config = read_config(folder)
    _check_same(settings, config, folder)
    if is_whole(folder):
        return _trainee(*_from_release(folder, config, settings, device, dtype), settings)
    if config.llm is None:
        raise ModelError(f"{folder}: config.json names no language model (llm); set it before training goes on")
    llm = llm_folder(config.llm)
    model = load_adapter(folder, llm, device=device, dtype=dtype, merge=False, quantize=settings.quantize)
    return _trainee(model, EmotionLlamaProcessor.from_pretrained(llm, model.config), settings)


def _from_release(
    folder: Path, config: EmotionLlamaConfig, settings: ModelSettings, device: str, dtype: torch.dtype
) -> tuple[EmotionLlamaForConditionalGeneration, EmotionLlamaProcessor]:
    """A converted release to go on from: what is trained becomes an adapter folder that rests on it.

    It learns in the order of tokens that upstream trains with, and is then asked in it, too.
    """
    config.layout = "aligned"
    config.llm = str(folder.resolve())
    config.encoders = {name: str((folder / path).resolve()) for name, path in config.encoders.items()}
    model = on_whole_model(config, folder, device=device, dtype=dtype, quantize=settings.quantize)
    return model, EmotionLlamaProcessor.from_pretrained(folder, config)


def _check_same(settings: ModelSettings, config: EmotionLlamaConfig, folder: Path) -> None:
    """A checkpoint keeps its architecture; settings that name another one are a mistake, not a wish."""
    wanted, found = [g.name for g in settings.features], [g.name for g in config.groups]
    if wanted and wanted != found:
        raise ModelError(
            f"init {folder}: it reads the feature groups {', '.join(found)}, the settings name {', '.join(wanted)}; "
            "leave features out, or train a new model without init"
        )
    if settings.lora is not None and config.lora is not None:
        for key in ("rank", "alpha"):
            if "lora" in settings.model_fields_set and getattr(settings.lora, key) != config.lora[key]:
                raise ModelError(
                    f"init {folder}: its LoRA has {key} {config.lora[key]}, the settings say "
                    f"{getattr(settings.lora, key)}; leave lora out, or train a new model without init"
                )


def _trainee(
    model: EmotionLlamaForConditionalGeneration, processor: EmotionLlamaProcessor, settings: ModelSettings
) -> Trainee:
    for name, parameter in model.named_parameters():
        if parameter.requires_grad:
            part = "projectors" if name.startswith("projectors.") else "lora"
            parameter.requires_grad_(part in settings.train)
    if settings.gradient_checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
    if not any(p.requires_grad for p in model.parameters()):
        raise ModelError("model.train: nothing is left to train; choose projectors, lora (with lora set) or both")
    heads = {group.name for group in settings.features if group.head is not None}
    spread = {
        name: cast(Projector, projector).std.detach().cpu().numpy()
        for name, projector in model.projectors.items()
        if name not in heads and cast(Projector, projector).kind != "plain"
    }
    return Trainee(model, processor, spread)


def _group(group: FeatureSettings, heads: Mapping[str, EmotionHead], seen: Mapping[str, _Columns]) -> FeatureGroup:
    if group.head is not None:
        labels = heads[group.head].labels
        own = (group.name, len(labels), 1, group.modality, group.projector, labels, group.still, group.joint)
        return FeatureGroup(*own)
    found = seen[group.name]
    tokens = group.tokens or found.tokens
    own = (group.name, len(found.total), tokens, group.modality, group.projector, (), group.still, group.joint)
    return FeatureGroup(*own)


class _Columns:
    """Running sums of one feature group's rows: many clips' features need not be held at once."""

    def __init__(self, width: int) -> None:
        self.tokens = 0
        self.count = 0
        self.total = np.zeros(width)
        self.squares = np.zeros(width)

    def add(self, rows: NDArray[np.float32]) -> None:
        self.tokens = max(self.tokens, len(rows))
        self.count += len(rows)
        self.total += rows.sum(axis=0, dtype=np.float64)
        self.squares += np.square(rows, dtype=np.float64).sum(axis=0)

    def standard(self) -> tuple[Tensor, Tensor]:
        mean = self.total / self.count
        variance = np.maximum(self.squares / self.count - mean**2, 0.0)
        return torch.from_numpy(mean).float(), torch.from_numpy(np.sqrt(variance)).float()


def _statistics(sampler: Sampler, names: Sequence[str]) -> dict[str, _Columns]:
    found: dict[str, _Columns] = {}
    for index in range(STATISTICS_SAMPLES):
        sample = sampler.draw(index)
        for name in names:
            if name not in sample.features:
                continue
            rows = sample.features[name]
            kept = found.setdefault(name, _Columns(rows.shape[1]))
            if rows.shape[1] != len(kept.total):
                raise ManifestError(
                    f"feature group {name!r}: clip {sample.clip} has rows of {rows.shape[1]} numbers, others of "
                    f"{len(kept.total)}; extract all clips with one encoder"
                )
            kept.add(rows)
    missing = [name for name in names if name not in found]
    if missing:
        raise ManifestError(
            f"feature group {', '.join(missing)}: expected it in the training clips, found it in none of "
            f"{STATISTICS_SAMPLES} samples; take it out of model.features, or extract it"
        )
    return found


@torch.no_grad()
def start_from_words(
    model: EmotionLlamaForConditionalGeneration, processor: EmotionLlamaProcessor, name: str, labels: Sequence[str]
) -> None:
    """Start a head's projector so that its soft token is the expected embedding of the label word.

    Only the linear form can start like this; others keep their random start.
    """
    projector = cast(Projector, model.projectors[name])
    if projector.kind != "linear":
        return
    words = cast(nn.Embedding, model.get_input_embeddings()).weight
    columns = [words[processor.answer_ids(processor.label(label))].float().mean(dim=0) for label in labels]
    layer = cast(nn.Linear, projector.layers[-1])
    layer.weight.copy_(torch.stack(columns, dim=1))  # (D, K)
    layer.bias.zero_()

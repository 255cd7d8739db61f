"""What a run draws from: clips with sides, fitted heads and their opinions, the population's means."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from emotion_llama.encoders.heads import EmotionHead, load_heads
from emotion_llama.encoders.person import load_population
from emotion_llama.errors import ManifestError, ModelError
from emotion_llama.model.checkpoint import read_config
from emotion_llama.model.configuration import FeatureGroup
from emotion_llama.train.asking import Opinions, inputs_of
from emotion_llama.train.build import checkpoint_folder
from emotion_llama.train.config import SUFFIX, FeatureSettings, Source, TrainConfig
from emotion_llama.train.examples import Example
from emotion_llama.train.extract import Extracted, LeftOut
from emotion_llama.train.heads import FittedHead, fit_head
from emotion_llama.train.person import population_means, with_baselines
from emotion_llama.train.progress import console
from emotion_llama.train.record import RECORD
from emotion_llama.train.sides import assign_sides, check_people, shuffled_truth
from emotion_llama.train.sources import Item, read_source

POPULATION = "population.safetensors"


@dataclass(frozen=True)
class Material:
    """What training, validation and scoring draw from. `left_out`: clips in which the model has nothing to read."""

    examples: list[Example]
    groups: tuple[FeatureSettings, ...]
    heads: dict[str, EmotionHead]
    opinions: Opinions
    recall: dict[str, dict[str, float]]
    population: dict[str, NDArray[np.float32]]
    left_out: list[LeftOut] = field(default_factory=list)


def read_items(config: TrainConfig) -> list[Item]:
    """Read all sources and give each clip its side."""
    items: list[Item] = []
    for source in config.data.sources:
        items += assign_sides(read_source(source, config.data), source, config.data, config.seed)
    check_people(items, config.data.sources)
    if not any(item.side == "train" for item in items):
        raise ManifestError("data.sources: no clip is on the training side; check split and side of the sources")
    return shuffled_truth(items, config.seed) if config.data.shuffle_truth else items


def say_extracted(extracted: Extracted, items: Sequence[Item], *, everything: bool = False) -> None:
    """Print how many examples there are, and what was left out (the first few, or all)."""
    console.print(f"{len(extracted.examples)} examples of {len(items)} clips, {extracted.fresh} extracted now")
    shown = extracted.left_out if everything else extracted.left_out[:5]
    for one in shown:
        console.print(f"  left out {one.clip}: {one.reason}")
    if len(shown) < len(extracted.left_out):
        console.print(f"  and {len(extracted.left_out) - len(shown)} more, all named in {RECORD}")


def prepare(config: TrainConfig, extracted: Sequence[Example]) -> Material:
    """Add the clips beside their own person, fit the heads (or take those of `model.init`), give every opinion.

    Clips that hold nothing of what the model reads are left out and named.
    """
    examples, population = list(extracted), population_of(config, extracted)
    if population:
        examples += with_baselines(examples, config.data.sources, population, config.seed)
    made = _fitted if config.model.init is None else _prepared
    return _readable(made(config, examples, population))


def _readable(material: Material) -> Material:
    """Leave out clips that hold nothing of what the model reads: shown nothing, it would learn to guess from nothing.

    Raises `ManifestError` if no training clip is left.
    """
    kept: list[Example] = []
    lost: list[Example] = []
    wanted = ", ".join(group.name for group in material.groups)
    for example in material.examples:
        there = example.question is not None or inputs_of(example, material.groups, material.opinions)
        (kept if there else lost).append(example)
    if lost:
        console.print(f"{len(lost)} clips hold none of {wanted}, nor words, and are left out: {lost[0].id} …")
    if not any(example.side == "train" for example in kept):
        raise ManifestError(f"model.features: expected {wanted} or words in the training clips, found none in any")
    return replace(
        material, examples=kept, left_out=[LeftOut(e.id, f"holds none of {wanted}, nor words") for e in lost]
    )


def _fitted(config: TrainConfig, examples: list[Example], population: dict[str, NDArray[np.float32]]) -> Material:
    """Fit the heads on the examples."""
    fitted: dict[str, FittedHead] = {}
    for settings in config.model.heads:
        fitted[settings.name] = fit_head(settings, examples, config.seed)
        seen = {side: value for side, value in fitted[settings.name].recall.items() if side != "test"}
        recall = ", ".join(f"{side} {value:.3f}" for side, value in seen.items())
        console.print(f"head {settings.name}: strength {fitted[settings.name].setting:g}, mean recall {recall}")
    return Material(
        examples=examples,
        groups=config.model.features,
        heads={name: one.head for name, one in fitted.items()},
        opinions={name: one.opinions for name, one in fitted.items()},
        recall={name: one.recall for name, one in fitted.items()},
        population=population,
    )


def population_of(config: TrainConfig, examples: Sequence[Example]) -> dict[str, NDArray[np.float32]]:
    """Give the population's means: of the training side, or those of the checkpoint that is gone on with."""
    if config.model.init is None:
        return population_means(examples, config.model.recentre)
    path = checkpoint_folder(config.model.init) / POPULATION
    return load_population(path) if path.is_file() else {}


def _prepared(config: TrainConfig, examples: list[Example], population: dict[str, NDArray[np.float32]]) -> Material:
    """Groups and heads of the checkpoint that is gone on with; its heads' opinions as they are."""
    folder = checkpoint_folder(str(config.model.init))
    heads = load_heads(folder / "heads.safetensors") if (folder / "heads.safetensors").is_file() else {}
    groups = tuple(_as_settings(group, heads) for group in read_config(folder).groups)
    names = [group.name for group in groups]
    if unknown := [name for name in config.samples.feature_drop if name not in names]:
        raise ModelError(
            f"samples.feature_drop: {', '.join(unknown)} names no feature group of {folder}; known are "
            f"{', '.join(names)}"
        )
    opinions = {
        name: {e.id: head.opinion(e.arrays[head.array]) for e in examples if head.array in e.arrays}
        for name, head in heads.items()
    }
    return Material(examples, groups, heads, opinions, {}, population)


def _as_settings(group: FeatureGroup, heads: dict[str, EmotionHead]) -> FeatureSettings:
    return FeatureSettings(
        name=group.name,
        modality=group.modality,
        tokens=group.tokens,
        projector=group.projector,
        head=group.name if group.name in heads else None,
        still=group.still,
        joint=group.joint,
    )


def all_sources(config: TrainConfig, material: Material) -> list[Source]:
    """The sources, and after each that asks for baselines its clips beside their own person as one more."""
    found = []
    for source in config.data.sources:
        found.append(source)
        if source.baseline is not None and material.population:
            found.append(source.model_copy(update={"name": f"{source.name}{SUFFIX}"}))
    return found

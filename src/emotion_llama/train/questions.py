"""What a run asks: samples to learn from, and the label questions of validation and calibration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from emotion_llama.model.processing import TrainSample
from emotion_llama.train.clip_samples import ClipSampler, closed_samples
from emotion_llama.train.combine import Combiner
from emotion_llama.train.config import SUFFIX, CalibrationSettings, TrainConfig
from emotion_llama.train.dataset import MixedSampler, Sampler
from emotion_llama.train.material import Material, all_sources
from emotion_llama.train.validate import AS_MOVING

STREAMS = {"train": 0, "validation": 1_000_003, "calibration": 2_000_003}
"""Added to the seed, so that no two stages draw the same combinations."""


def sampler_for(config: TrainConfig, material: Material, stream: str) -> Sampler:
    """Make the sampler of one side: clips as they are, combinations, or a mix."""
    side = "train" if stream == "train" else "validation"
    examples = [e for e in material.examples if e.side == side]
    seed = config.seed + STREAMS[stream]
    words = (examples, all_sources(config, material), material.groups, material.opinions, config.samples, seed)
    if config.samples.mix == "clips":
        return ClipSampler(*words)
    combinations = Combiner(*words)
    share = config.samples.combine_share
    return combinations if share >= 1 else MixedSampler(ClipSampler(*words), combinations, share, seed)


def questions(config: TrainConfig, material: Material, stream: str, clips: int, combinations: int) -> list[TrainSample]:
    """Give the label questions of the validation side: clips of each source, and combinations where they are asked."""
    examples = [e for e in material.examples if e.side == "validation"]
    found = closed_samples(examples, material.groups, material.opinions, clips, config.seed + STREAMS[stream])
    if combinations and config.samples.mix == "combine":
        seed = config.seed + STREAMS[stream]
        sources = all_sources(config, material)
        sampler = Combiner(examples, sources, material.groups, material.opinions, config.samples, seed)
        found += combined_questions(sampler, combinations)
    return found


def combined_questions(sampler: Combiner, count: int) -> list[TrainSample]:
    """Draw combinations of at least two inputs, asked with the eight labels of ravdess8."""
    found: list[TrainSample] = []
    number = 0
    while len(found) < count and number < 200 * count:
        sample = sampler.closed(number)
        number += 1
        if sample is not None:
            found.append(sample)
    return found


def calibration_questions(config: TrainConfig, settings: CalibrationSettings, material: Material) -> list[TrainSample]:
    """Give what the calibration is fitted on: questions of sources that count for it, stills also as moving faces."""
    left_out = {source.name for source in config.data.sources if not source.calibrate}
    asked = questions(config, material, "calibration", settings.clips, settings.combinations)
    kept = [sample for sample in asked if sample.source.removesuffix(SUFFIX) not in left_out]
    alone = [one for sample in kept for one in each_alone(sample, material)] if settings.alone else []
    return kept + as_moving(kept, config, material) + alone


def each_alone(sample: TrainSample, material: Material) -> list[TrainSample]:
    """Give a question about picture and sound once more with each of the two alone, without words."""
    needed = {group.name: group.needed() for group in material.groups}
    parts = [
        {name: rows for name, rows in sample.features.items() if needed[name] == (modality,)}
        for modality in ("video", "audio")
    ]
    return [replace(sample, features=part, transcript=None) for part in parts] if all(parts) else []


def as_moving(samples: Sequence[TrainSample], config: TrainConfig, material: Material) -> list[TrainSample]:
    """Give the questions about still pictures once more, with the features that a moving face has.

    How sure to be of moving faces is fitted on them, not what a head counts there: the language model has learned from
    pictures like these, of moving faces it knows as little as the head. Sources on which a head for moving faces was
    fitted are left out: their pictures are no stranger to it, as moving faces are.
    """
    still = {group.name for group in material.groups if group.still}
    moving = {group.head for group in material.groups if group.head and group.modality == "video" and not group.still}
    known = {source for head in config.model.heads if head.name in moving for source in head.sources}
    return [
        replace(
            sample,
            features={name: rows for name, rows in sample.features.items() if name not in still},
            source=f"{sample.source}{AS_MOVING}",
        )
        for sample in samples
        if still & set(sample.features) and sample.source not in known
    ]

"""Examples of a run → questions whose answers can be checked: what is asked, and what is known of the clip."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Mapping, Sequence

from emotion_llama.clip import Channel, Modality, Task
from emotion_llama.labels import canonical, is_known
from emotion_llama.model.processing import TrainSample
from emotion_llama.train.asking import inputs_of
from emotion_llama.train.clip_samples import ClipSampler, sample_of
from emotion_llama.train.config import FeatureSettings, TrainConfig
from emotion_llama.train.examples import Example
from emotion_llama.train.material import Material, all_sources
from emotion_llama.train.preference.facts import Facts, VerifiableSample
from emotion_llama.train.preference.pairs import Find
from emotion_llama.train.sources import Side

DRAWS = 5
"""So often, times the number of questions there can be, is drawn before those never drawn are let go."""

SENSED: Mapping[Modality, tuple[Channel, ...]] = {"video": ("face", "scene"), "audio": ("voice",), "text": ("words",)}
"""Input → the channels whose measurements come from it."""


def draw_questions(config: TrainConfig, material: Material, side: Side, count: int) -> list[VerifiableSample]:
    """Draw up to `count` different questions (a clip and a task) of one side, as samples are drawn in all training.

    Sources, labels, tasks, label sets and inputs that are left out follow `samples` of the settings; a question about
    nothing (`samples.blank`) is not asked, and general questions have no facts to be checked with.
    """
    examples = {e.id: e for e in material.examples if e.side == side and e.question is None}
    if not examples or not count:
        return []
    settings = config.samples.model_copy(update={"blank": 0.0})
    sources = all_sources(config, material)
    sampler = ClipSampler(list(examples.values()), sources, material.groups, material.opinions, settings, config.seed)
    tasks = {task for mix in sampler.tasks.values() for task, share in mix.items() if share > 0} | {"reason"}
    found: dict[tuple[str, Task], VerifiableSample] = {}
    for index in range(DRAWS * min(count, len(examples) * len(tasks))):
        sample = sampler.draw(index)
        key = sample.clip, sample.task
        if key not in found:
            found[key] = verifiable(sample, examples[sample.clip], material.groups)
        if len(found) == count:
            break
    return list(found.values())


def verifiable(sample: TrainSample, example: Example, groups: Sequence[FeatureSettings]) -> VerifiableSample:
    """Put a question and what is known of its example together; only inputs that the sample has bear evidence."""
    inputs: set[Modality] = {group.modality for group in groups if group.name in sample.features}
    if sample.transcript is not None:
        inputs.add("text")
    channels = {channel for name in inputs for channel in SENSED[name]}
    label = _right_label(sample.labels, example)
    facts = Facts(
        task=sample.task,
        labels=sample.labels,
        label=label,
        words=frozenset({label}) if label is not None and not sample.labels else frozenset(),
        evidence=tuple(o for o in example.observations if o.channel in channels),
        transcript=sample.transcript,
    )
    return VerifiableSample(sample, facts)


def _right_label(labels: Sequence[str], example: Example) -> str | None:
    """The word of the asked set that is right; the emotion's own name where free words were asked for."""
    if example.label is None or example.label in labels:
        return example.label
    if not labels:
        return example.emotion if example.labels else example.label
    return next(word for word in labels if is_known(word) and canonical(word) == example.emotion)


def finder(config: TrainConfig, material: Material) -> Find:
    """Find what the user's own pairs are about: a training clip, named as in its manifest or as "source/clip".

    It is asked with all its inputs and its source's own label set.
    """
    named: dict[str, dict[str, Example]] = defaultdict(dict)
    for example in material.examples:
        if example.side == "train" and example.copy == 0 and example.question is None:
            for name in (example.id, example.id.removeprefix(f"{example.source}/")):
                named[name][example.id] = example
    settings = config.samples.model_copy(
        update={"named_sets": 0.0, "made_up_sets": 0.0, "feature_drop": {}, "told": 0.0}
    )

    def find(clip: str, task: Task) -> list[TrainSample]:
        return [
            sample_of(
                example,
                task,
                inputs_of(example, material.groups, material.opinions),
                random.Random(f"{config.seed}-{example.id}-{task}"),
                material.groups,
                material.opinions,
                settings,
            )
            for example in named.get(clip, {}).values()
        ]

    return find

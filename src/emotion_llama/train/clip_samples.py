"""Samples that are clips as they are: one of the sources, one of its labels, one clip, one task."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence

from emotion_llama.clip import Modality, Task
from emotion_llama.errors import ManifestError
from emotion_llama.model.processing import TrainSample
from emotion_llama.train.asking import (
    Opinions,
    asked_labels,
    clues_for,
    composed,
    features_of,
    hide_some,
    inputs_of,
    phrases_for,
)
from emotion_llama.train.config import FeatureSettings, SampleSettings, Source
from emotion_llama.train.examples import Example


class ClipChooser:
    """Draws examples: source by weight, label by the balance that settings ask for, then evenly."""

    def __init__(self, examples: Sequence[Example], sources: Sequence[Source], settings: SampleSettings) -> None:
        groups: dict[str, dict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
        for example in examples:
            groups[example.source][str(example.emotion)].append(example)
        kept = [source for source in sources if source.name in groups and source.weight > 0]
        if not kept:
            raise ManifestError("training: expected at least one source with clips and a weight above 0, found none")
        self.sources = [source.name for source in kept]
        self.weights = [source.weight for source in kept]
        self.labels = {name: sorted(groups[name]) for name in self.sources}
        self.members = {name: dict(groups[name]) for name in self.sources}
        power = {"natural": 1.0, "balanced": 0.0, "tempered": settings.temper}[settings.balance]
        self.label_weights = {
            name: [len(self.members[name][label]) ** power for label in self.labels[name]] for name in self.sources
        }

    def choose(self, rng: random.Random) -> Example:
        """Draw one example."""
        source = rng.choices(self.sources, self.weights)[0]
        label = rng.choices(self.labels[source], self.label_weights[source])[0]
        return rng.choice(self.members[source][label])


class ClipSampler:
    """Sample number `index` of a run: always the same for one seed, whatever was drawn before it."""

    def __init__(
        self,
        examples: Sequence[Example],
        sources: Sequence[Source],
        groups: Sequence[FeatureSettings],
        opinions: Opinions,
        settings: SampleSettings,
        seed: int,
    ) -> None:
        self.chooser = ClipChooser(examples, sources, settings)
        self.tasks = {source.name: source.tasks or settings.tasks for source in sources}
        self.groups = groups
        self.opinions = opinions
        self.settings = settings
        self.seed = seed

    def draw(self, index: int) -> TrainSample:
        """Draw one sample: clip, inputs, task, label set and answer."""
        rng = random.Random(f"{self.seed}-{index}")
        example = self.chooser.choose(rng)
        if example.question is not None:
            return question_sample(example, self.groups, self.opinions)
        blank = example.label is not None and rng.random() < self.settings.blank
        inputs = () if blank else self._inputs(rng, example)
        task = self._task(rng, example, inputs)
        return sample_of(example, task, inputs, rng, self.groups, self.opinions, self.settings)

    def _inputs(self, rng: random.Random, example: Example) -> tuple[Modality, ...]:
        """Leave inputs out at random; one always stays."""
        there = inputs_of(example, self.groups, self.opinions)
        if "text" in there and rng.random() < self.settings.text_only:
            return ("text",)
        kept = tuple(name for name in there if rng.random() >= self.settings.drop.get(name, 0.0))
        return kept or ((rng.choice(there),) if there else ())

    def _task(self, rng: random.Random, example: Example, inputs: Sequence[Modality]) -> Task:
        mix = self.tasks[example.source]
        task: Task = rng.choices(list(mix), list(mix.values()))[0]
        usual: Task = "emotion" if example.label is not None else "reason"  # without a label only its reasoning is left
        if task == "emotion":
            return usual
        if task == "reason" and example.reasoning is not None and inputs:
            return task
        channels = {"reason": {"face", "voice", "words"}, "visual": {"face", "scene"}, "audio": {"voice"}}[task]
        sensed = {"face": "video", "scene": "video", "voice": "audio", "words": "text"}
        seen = {o.channel for o in example.observations if sensed[o.channel] in inputs}
        return task if seen & channels else usual


def sample_of(
    example: Example,
    task: Task,
    inputs: Sequence[Modality],
    rng: random.Random,
    groups: Sequence[FeatureSettings],
    opinions: Opinions,
    settings: SampleSettings,
) -> TrainSample:
    """Ask one question about one example with the inputs named. A written reasoning is kept as the answer."""
    labels, label = asked_labels(rng, task, example.label or "", example.labels, settings)
    words = example.transcript if "text" in inputs else None
    sensed = {"video": ("face", "scene"), "audio": ("voice",), "text": ("words",)}
    channels = {channel for name in inputs for channel in sensed[name]}
    observations = [o for o in example.observations if o.channel in channels]
    clues = clues_for(task, observations, settings.clues, labels)
    answer = composed(task, clues, label, rng, words, settings.language)
    if task == "reason" and example.reasoning is not None:
        answer = example.reasoning
    features = hide_some(rng, features_of(example, groups, opinions, inputs), groups, settings)
    return TrainSample(
        clip=example.id,
        task=task,
        labels=labels,
        transcript=words,
        answer=answer,
        features=features,
        clues=phrases_for(task, clues, labels, settings.language),
        source=example.source,
    )


def question_sample(example: Example, groups: Sequence[FeatureSettings], opinions: Opinions) -> TrainSample:
    """A general question with its answer, about a picture or about nothing."""
    return TrainSample(
        clip=example.id,
        task="reason",
        labels=(),
        transcript=None,
        answer=example.reasoning or "",
        features=features_of(example, groups, opinions, inputs_of(example, groups, opinions)),
        question=example.question,
        source=example.source,
    )


def closed_samples(
    examples: Sequence[Example],
    groups: Sequence[FeatureSettings],
    opinions: Opinions,
    limit: int | None,
    seed: int,
) -> list[TrainSample]:
    """Label questions with each example's own set, in its own order, all inputs: for validation and scoring.

    At most `limit` examples of a source, drawn with `seed`; altered copies, general questions and free words are left
    out.
    """
    by_source: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        if example.labels and example.label is not None and example.copy == 0:
            by_source[example.source].append(example)
    found = []
    for source, members in by_source.items():
        kept = members
        if limit is not None and len(members) > limit:
            kept = random.Random(f"{seed}-{source}").sample(members, limit)
        found += [_closed(example, groups, opinions) for example in kept]
    return found


def _closed(example: Example, groups: Sequence[FeatureSettings], opinions: Opinions) -> TrainSample:
    assert example.label is not None
    return TrainSample(
        clip=example.id,
        task="emotion",
        labels=example.labels,
        transcript=example.transcript,
        answer=example.label,
        features=features_of(example, groups, opinions, inputs_of(example, groups, opinions)),
        source=example.source,
    )

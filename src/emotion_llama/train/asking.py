"""What a sample asks and what the right answer is: label sets, clues, targets. Shared by all ways to make samples."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import MODALITIES, Modality, Observation, Task
from emotion_llama.encoders.pooling import pool_rows
from emotion_llama.encoders.temporal import MOVEMENT
from emotion_llama.labels import LABEL_SETS, SYNONYMS, canonical, is_known
from emotion_llama.perception.compose import (
    choose_clues,
    clue_phrases,
    compose_audio,
    compose_reason,
    compose_visual,
    reason_clues,
)
from emotion_llama.train.config import FeatureSettings, SampleSettings
from emotion_llama.train.examples import Example

Opinions = Mapping[str, Mapping[str, NDArray[np.float32]]]
"""Head → example id → its probabilities (1, K)."""

OTHER_WORDS = 0.4
"""How often a made-up label set uses another word of the same emotion."""

FREE_WORDS = 0.1
"""Share of made-up sets that name no label at all: the answer is the emotion's own word."""

MOST_OTHERS = 9

_CHANNELS: dict[Task, tuple[str, ...]] = {
    "emotion": (),
    "reason": ("face", "voice", "words", "scene"),
    "visual": ("face", "scene"),
    "audio": ("voice",),
}
_WORDS = tuple(
    word for words in SYNONYMS.values() for word in words if word.isalpha() and len(word) > 3 and word != "none"
)


def asked_labels(
    rng: random.Random, task: Task, label: str, own: tuple[str, ...], settings: SampleSettings
) -> tuple[tuple[str, ...], str]:
    """Choose the label set to ask with, and its word for the label.

    Its own set, another known set that holds the emotion, or a made-up one; in random order where settings say so. A
    reason is often asked with the right label alone.
    """
    labels, word = _label_set(rng, label, own, settings)
    if task == "reason" and word and rng.random() < settings.told:
        return (word,), word
    return labels, word


def _label_set(
    rng: random.Random, label: str, own: tuple[str, ...], settings: SampleSettings
) -> tuple[tuple[str, ...], str]:
    name = canonical(label) if is_known(label) else None
    chance = rng.random()
    if name is not None and chance < settings.named_sets:
        fitting = [words for words in LABEL_SETS.values() if name in map(canonical, words)]
        if fitting:
            return _shuffled(rng, name, rng.choice(fitting), settings)
    if name is not None and chance >= 1 - settings.made_up_sets:
        return _made_up(rng, name)
    if not own:
        return (), label
    labels = list(own)
    if settings.shuffle_labels:
        rng.shuffle(labels)
    return tuple(labels), label


def _shuffled(
    rng: random.Random, name: str, words: tuple[str, ...], settings: SampleSettings
) -> tuple[tuple[str, ...], str]:
    found = list(words)
    if settings.shuffle_labels:
        rng.shuffle(found)
    return tuple(found), next(word for word in words if canonical(word) == name)


def _made_up(rng: random.Random, name: str) -> tuple[tuple[str, ...], str]:
    if rng.random() < FREE_WORDS:
        return (), name
    others = [other for other in SYNONYMS if other != name]
    words = [_word(rng, one) for one in (name, *rng.sample(others, rng.randint(1, MOST_OTHERS)))]
    label = words[0]
    rng.shuffle(words)
    return tuple(words), label


def _word(rng: random.Random, name: str) -> str:
    words = [word for word in SYNONYMS[name] if word in _WORDS]
    return rng.choice(words) if words and rng.random() < OTHER_WORDS else name


def clues_for(
    task: Task, observations: Sequence[Observation], limit: int, labels: Sequence[str] = ()
) -> tuple[Observation, ...]:
    """Choose the measured clues that a text task may use; for a reason asked for one label, those it is to name."""
    heard = [o for o in observations if o.channel in _CHANNELS[task]]
    return reason_clues(heard, labels[0]) if _is_told(task, labels) else choose_clues(heard, limit)


def phrases_for(task: Task, clues: Sequence[Observation], labels: Sequence[str], code: str = "en") -> tuple[str, ...]:
    """Put the clues of a text task into the words of its prompt, in a language.

    A reason that is asked for one label is told which clues speak for it, as `analyze` tells it.
    """
    return clue_phrases(clues, labels[0] if _is_told(task, labels) else None, code)


def _is_told(task: Task, labels: Sequence[str]) -> bool:
    return task == "reason" and len(labels) == 1


def composed(
    task: Task,
    clues: Sequence[Observation],
    label: str,
    rng: random.Random,
    transcript: str | None,
    code: str = "en",
) -> str:
    """Compose the target text of a task from its clues, in a language; the label itself for `emotion`.

    That is an answer's key, not its wording: the processor writes it in the model's language.
    """
    if task == "emotion":
        return label
    if task == "reason":
        return compose_reason(clues, label, rng, transcript, code)
    return compose_visual(clues, rng, code) if task == "visual" else compose_audio(clues, rng, code)


def features_of(
    example: Example, groups: Sequence[FeatureSettings], opinions: Opinions, modalities: Sequence[Modality]
) -> dict[str, NDArray[np.float32]]:
    """Give the feature groups of an example that belong to the wanted inputs; what it lacks has no entry.

    Where a group has fewer tokens than the encoder gives rows, consecutive rows are averaged. Groups for still pictures
    are left out where the face moves.
    """
    found: dict[str, NDArray[np.float32]] = {}
    for group in groups:
        if not set(group.needed()) <= set(modalities) or (group.still and MOVEMENT in example.arrays):
            continue
        if group.head is not None:
            if example.id in opinions.get(group.head, {}):
                found[group.name] = opinions[group.head][example.id]
        elif group.name in example.arrays:
            rows = example.arrays[group.name]
            found[group.name] = rows if group.tokens is None else pool_rows(rows, group.tokens)
    return found


def hide_some(
    rng: random.Random,
    features: Mapping[str, NDArray[np.float32]],
    groups: Sequence[FeatureSettings],
    settings: SampleSettings,
) -> dict[str, NDArray[np.float32]]:
    """Leave feature groups out at random, so that no input is read by one of its groups alone; one of each stays."""
    found: dict[str, NDArray[np.float32]] = {}
    for modality in MODALITIES:
        names = [group.name for group in groups if group.modality == modality and group.name in features]
        kept = [name for name in names if rng.random() >= settings.feature_drop.get(name, 0.0)]
        if names and not kept:
            kept = [rng.choice(names)]
        found |= {name: features[name] for name in kept}
    return {group.name: found[group.name] for group in groups if group.name in found}


def inputs_of(example: Example, groups: Sequence[FeatureSettings], opinions: Opinions) -> tuple[Modality, ...]:
    """Which inputs an example has: those of which a feature group is there, and its words."""
    found = {
        group.modality
        for group in groups
        if not (group.still and MOVEMENT in example.arrays)
        and (example.id in opinions.get(group.head, {}) if group.head is not None else group.name in example.arrays)
    }
    return tuple(m for m in MODALITIES if m in found or (m == "text" and example.transcript is not None))

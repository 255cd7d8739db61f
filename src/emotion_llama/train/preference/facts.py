"""What is known of a clip, against which an answer can be checked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from emotion_llama.clip import Observation, Task, VoiceMeasures
from emotion_llama.errors import UsageError
from emotion_llama.model.processing import TrainSample
from emotion_llama.perception.compose import choose_clues, compose_audio, compose_reason, compose_visual

_CHANNELS = {"visual": ("face", "scene"), "audio": ("voice",)}


@dataclass(frozen=True)
class Facts:
    """The truth about one question on one clip.

    `labels` is the asked set (`()` = free emotion words), `label` the right one of it, `words` the right free words.
    `evidence`, `action_units` (0–5, by name), `voice` and `transcript` are the measurements that clues are checked
    with; `transcript` `None` = not transcribed.
    """

    task: Task
    labels: tuple[str, ...] = ()
    label: str | None = None
    words: frozenset[str] = frozenset()
    evidence: tuple[Observation, ...] = ()
    action_units: dict[str, float] = field(default_factory=dict)
    voice: VoiceMeasures | None = None
    transcript: str | None = None


@dataclass(frozen=True)
class VerifiableSample:
    """One question about one clip (the sample's `answer` is not read by GRPO) with the facts about it.

    Raises `UsageError`, naming the clip, if the right label is not among the asked ones.
    """

    sample: TrainSample
    facts: Facts

    def __post_init__(self) -> None:
        label, labels = self.facts.label, self.facts.labels
        if labels and label is not None and label not in labels:
            raise UsageError(
                f"clip {self.sample.clip}: expected the right label among {', '.join(labels)}, found {label!r}; "
                "give a label set that holds it"
            )


def compose_answer(
    task: Task, label: str | None, evidence: Sequence[Observation], rng: random.Random, transcript: str | None
) -> str | None:
    """Write the answer that the measurements bear out; `None` if a label or measurements are missing for it."""
    if task == "emotion":
        return label
    of_task = _of_task(task, evidence)
    clues = choose_clues(of_task)
    if not clues:
        return None
    if task == "reason":
        return None if label is None else compose_reason(of_task, label, rng, transcript)
    return compose_visual(clues, rng) if task == "visual" else compose_audio(clues, rng)


def _of_task(task: Task, evidence: Sequence[Observation]) -> list[Observation]:
    channels = _CHANNELS.get(task)
    return [o for o in evidence if channels is None or o.channel in channels]

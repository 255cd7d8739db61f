"""What is known of a clip, against which an answer can be checked."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field

from emotion_llama.clip import Clip, Observation, Task, VoiceMeasures
from emotion_llama.errors import UsageError
from emotion_llama.labels import translate
from emotion_llama.model.processing import TrainSample
from emotion_llama.perception.compose import choose_clues, clue_phrases, compose_audio, compose_reason, compose_visual

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
    clues = choose_clues(_of_task(task, evidence))
    if not clues:
        return None
    if task == "reason":
        return None if label is None else compose_reason(clues, label, rng, transcript)
    return compose_visual(clues, rng) if task == "visual" else compose_audio(clues, rng)


def samples_from_clips(
    clips: Sequence[Clip], labels: Sequence[str], tasks: Sequence[Task], seed: int
) -> list[VerifiableSample]:
    """Ask every task about every clip of a manifest, without features: its words and its observations only.

    Label order is shuffled a sample. A clip without an emotion (or one that the set has no word for) raises
    `UsageError`; so does one without anything to read. Tasks whose answer needs measurements that a clip does not have
    are left out for it.
    """
    rng = random.Random(seed)
    found = []
    for clip in clips:
        if clip.transcript is None and not clip.observations:
            raise UsageError(
                f"clip {clip.clip}: expected a transcript or observations, found neither; there is nothing to read"
            )
        for task in tasks:
            label = _label(clip, labels)
            answer = compose_answer(task, label, clip.observations, rng, clip.transcript)
            if answer is not None:
                found.append(_sample(clip, task, labels, label, answer, rng))
    if not found:
        raise UsageError(f"tasks {', '.join(tasks)}: none of the {len(clips)} clips has the measurements they need")
    return found


def _label(clip: Clip, labels: Sequence[str]) -> str:
    if clip.emotion is None:
        raise UsageError(f"clip {clip.clip}: expected an emotion to check answers against, found none; annotate it")
    if not labels or clip.emotion in labels:
        return clip.emotion
    try:
        return translate(clip.emotion, labels)
    except UsageError as error:
        raise UsageError(f"clip {clip.clip}: {error}") from error


def _sample(
    clip: Clip, task: Task, labels: Sequence[str], label: str, answer: str, rng: random.Random
) -> VerifiableSample:
    order = tuple(rng.sample(tuple(labels), len(labels)))
    clues = clue_phrases(choose_clues(_of_task(task, clip.observations))) if task != "emotion" else ()
    words = frozenset(clip.labels or (label,)) if not labels else frozenset[str]()
    facts = Facts(task, order, label, words, clip.observations, transcript=clip.transcript)
    return VerifiableSample(TrainSample(clip.clip, task, order, clip.transcript, answer, {}, clues), facts)


def _of_task(task: Task, evidence: Sequence[Observation]) -> list[Observation]:
    channels = _CHANNELS.get(task)
    return [o for o in evidence if channels is None or o.channel in channels]

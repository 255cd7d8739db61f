"""Pairs of a chosen and a rejected answer: made from measured evidence, or read from the user's own file."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from emotion_llama.clip import Record, Task
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.processing import EmotionLlamaProcessor, TrainSample
from emotion_llama.model.score import ClipReader
from emotion_llama.train.preference.answers import write_answers
from emotion_llama.train.preference.facts import VerifiableSample, compose_answer
from emotion_llama.train.preference.rewards import count_clues, score, total
from emotion_llama.train.preference.settings import PairKind, PreferenceSettings

FILE = "pairs.jsonl"


@dataclass(frozen=True)
class Pair:
    """A sample whose answer is the chosen one, and a rejected answer. `kind` says where that comes from."""

    sample: TrainSample
    rejected: str
    kind: str = "given"


class PairRow(Record):
    """One line of `pairs.jsonl`."""

    clip: str
    task: Task
    chosen: str
    rejected: str
    kind: str = "given"


def pairs_from_samples(
    samples: Sequence[VerifiableSample],
    model: EmotionLlamaForConditionalGeneration,
    processor: EmotionLlamaProcessor,
    settings: PreferenceSettings,
    seed: int = 0,
) -> list[Pair]:
    """Make at most one pair a sample; the same seed and model give the same pairs.

    Chosen is the text composed from the measured evidence with the right label (the sample's own answer where nothing
    was measured). A sample for which the drawn kind of rejected answer is not to be had gets another kind; one without
    any is left out. Raises `UsageError` if no pair can be made.
    """
    rng = random.Random(seed)
    chosen = [_with_chosen(sample, rng) for sample in samples]
    turns = [_kinds_in_turn(settings, rng) for _ in chosen]
    reader = ClipReader(model, processor)
    made: dict[int, Pair] = {}

    def play(numbers: Sequence[int]) -> None:
        asked = [chosen[n].sample for n in numbers]
        texts = write_answers(model, processor, asked, settings, temperature=settings.pairs.temperature, seed=seed)
        made.update(
            {
                number: Pair(chosen[number].sample, text, "self_play")
                for number, text in zip(numbers, texts, strict=True)
                if _clearly_worse(text, chosen[number], settings)
            }
        )

    # answers cost most: written first for those that drew them, last for those that nothing else was found for
    play([n for n, kinds in enumerate(turns) if kinds[0] == "self_play"])
    for number, kinds in enumerate(turns):
        for kind in kinds if number not in made else ():
            rejected = _rejected(kind, chosen, number, reader, rng)
            if rejected is not None and rejected.strip() != chosen[number].sample.answer.strip():
                made[number] = Pair(chosen[number].sample, rejected, kind)
                break
    play([n for n, kinds in enumerate(turns) if n not in made and "self_play" in kinds[1:]])
    pairs = [made[number] for number in sorted(made)]
    if not pairs:
        raise UsageError(
            f"pairs: none of {len(samples)} samples gave a rejected answer of the kinds "
            f"{', '.join(kind for kind, share in settings.pairs.shares.items() if share)}; allow other kinds"
        )
    return pairs


def write_pairs(pairs: Sequence[Pair], path: Path) -> None:
    """Write pairs as JSON lines (clip, task, chosen, rejected, kind); temporary name, then rename."""
    lines = [
        PairRow(clip=p.sample.clip, task=p.sample.task, chosen=p.sample.answer, rejected=p.rejected, kind=p.kind)
        for p in pairs
    ]
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.part")
    part.write_text("".join(line.model_dump_json() + "\n" for line in lines), encoding="utf-8")
    part.replace(path)


Find = Callable[[str, Task], list[TrainSample]]
"""Clip and task → the samples that ask so."""


def among(samples: Sequence[TrainSample]) -> Find:
    """Find samples by clip and task."""
    by_question: dict[tuple[str, Task], list[TrainSample]] = {}
    for sample in samples:
        by_question.setdefault((sample.clip, sample.task), []).append(sample)
    return lambda clip, task: by_question.get((clip, task), [])


def read_pairs(path: Path, find: Find) -> list[Pair]:
    """Read pairs and put them on the samples of the same clip and task (their features, words and labels).

    Raises `ManifestError` naming file and line for a bad line, equal answers, or a clip and task that no sample, or
    more than one, has.
    """
    pairs = []
    for line, row in _read_rows(path):
        found = find(row.clip, row.task)
        if len(found) != 1:
            raise ManifestError(
                f"{path}:{line}: expected one sample of clip {row.clip!r} with task {row.task!r}, found {len(found)}; "
                "a pair belongs to one question about one training clip (source/clip where two sources share a name)"
            )
        if row.chosen.strip() == row.rejected.strip() or not row.chosen.strip():
            raise ManifestError(f"{path}:{line}: expected two different answers, the chosen one not empty")
        pairs.append(Pair(replace(found[0], answer=row.chosen), row.rejected, row.kind))
    if not pairs:
        raise ManifestError(f"{path}: expected at least one pair, found none")
    return pairs


def _read_rows(path: Path) -> list[tuple[int, PairRow]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")  # an answer may hold other characters that end a line
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read as text ({error})") from error
    rows = []
    for number, line in enumerate(lines, start=1):
        if line.strip():
            try:
                rows.append((number, PairRow.model_validate(json.loads(line))))
            except (json.JSONDecodeError, ValidationError) as error:
                raise ManifestError(
                    f"{path}:{number}: expected clip, task, chosen and rejected as JSON, found {line[:80]!r} ({error})"
                ) from error
    return rows


def _with_chosen(sample: VerifiableSample, rng: random.Random) -> VerifiableSample:
    facts = sample.facts
    composed = compose_answer(facts.task, facts.label, facts.evidence, rng, facts.transcript)
    answer = composed or sample.sample.answer
    if not answer.strip():
        raise UsageError(
            f"clip {sample.sample.clip}, task {facts.task}: expected measured evidence or an answer to choose, "
            "found neither; leave this task out or give the answer"
        )
    return replace(sample, sample=replace(sample.sample, answer=answer))


def _kinds_in_turn(settings: PreferenceSettings, rng: random.Random) -> list[PairKind]:
    """All kinds with a share, in a random order in which a larger share tends to come first."""
    shares = {kind: share for kind, share in settings.pairs.shares.items() if share > 0}
    return sorted(shares, key=lambda kind: rng.expovariate(shares[kind]))


def _rejected(
    kind: PairKind, samples: Sequence[VerifiableSample], number: int, reader: ClipReader, rng: random.Random
) -> str | None:
    """A rejected answer that needs no writing; `None` if this kind cannot give one."""
    if kind == "wrong_label":
        return _wrong_label(samples[number], reader, rng)
    return _other_clip(samples, number, rng) if kind == "other_clip" else None


def _wrong_label(sample: VerifiableSample, reader: ClipReader, rng: random.Random) -> str | None:
    facts = sample.facts
    wrong = [label for label in facts.labels if label != facts.label]
    if facts.label is None or not wrong or facts.task not in ("emotion", "reason"):
        return None
    clip = reader.read(sample.sample.features, sample.sample.transcript)
    likelihood = reader.score(clip, facts.labels, orders=1).mean
    label = max(wrong, key=lambda name: likelihood[facts.labels.index(name)])
    return compose_answer(facts.task, label, facts.evidence, rng, facts.transcript)


def _other_clip(samples: Sequence[VerifiableSample], index: int, rng: random.Random) -> str | None:
    """A text from another clip's measurements that this clip's contradict; the label stays right."""
    facts = samples[index].facts
    if facts.task == "emotion":
        return None
    for other in rng.sample(range(len(samples)), min(len(samples), 20)):
        evidence = samples[other].facts.evidence
        text = compose_answer(facts.task, facts.label, evidence, rng, facts.transcript) if other != index else None
        if text is not None and count_clues(text, facts)[1] > 0:
            return text
    return None


def _clearly_worse(text: str, sample: VerifiableSample, settings: PreferenceSettings) -> bool:
    """Whether the model's own answer earns clearly less than the chosen one."""
    own = total(score(text, sample.facts, settings.rewards), settings.rewards)
    best = total(score(sample.sample.answer, sample.facts, settings.rewards), settings.rewards)
    return own is not None and best is not None and best - own >= settings.pairs.min_gap

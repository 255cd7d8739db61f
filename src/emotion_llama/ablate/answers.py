"""Test answers of trainings, read as `evaluate` reads them; those of several folds put together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.matching import index, match, unknown_clips
from emotion_llama.evaluate.predictions import read_predictions
from emotion_llama.evaluate.records import Item, Prediction
from emotion_llama.evaluate.report.words import PROBLEM_NAMES
from emotion_llama.manifest import read_manifest


class Row(NamedTuple):
    """One test clip with its truth, the answer (`None` = none was given), and the fold that asked it."""

    item: Item
    prediction: Prediction | None
    fold: int | None


@dataclass(frozen=True)
class Answered:
    """One source's test clips as one seed answered them, by name. `problems` says what was wrong with the answers."""

    labels: tuple[str, ...]
    rows: Mapping[str, Row]
    problems: tuple[str, ...] = ()

    @property
    def folds(self) -> tuple[int, ...]:
        """The folds that asked, in order; `()` without folds."""
        return tuple(sorted({row.fold for row in self.rows.values() if row.fold is not None}))

    def of_fold(self, fold: int) -> list[str]:
        """The clips of one fold."""
        return [clip for clip, row in self.rows.items() if row.fold == fold]


def read_answers(folder: Path, source: str, labels: Sequence[str], fold: int | None = None) -> Answered:
    """Read `test/SOURCE.clips.jsonl` and `.predictions.jsonl` of a training's folder, as `labels`.

    A clip without a valid answer stays, and counts as wrong. Raises `ManifestError` for files that cannot be read or
    a clip that occurs twice.
    """
    clips, answers = folder / "test" / f"{source}.clips.jsonl", folder / "test" / f"{source}.predictions.jsonl"
    items = [Item(clip=clip) for clip in read_manifest(clips)]
    twice = [name for name, count in Counter(item.clip.clip for item in items).items() if count > 1]
    if twice:
        raise ManifestError(f"{clips}: clip {twice[0]!r} occurs twice; give every clip its own name")
    read = read_predictions(answers)
    known = index(read, items)
    matched = match(items, known, labels)
    problems = [*read.problems, *known.problems, *matched.problems, *unknown_clips(items, read)]
    counts = Counter(problem.kind for problem in problems)
    said = tuple(f"{answers}: {PROBLEM_NAMES.get(kind, kind)}: {count}" for kind, count in counts.items())
    pairs = zip(items, matched.predictions, strict=True)
    return Answered(tuple(labels), {item.clip.clip: Row(item, answer, fold) for item, answer in pairs}, said)


def pool(parts: Iterable[Answered]) -> Answered:
    """Put the answers of several folds together. Raises `ManifestError` if they share a clip or differ in labels."""
    listed = list(parts)
    rows: dict[str, Row] = {}
    for part in listed:
        if part.labels != listed[0].labels:
            raise ManifestError(
                f"folds {listed[0].folds} and {part.folds} were asked in different labels "
                f"({', '.join(listed[0].labels)}; {', '.join(part.labels)}); they have no common score"
            )
        shared = next((clip for clip in part.rows if clip in rows), None)
        if shared is not None:
            raise ManifestError(
                f"clip {shared!r} is in the test sides of folds {rows[shared].fold} and {part.rows[shared].fold}; "
                "every clip may be asked once"
            )
        rows |= part.rows
    return Answered(listed[0].labels, rows, tuple(problem for part in listed for problem in part.problems))


def common_clips(one: Answered, other: Answered) -> list[str]:
    """The clips that both asked, in the order of `one`. Raises `ManifestError` if their truth or speaker differs."""
    names = [clip for clip in one.rows if clip in other.rows]
    for name in names:
        a, b = one.rows[name].item.clip, other.rows[name].item.clip
        if (a.emotion, a.speaker) != (b.emotion, b.speaker):
            raise ManifestError(
                f"clip {name!r} is {a.emotion!r} by {a.speaker!r} in one training, {b.emotion!r} by {b.speaker!r} in "
                "another: the data changed between them; train the older one again"
            )
    return names

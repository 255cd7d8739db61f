"""Answers matched with what was asked: by name, in the words of the label set; what does not fit is named.

Nothing becomes a label that was not one, and no clip is passed over.
"""

from __future__ import annotations

import math
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Any

from emotion_llama.answer import parse_emotion
from emotion_llama.errors import UsageError
from emotion_llama.evaluate.predictions import SUM_TOLERANCE, Answers
from emotion_llama.evaluate.records import Item, Prediction, Problem
from emotion_llama.labels import translate


@dataclass
class Matched:
    """One prediction an item, `None` where there is none, and what was wrong."""

    predictions: list[Prediction | None] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


@dataclass(frozen=True)
class Index:
    """Predictions by clip, and by file name where that is unique."""

    by_clip: dict[str, Prediction]
    by_name: dict[str, Prediction]
    problems: tuple[Problem, ...]


def index(answers: Answers, items: Iterable[Item] = ()) -> Index:
    """Index predictions: of several for one clip the first counts, and an answer replaces a failure.

    `items` are all that are asked, of all parts: a file name that two of them share, and a prediction for one of them,
    then stand for no other clip.
    """
    problems: list[Problem] = []
    by_clip = _by_clip(answers.predictions, problems)
    return Index(by_clip, _by_name(by_clip, {_same(item.clip.clip) for item in items}), tuple(problems))


def match(items: Sequence[Item], answers: Index, labels: Sequence[str]) -> Matched:
    """Give each item its prediction, its answer read as one of `labels` (`()`: free words, left as they are).

    Clips are matched by their names; where a name is not found, by the file's name if that is unique on both sides.
    Problems: missing and failed clips, labels outside the set, probabilities that are none.
    """
    found = Matched()
    names = Counter(_file_name(item.clip.clip) for item in items)
    for item in items:
        name = _file_name(item.clip.clip)
        prediction = answers.by_clip.get(_same(item.clip.clip))
        if prediction is None and names[name] == 1 and name in answers.by_name:
            prediction = answers.by_name[name]
            found.problems.append(
                Problem(
                    kind="name-match",
                    message=f"{item.clip.clip!r} was matched with {prediction.clip!r} by its file name",
                    clip=item.clip.clip,
                    line=prediction.line,
                )
            )
        found.predictions.append(_checked(item, prediction, labels, found.problems))
    return found


def unknown_clips(items: Iterable[Item], answers: Answers) -> list[Problem]:
    """Name predictions for clips that were not asked; they are not scored."""
    asked = {_same(item.clip.clip) for item in items}
    strangers = [p for p in answers.predictions if _same(p.clip) not in asked]
    if not strangers:
        return []
    by_clip = _by_clip(answers.predictions, [])
    waiting = {_file_name(clip) for clip in asked if clip not in by_clip}
    used = {p.clip for name, p in _by_name(by_clip, asked).items() if name in waiting}
    return [
        Problem(
            kind="unknown-clip",
            message=f"line {p.line}: {p.clip!r} was not asked; its prediction is not scored",
            clip=p.clip,
            line=p.line,
        )
        for p in strangers
        if p.clip not in used
    ]


def _by_clip(predictions: Iterable[Prediction], problems: list[Problem]) -> dict[str, Prediction]:
    """Index predictions; of several for one clip the first counts, except that an answer replaces a failure."""
    found: dict[str, Prediction] = {}
    for prediction in predictions:
        earlier = found.get(_same(prediction.clip))
        if earlier is None or (earlier.error is not None and prediction.error is None):
            found[_same(prediction.clip)] = prediction
        if earlier is not None and earlier.error is None:
            problems.append(
                Problem(
                    kind="duplicate",
                    message=f"line {prediction.line}: {prediction.clip!r} was answered before in line {earlier.line}; "
                    "the first answer counts",
                    clip=prediction.clip,
                    line=prediction.line,
                )
            )
    return found


def _same(clip: str) -> str:
    """One spelling of a name: some file systems split "ü" into two signs, others do not."""
    return clip if clip.isascii() else unicodedata.normalize("NFC", clip)


def _file_name(clip: str) -> str:
    """The last part of a path without its ending: "a/b.mp4" and "b" name one clip."""
    last = _same(clip).replace("\\", "/").rstrip("/").rpartition("/")[2]
    stem, dot, suffix = last.rpartition(".")
    return stem if dot and stem and 1 <= len(suffix) <= 5 and suffix.isalnum() else last


def _by_name(by_clip: Mapping[str, Prediction], asked: Set[str]) -> dict[str, Prediction]:
    """Predictions for clips that are not asked, by file names that are unique among predictions and asked clips."""
    said = Counter(map(_file_name, by_clip))
    wanted = Counter(map(_file_name, asked))
    named = {_file_name(clip): p for clip, p in by_clip.items() if clip not in asked}
    return {name: p for name, p in named.items() if said[name] == 1 and wanted[name] <= 1}


def _checked(
    item: Item, prediction: Prediction | None, labels: Sequence[str], problems: list[Problem]
) -> Prediction | None:
    """Give the prediction in the words of the label set; `None` for a clip that has no answer at all."""
    name = item.clip.clip
    if prediction is None:
        problems.append(Problem(kind="missing-clip", message=f"{name!r} has no prediction", clip=name))
        return None
    if prediction.error is not None:
        message = f"line {prediction.line}: {name!r} has no answer: {prediction.error}"
        problems.append(Problem(kind="failed-clip", message=message, clip=name, line=prediction.line))
        return None
    if not labels:
        return prediction
    changes: dict[str, Any] = {}
    label = _as_label(prediction.emotion, labels)
    if label is None:
        problems.append(_no_label(name, prediction, labels))
    if label != prediction.emotion:
        changes |= {"emotion": label, "said": prediction.emotion}
    if prediction.probabilities is not None:
        changes["probabilities"] = _probabilities(name, prediction, labels, problems)
    return prediction.model_copy(update=changes) if changes else prediction


def _as_label(said: str | None, labels: Sequence[str]) -> str | None:
    """Read an answer as a label of the set: its own word, a synonym, or the one label that a sentence names."""
    if said is None:
        return None
    if said in labels:
        return said
    plain = said.strip().lower()
    for label in labels:
        if label.lower() == plain:
            return label
    try:
        return translate(plain, labels)
    except UsageError:
        return parse_emotion(said, labels) if len(plain.split()) > 1 else None


def _no_label(name: str, prediction: Prediction, labels: Sequence[str]) -> Problem:
    if prediction.emotion is None:
        message = f"line {prediction.line}: {name!r} was answered without a label"
        return Problem(kind="no-label", message=message, clip=name, line=prediction.line)
    message = (
        f"line {prediction.line}: {name!r} was answered {prediction.emotion[:80]!r}, not one of {', '.join(labels)}"
    )
    return Problem(kind="unknown-label", message=message, clip=name, line=prediction.line)


def _probabilities(
    name: str, prediction: Prediction, labels: Sequence[str], problems: list[Problem]
) -> dict[str, float] | None:
    """Give the probabilities in the order of `labels`, or `None` with a problem where they are none."""
    given: dict[str, float] = {}
    wrong = ""
    for word, p in (prediction.probabilities or {}).items():
        label = word if word in labels else _as_label(word, labels)
        if label is None or label in given:
            wrong = f"{word!r} is not one of {', '.join(labels)}" if label is None else f"{label!r} is given twice"
        elif not math.isfinite(p) or not -1e-9 <= p <= 1 + SUM_TOLERANCE:
            wrong = f"{word!r} has {p}, not a number from 0 to 1"
        else:
            given[label] = max(p, 0.0)
    total = sum(given.values())
    if not wrong and abs(total - 1.0) > SUM_TOLERANCE:
        wrong = f"they sum to {total:.4g}, not to 1"
    if wrong:
        message = f"line {prediction.line}: probabilities of {name!r} are left out of calibration: {wrong}"
        problems.append(Problem(kind="bad-probabilities", message=message, clip=name, line=prediction.line))
        return None
    return {label: given.get(label, 0.0) / total for label in labels}

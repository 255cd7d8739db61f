"""Reading answers: predictions files of any system (.jsonl, .csv), matched with what was asked.

What is wrong with a file is named with its line and clip and counted; it is neither passed over nor repaired in
silence. Nothing becomes a label that was not one.
"""

from __future__ import annotations

import json
import math
import sys
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from emotion_llama.answer import parse_emotion
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Prediction, Problem
from emotion_llama.labels import translate
from emotion_llama.manifest import LABEL_SEPARATOR, read_csv_rows
from emotion_llama.metrics.grouping import parse_words

PROBABILITY_PREFIX = "p_"
OFFICIAL_COLUMNS = {
    "name": "clip",
    "names": "clip",
    "discrete": "emotion",
    "eng_reasons": "reasoning",
    "chi_reasons": "reasoning",
}
"""Columns of answer files that challenges publish (MER: name, discrete, valence, openset; EMER: names, reasons)."""
SUM_TOLERANCE = 0.02
"""Probabilities that were rounded to two decimals sum to within this of one; they are scaled to one."""

_TEXT_COLUMNS = ("emotion", "reasoning")
_NUMBER_COLUMNS = ("valence", "confidence", "order_sensitivity", "duration_s")
_ANSWER_COLUMNS = ("emotion", "probabilities", "labels", "reasoning", "valence", "error")
_NEEDED = {"clip", "emotion", "error"}
"""A line is not read without these; what else of it cannot be read is left out and named."""


@dataclass(frozen=True)
class Answers:
    """The predictions of a file in its order, and what was wrong with its lines."""

    predictions: tuple[Prediction, ...]
    problems: tuple[Problem, ...] = ()


@dataclass
class Matched:
    """One prediction an item, `None` where there is none, and what was wrong."""

    predictions: list[Prediction | None] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_predictions(path: Path) -> Answers:
    """Read a predictions file: JSON lines (what `analyze` writes, or `clip` and `emotion` with anything beside) or CSV.

    A CSV has the columns clip and emotion; optional are `p_<label>` for probabilities, valence, confidence, reasoning,
    labels (";" between). Raises `ManifestError` for a file that cannot be read, has no `clip`, or holds no prediction.
    """
    problems: list[Problem] = []
    rows = _csv_rows(path) if path.suffix.lower() == ".csv" else _json_rows(path, problems)
    found = []
    columns: dict[str, None] = {}
    for line, row in rows:
        columns |= dict.fromkeys(row)
        try:
            prediction, left_out = _prediction(row, line)
        except ValueError as error:
            problems.append(_unreadable(path, line, row.get("clip"), f"prediction not read: {_what(error)}"))
        else:
            found.append(prediction)
            problems += [_unreadable(path, line, prediction.clip, what) for what in left_out]
    if not found:
        named = f"; {problems[0].message}" if problems else ""
        raise ManifestError(f"{path}: expected predictions, one a line with clip and emotion, found none{named}")
    if not columns.keys() & _ANSWER_COLUMNS:
        raise ManifestError(
            f"{path}: expected an answer beside the clip: emotion, probabilities (.csv: p_<label>), labels, reasoning "
            f"or valence; found {', '.join(columns)}"
        )
    return Answers(tuple(found), tuple(problems))


def _unreadable(path: Path, line: int, clip: object, what: str) -> Problem:
    name = clip if isinstance(clip, str) and clip else None
    of = f"{name!r}: " if name else ""
    kind: Literal["bad-probabilities", "unreadable"] = (
        "bad-probabilities" if what.startswith("probabilities") else "unreadable"
    )
    return Problem(kind=kind, message=f"{path}:{line}: {of}{what}", clip=name, line=line)


def _what(error: ValueError) -> str:
    """The first thing that is wrong, with its column and what was found there."""
    if not isinstance(error, ValidationError):
        return str(error)
    detail = error.errors()[0]
    return f"{'.'.join(map(str, detail['loc']))}: {detail['msg']}, found {str(detail['input'])[:80]!r}"


def _json_rows(path: Path, problems: list[Problem]) -> Iterator[tuple[int, dict[str, Any]]]:
    try:
        file = path.open(encoding="utf-8-sig", errors="strict")
    except OSError as error:
        raise ManifestError(f"{path}: cannot read predictions ({error.strerror}); expected .jsonl or .csv") from error
    with file:
        try:
            for line, text in enumerate(file, start=1):
                if not text.strip():
                    continue
                row = _json_object(text)
                if row is None:
                    problems.append(
                        Problem(kind="unreadable", message=f"{path}:{line}: not one JSON object a line", line=line)
                    )
                else:
                    yield line, row
        except UnicodeDecodeError as error:
            raise ManifestError(f"{path}: expected UTF-8 text ({error}); save the file as UTF-8") from error


def _json_object(text: str) -> dict[str, Any] | None:
    try:
        row = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return row if isinstance(row, dict) else None


def _csv_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    for line, official in read_csv_rows(path):
        cells = _plain(official)
        if "clip" not in cells:
            raise ManifestError(
                f"{path}: expected the columns clip and emotion with commas between, found {', '.join(cells)}"
            )
        row: dict[str, Any] = {name: cell for name, cell in cells.items() if name not in Prediction.model_fields}
        row["clip"] = cells["clip"]
        row |= {name: cells[name] or None for name in _TEXT_COLUMNS if name in cells}
        row |= {name: cells[name] or None for name in _NUMBER_COLUMNS if name in cells}
        if cells.get("labels"):
            row["labels"] = [word.strip() for word in cells["labels"].split(LABEL_SEPARATOR) if word.strip()]
        given = {name.removeprefix(PROBABILITY_PREFIX): cell for name, cell in cells.items() if _is_probability(name)}
        if any(given.values()):
            row["probabilities"] = given
        if cells.get("error"):
            row["error"] = cells["error"]
        yield line, row


def _plain(cells: dict[str, str]) -> dict[str, str]:
    """Give the columns of answers in the official form of a benchmark our names; other columns stay."""
    if "clip" in cells:
        return cells
    named = {OFFICIAL_COLUMNS.get(name, name): cell for name, cell in cells.items()}
    if "openset" in cells:  # "['happy', 'relieved']"
        named["labels"] = LABEL_SEPARATOR.join(parse_words(cells["openset"]))
    return named


def _is_probability(column: str) -> bool:
    return column.startswith(PROBABILITY_PREFIX) and len(column) > len(PROBABILITY_PREFIX)


def _prediction(row: dict[str, Any], line: int) -> tuple[Prediction, list[str]]:
    """Read a row; gives also what is wrong with columns that were left out. Raises `ValueError` without an answer."""
    clip = row.get("clip")
    if not isinstance(clip, str) or not clip:
        raise ValueError(f"expected a clip, found {clip!r}")
    if isinstance(row.get("error"), dict):  # the line `analyze` writes for a clip it could not analyse
        row = {"clip": clip, "error": f"{row['error'].get('type')}: {row['error'].get('message')}"}
    row = {**row, "line": line}
    if isinstance(row.get("probabilities"), dict):  # the same few words in every line are kept once: a fifth of it all
        row["probabilities"] = {sys.intern(word): p for word, p in row["probabilities"].items()}
    left_out: list[str] = []
    try:
        prediction = Prediction.model_validate(row)
    except ValidationError as error:
        wrong = {str(detail["loc"][0]) for detail in error.errors()}
        if wrong & _NEEDED:
            raise
        left_out.append(f"{_what(error)}; left out: {', '.join(sorted(wrong))}")
        prediction = Prediction.model_validate({name: value for name, value in row.items() if name not in wrong})
    endless = [name for name in _NUMBER_COLUMNS if not math.isfinite(getattr(prediction, name) or 0.0)]
    left_out += [f"{name}: expected a finite number, found {row[name]}; left out: {name}" for name in endless]
    changes: dict[str, Any] = dict.fromkeys(endless)
    if "emotion" not in row and prediction.probabilities:
        changes["emotion"] = _likeliest(prediction.probabilities)
    return prediction.model_copy(update=changes) if changes else prediction, left_out


def _likeliest(probabilities: Mapping[str, float]) -> str | None:
    numbers = {label: p for label, p in probabilities.items() if math.isfinite(p)}
    return max(numbers, key=lambda label: numbers[label]) if numbers else None


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

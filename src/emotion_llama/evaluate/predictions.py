"""Reading answers: predictions files of any system (.jsonl, .csv), matched with what was asked.

What is wrong with a file is named with its line and clip and counted; it is neither passed over nor repaired in
silence. Nothing becomes a label that was not one.
"""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import Prediction, Problem
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

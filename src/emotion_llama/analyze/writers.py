"""Results as files: JSON (one analysis), JSON lines (one clip a line), CSV (one wide row a clip).

Whole files are written under a temporary name and renamed, so a reader never sees half a file; JSON lines are appended
and forced to disk line by line, so a killed run loses at most the line it was writing.
"""

from __future__ import annotations

import csv
import io
import json
import os
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Self, TextIO

from pydantic import ValidationError

from emotion_llama.clip import Analysis, Record, VoiceMeasures
from emotion_llama.errors import ManifestError, OutputError
from emotion_llama.measurements import ACTION_UNITS

_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r")


class FailureReason(Record):
    """Why a clip has no analysis: the error's class name and its message."""

    type: str
    message: str


class ClipFailure(Record):
    """The line of a clip that could not be analysed, in the place of its `Analysis`."""

    clip: str
    error: FailureReason

    @classmethod
    def of(cls, clip: str, error: Exception) -> Self:
        """Record what went wrong with one clip."""
        return cls(clip=clip, error=FailureReason(type=type(error).__name__, message=str(error)))


def write_text(text: str, path: Path) -> None:
    """Write a whole UTF-8 file under a temporary name, then rename it. Raises `OutputError` naming the path.

    The text is written as it is: line ends are not translated.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open("w", encoding="utf-8", newline="") as file:
            file.write(encodable(text))
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        remove(temporary)
        raise output_error(path, error) from error


def write_json(analysis: Analysis, path: Path) -> None:
    """Write one analysis as indented JSON (schema: docs/json.md). Raises `OutputError` naming the path."""
    write_text(_as_json(analysis, path, indent=2) + "\n", path)


def _as_json(row: Analysis | ClipFailure, path: Path, indent: int | None = None) -> str:
    """One result as JSON. JSON has no NaN and no infinity: a result that holds one is refused, not written."""
    try:
        text = json.dumps(row.model_dump(), indent=indent, ensure_ascii=False, allow_nan=False)
    except ValueError as error:
        raise OutputError(f"{path}: the result of {row.clip} holds a number that is not finite ({error})") from error
    return encodable(text)


def one_line(text: str) -> str:
    """A text on one line, in characters that UTF-8 and XML can hold: no line breaks, no control characters."""
    return " ".join("".join(letter for letter in encodable(text) if letter.isspace() or _holds(letter)).split())


def _holds(letter: str) -> bool:
    return unicodedata.category(letter) != "Cc" and letter not in "\ufffe\uffff"


def encodable(text: str) -> str:
    """Escape what UTF-8 cannot hold: the bytes of a file name that is not UTF-8. In JSON the escape reads back."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


def append_jsonl(row: Analysis | ClipFailure, file: TextIO) -> None:
    """Append one line to an open text file and force it to disk. Raises `OutputError` naming the file."""
    line = _as_json(row, Path(file.name)) + "\n"
    try:
        file.write(line)
        file.flush()
        os.fsync(file.fileno())
    except OSError as error:
        raise output_error(Path(file.name), error) from error


def read_jsonl(path: Path) -> Iterator[Analysis | ClipFailure]:
    """Give the lines of a results file in order.

    A last line without its line end that does not parse is what a killed run leaves behind; it is passed over. Any
    other line that is not a result raises `ManifestError` naming the file and the line; so does a file that cannot be
    opened.
    """
    try:
        file = path.open("rb")
    except OSError as error:
        raise ManifestError(f"{path}: cannot read results ({error.strerror}); expected a .jsonl file") from error
    with file:
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                yield _parse(line)
            except (ValueError, ValidationError) as error:
                if not line.endswith(b"\n"):
                    return
                raise ManifestError(
                    f"{path}, line {number}: expected one analysis or one failure as JSON, found: {error}; "
                    "repair or remove the line"
                ) from error


def _parse(line: bytes) -> Analysis | ClipFailure:
    record = json.loads(line)
    if isinstance(record, dict) and "error" in record:
        return ClipFailure.model_validate(record)
    return Analysis.model_validate(record)


def write_csv(rows: Iterable[Analysis | ClipFailure], path: Path) -> None:
    """Write one wide row a clip, UTF-8 with a header. Raises `OutputError` naming the path.

    Columns: clip, emotion, confidence, valence, order_sensitivity, duration_s, peak_s, `p_<label>` for each label of
    any row, AU01 … AU45 (0–5 at the peak frame), each voice measure, language, transcript, reasoning, visual, audio,
    inputs, warnings (joined by " | "), error; where people were told apart also `person_<number>_<role>`, the emotion
    of each. An empty cell is a value that is not there. A text that a spreadsheet would run as a formula gets a leading
    apostrophe.
    """
    rows = list(rows)
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, fieldnames=wide_columns(rows), restval="")
    table.writeheader()
    for row in rows:
        table.writerow({name: spreadsheet_cell(value) for name, value in wide_values(row).items()})
    write_text(text.getvalue(), path)


def wide_columns(rows: Iterable[Analysis | ClipFailure]) -> list[str]:
    """The columns of `write_csv` for these rows, in order."""
    labels = dict.fromkeys(label for row in rows if isinstance(row, Analysis) for label in row.probabilities)
    return [
        *("clip", "emotion", "confidence", "valence", "order_sensitivity", "duration_s", "peak_s"),
        *(f"p_{label}" for label in labels),
        *(f"AU{unit:02d}" for unit in ACTION_UNITS),
        *VoiceMeasures.model_fields,
        *("language", "transcript", "reasoning", "visual", "audio", "inputs", "warnings", "error"),
        *(f"person_{number}_{role}" for number, role in _roles(rows)),
    ]


def _roles(rows: Iterable[Analysis | ClipFailure]) -> list[tuple[int, str]]:
    """People of any row with the roles they are seen in, in order."""
    found = dict.fromkeys((one.person, one.role) for row in rows if isinstance(row, Analysis) for one in row.people)
    return sorted(found, key=lambda pair: pair[0])


def wide_values(row: Analysis | ClipFailure) -> Mapping[str, object]:
    """One row's cells by column name; `None` is an empty one."""
    if isinstance(row, ClipFailure):
        return {"clip": row.clip, "error": f"{row.error.type}: {row.error.message}"}
    return {
        "clip": row.clip,
        "emotion": row.emotion or ", ".join(row.labels) or None,
        "confidence": row.confidence,
        "valence": row.valence.value if row.valence else None,
        "order_sensitivity": row.order_sensitivity,
        "duration_s": row.duration_s,
        "peak_s": row.peak_frame.time_s if row.peak_frame else None,
        **{f"p_{label}": p for label, p in row.probabilities.items()},
        **{f"AU{unit_number(name):02d}": intensity for name, intensity in row.action_units.items()},
        **(row.voice.model_dump() if row.voice else {}),
        "language": row.transcript.language,
        "transcript": row.transcript.text,
        "reasoning": row.reasoning,
        "visual": row.visual,
        "audio": row.audio,
        "inputs": "+".join(name for name, state in row.inputs.items() if state.present),
        "warnings": " | ".join(row.warnings),
        **{f"person_{one.person}_{one.role}": one.emotion for one in row.people},
    }


def unit_number(name: str) -> int:
    """The FACS number of an action unit's name ("AU12" → 12, "AU01" → 1)."""
    return int(name.removeprefix("AU"))


def spreadsheet_cell(value: object) -> object:
    """A cell as it is written; texts are made safe for spreadsheets, numbers stay numbers."""
    if isinstance(value, str) and value.startswith(_FORMULA_STARTS):
        return "'" + value
    return "" if value is None else value


def output_error(path: Path, error: OSError) -> OutputError:
    """What is raised for a result that cannot be written."""
    return OutputError(
        f"{path}: cannot write the result ({error.strerror or error}); "
        "expected a writable folder with free space; choose another --out or make room"
    )


def remove(path: Path) -> None:
    """Take a half-written temporary file away; that it cannot be removed must not hide why it was half-written."""
    try:
        path.unlink(missing_ok=True)
    except OSError:
        return

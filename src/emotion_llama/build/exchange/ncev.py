"""The text lists of the released code: lines of `name frames emotion [valence]`, and transcripts as CSV.

Two columns are read as name and emotion, as the released code reads them. A valence of -10 means none; where the
number of frames is not known the lists have 0.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from emotion_llama.datasets.mer import NO_VALENCE
from emotion_llama.errors import ManifestError
from emotion_llama.manifest import read_csv_rows

TRANSCRIPTS = ("transcription_en_all.csv", "transcription_all_new.csv")
"""Names of transcript files, ours first."""

_SENTENCES = ("sentence", "sentence_en")


@dataclass(frozen=True)
class Line:
    """One line of a list. `frames` and `valence` are `None` where the line does not tell them."""

    name: str
    frames: int | None
    emotion: str
    valence: float | None

    @property
    def nce(self) -> str:
        """The line as the MERR lists have it: name, frames, emotion."""
        return f"{self.name} {self.frames or 0} {self.emotion}"

    @property
    def ncev(self) -> str:
        """The line with its valence."""
        return f"{self.nce} {-10 if self.valence is None else self.valence!r}"


def read_lines(path: Path) -> Iterator[Line]:
    """Read a list. Raises `ManifestError` with file and line for a line that is none."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ManifestError(f"{path}: cannot be read as UTF-8 text ({error})") from error
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            yield _line(line.split(), f"{path}:{number}")


def read_transcripts(path: Path) -> dict[str, str]:
    """Read name → sentence from a CSV with the columns name and sentence (or sentence_en); "" = nothing was said.

    Raises `ManifestError` for other columns.
    """
    found: dict[str, str] = {}
    for line, row in read_csv_rows(path):
        column = next((name for name in _SENTENCES if name in row), None)
        if column is None or not row.get("name"):
            raise ManifestError(f"{path}:{line}: expected the columns name and sentence, found {', '.join(row)}")
        found[row["name"]] = row[column]
    return found


def find_transcripts(folder: Path) -> dict[str, str]:
    """Read the transcripts beside a list; nothing where there are none."""
    path = next((folder / name for name in TRANSCRIPTS if (folder / name).is_file()), None)
    return {} if path is None else read_transcripts(path)


def csv_line(*cells: str) -> str:
    """Give one CSV line with every cell in quotes, so that line breaks and blanks stay what they are."""
    text = io.StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL, lineterminator="\n").writerow(cells)
    return text.getvalue()


def _line(cells: list[str], where: str) -> Line:
    if len(cells) == 2:
        return Line(cells[0], None, cells[1], None)
    if len(cells) not in (3, 4) or not cells[1].isdecimal():
        raise ManifestError(f"{where}: expected name, frames, emotion and perhaps valence, found {' '.join(cells)!r}")
    return Line(cells[0], int(cells[1]) or None, cells[2], _valence(cells[3], where) if len(cells) == 4 else None)


def _valence(cell: str, where: str) -> float | None:
    try:
        value = float(cell)
    except ValueError as error:
        raise ManifestError(f"{where}: valence must be a number, found {cell!r}") from error
    if not math.isfinite(value):
        raise ManifestError(f"{where}: valence must be finite, found {cell!r}")
    return None if value == NO_VALENCE else value

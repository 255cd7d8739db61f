"""Lists of clips: `.jsonl` (one object a line) and `.csv` (with a heading line).

Columns, all but the first optional:

    clip | path | file     the recording; relative paths start at the manifest's folder
    start_s, end_s         seconds of the recording
    transcript             JSONL: null = not transcribed, "" = nothing was said; CSV: an empty cell = not transcribed
    speaker | actor        who is seen or heard
    emotion | label        annotation: one label
    valence                annotation
    labels                 several labels: JSONL a list, CSV separated by ";"
    reasoning              annotation
    observations           JSONL only
    sex | gender, age, …   any other column with a word or a number: a group to slice scores by (`Clip.groups`)

With both `clip` and `path` (or `file`), `clip` is the identity and the other is where the recording lies; an empty
`path` then means text alone. Whether a recording exists is found out when it is analysed, not here.
"""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError, OutputError

SUFFIXES = (".jsonl", ".csv")
"""What a manifest's name ends in."""

LABEL_SEPARATOR = ";"

_PATH_COLUMNS = ("path", "file")
_ALIASES = {"speaker": ("speaker", "actor"), "emotion": ("emotion", "label")}
_GROUP_ALIASES = {"gender": "sex"}
_FIELDS = ("start_s", "end_s", "transcript", "speaker", "emotion", "valence", "labels", "reasoning", "observations")
_CSV_COLUMNS = ("clip", "path", *_FIELDS[:-1])
_KNOWN = {"clip", *_PATH_COLUMNS, *_FIELDS, *(word for words in _ALIASES.values() for word in words), "groups"}


def read_manifest(path: Path) -> list[Clip]:
    """Read a list of clips; each `Clip.path` is joined to the manifest's folder, `Clip.clip` stays as written.

    Raises `ManifestError` with file and line for a list that cannot be read, has no clip column or holds no clip.
    """
    rows = _read_csv_cells(path) if _suffix(path) == ".csv" else _read_jsonl_rows(path)
    clips = [_clip(row, f"{path}:{line}", path.parent) for line, row in rows]
    if not clips:
        raise ManifestError(f"{path}: expected at least one clip, found no rows")
    return clips


def write_manifest(clips: Iterable[Clip], path: Path) -> None:
    """Write a list that `read_manifest` reads back; recordings below the manifest's folder are written relative.

    Raises `OutputError` if it cannot be written, or if a `.csv` cannot hold what a clip carries.
    """
    rows = [_row(clip, path.parent) for clip in clips]
    text = _csv_text(rows, path) if _suffix(path) == ".csv" else "".join(f"{_json(row)}\n" for row in rows)
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(text, encoding="utf-8", newline="")
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot write the manifest ({error}); choose a folder you may write to") from error


def read_csv_rows(path: Path) -> list[tuple[int, dict[str, str]]]:
    """Read a CSV with a heading as (line number, column → cell) pairs; blank lines are skipped.

    Raises `ManifestError` for a missing or repeated heading, or a row with more or fewer cells than the heading.
    """
    lines = csv.reader(io.StringIO(_read_text(path), newline=""))
    try:
        heading = [name.strip() for name in next(lines, [])]
        if not any(heading):
            raise ManifestError(f"{path}: expected a heading line with column names, found an empty file")
        twice = sorted({name for name in heading if heading.count(name) > 1})
        if twice:
            raise ManifestError(f"{path}:1: column {', '.join(map(repr, twice))} occurs more than once; rename one")
        return list(_dict_rows(lines, heading, path, lines.line_num + 1))
    except csv.Error as error:
        raise ManifestError(f"{path}:{lines.line_num}: not readable as CSV ({error})") from error


def _dict_rows(
    lines: Any,  # a csv reader: its type has no public name
    heading: list[str],
    path: Path,
    line: int,
) -> Iterator[tuple[int, dict[str, str]]]:
    for cells in lines:
        if cells:
            if len(cells) != len(heading):
                raise ManifestError(
                    f"{path}:{line}: expected {len(heading)} cells as in the heading, found {len(cells)}; "
                    "put cells that hold a comma or a line break in double quotes"
                )
            yield line, dict(zip(heading, cells, strict=True))
        line = lines.line_num + 1  # a quoted cell may span lines: the row's first line is the one to name


def _read_csv_cells(path: Path) -> list[tuple[int, dict[str, Any]]]:
    """CSV rows with empty cells as `None`: a cell cannot tell "" from nothing."""
    return [(line, {name: cell or None for name, cell in row.items()}) for line, row in read_csv_rows(path)]


def _read_jsonl_rows(path: Path) -> list[tuple[int, dict[str, Any]]]:
    rows = []
    # not str.splitlines: that would also split at the line separators JSON allows inside a string
    for number, line in enumerate(_read_text(path).split("\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            raise ManifestError(f"{path}:{number}: expected one JSON object a line ({error})") from error
        if not isinstance(row, dict):
            raise ManifestError(f"{path}:{number}: expected a JSON object, found {type(row).__name__}")
        rows.append((number, row))
    return rows


def _read_text(path: Path) -> str:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return file.read()
    except OSError as error:
        raise ManifestError(f"{path}: cannot read the manifest ({error})") from error
    except UnicodeDecodeError as error:
        raise ManifestError(f"{path}: expected UTF-8 text ({error}); save the file as UTF-8") from error


def _suffix(path: Path) -> str:
    suffix = path.suffix.lower()
    if suffix not in SUFFIXES:
        raise ManifestError(f"{path}: a manifest ends in {' or '.join(SUFFIXES)}, found {path.suffix or 'no suffix'!r}")
    return suffix


def _clip(row: dict[str, Any], where: str, folder: Path) -> Clip:
    identity, media = _identity(row, where)
    fields: dict[str, Any] = {"clip": identity, "path": folder / media if media else None}
    for name in _FIELDS:
        fields[name] = next(
            (row[column] for column in _ALIASES.get(name, (name,)) if row.get(column) is not None), None
        )
    fields["observations"] = fields["observations"] or ()
    fields["groups"] = _groups(row)
    if isinstance(fields["labels"], str):
        fields["labels"] = tuple(word.strip() for word in fields["labels"].split(LABEL_SEPARATOR) if word.strip())
    try:
        clip = Clip.model_validate(fields)
    except ValidationError as error:
        wrong = "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}, found {e['input']!r}" for e in error.errors())
        raise ManifestError(f"{where}: {wrong}") from error
    _check(clip, where)
    return clip


def _groups(row: dict[str, Any]) -> dict[str, str | float]:
    """Give the columns of the data set's own: words and numbers; what is neither (a list, …) groups nothing."""
    groups: dict[str, str | float] = {}
    for name, value in row.items():
        if name in _KNOWN or value is None or isinstance(value, dict | list):
            continue
        groups[_GROUP_ALIASES.get(name, name)] = _word_or_number(value)
    return groups


def _word_or_number(value: Any) -> str | float:
    if isinstance(value, bool):
        return str(value).lower()
    try:
        number = float(value)
    except ValueError:
        return str(value)
    return number if math.isfinite(number) else str(value)


def _check(clip: Clip, where: str) -> None:
    if clip.path is None and clip.transcript is None:
        raise ManifestError(f"{where}: {clip.clip!r} has neither a recording nor a transcript; give one of them")
    for name in ("start_s", "end_s", "valence"):
        value = getattr(clip, name)
        if value is not None and not math.isfinite(value):
            raise ManifestError(f"{where}: {name} must be a finite number, found {value}")
    if clip.end_s is not None and clip.end_s <= (clip.start_s or 0.0):
        raise ManifestError(f"{where}: end_s ({clip.end_s}) must be after start_s ({clip.start_s or 0.0})")


def _identity(row: dict[str, Any], where: str) -> tuple[str, str | None]:
    """Give (identity, where the recording lies or `None` for text alone)."""
    if not any(column in row for column in ("clip", *_PATH_COLUMNS)):
        raise ManifestError(f"{where}: expected a column clip, path or file, found {', '.join(row) or 'none'}")
    column = next((name for name in _PATH_COLUMNS if name in row), "clip")
    media = row[column] or None
    identity = row.get("clip") or media
    if not isinstance(identity, str) or not isinstance(media, str | None):
        raise ManifestError(f"{where}: expected a path or name as text, found clip {identity!r}, {column} {media!r}")
    return identity, media


def _row(clip: Clip, folder: Path) -> dict[str, Any]:
    """Give the columns of one clip; unset annotations are left out, `path` is always there."""
    media = clip.path
    if media is not None and media.resolve().is_relative_to(folder.resolve()):
        media = media.resolve().relative_to(folder.resolve())
    elif media is not None:
        media = media.resolve()
    fields = clip.model_dump(mode="json", exclude_none=True, include=set(_FIELDS), exclude_defaults=True)
    return {"clip": clip.clip, "path": media.as_posix() if media else None, **fields, **clip.groups}


def _json(row: dict[str, Any]) -> str:
    return json.dumps(row, ensure_ascii=False)


def _csv_text(rows: list[dict[str, Any]], path: Path) -> str:
    text = io.StringIO(newline="")
    # an own line end: csv's default would mix two kinds in files that are otherwise plain
    own = tuple(dict.fromkeys(name for row in rows for name in row if name not in (*_CSV_COLUMNS, "observations")))
    writer = csv.DictWriter(text, fieldnames=(*_CSV_COLUMNS, *own), lineterminator="\n")
    writer.writeheader()
    for row in rows:
        _check_csv_can_hold(row, path)
        labels = {"labels": LABEL_SEPARATOR.join(row["labels"])} if "labels" in row else {}
        writer.writerow({**row, **labels})
    return text.getvalue()


def _check_csv_can_hold(row: dict[str, Any], path: Path) -> None:
    lost = [name for name in ("observations",) if name in row]
    lost += [name for name in ("transcript", "reasoning") if row.get(name) == ""]
    if lost or any(LABEL_SEPARATOR in label for label in row.get("labels", ())):
        what = ", ".join(lost) or f"a label with {LABEL_SEPARATOR!r}"
        raise OutputError(f"{path}: clip {row['clip']!r} has {what}, which a CSV cell cannot hold; write a .jsonl")

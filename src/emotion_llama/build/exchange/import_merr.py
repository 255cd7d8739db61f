"""merr: MERR files, as released, as MER-Factory writes them, or as our own export does (`merr.py` lists them)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from emotion_llama.build.entry import CoarseLabel, Entry, Peak, Rejected, Written
from emotion_llama.build.exchange.loose_json import read_loose_json
from emotion_llama.build.exchange.merr import (
    FRAMES,
    GRAINS,
    MERR_SOURCE,
    NAMES,
    NCEV,
    MerrRow,
    joined,
    json_name,
    txt_name,
)
from emotion_llama.build.exchange.ncev import Line, find_transcripts, read_lines
from emotion_llama.build.exchange.recordings import absolute
from emotion_llama.build.exchange.source import Imported, ImportSource, rejected
from emotion_llama.build.exchange.units import unit_name, unit_number
from emotion_llama.clip import Clip, Observation
from emotion_llama.errors import ManifestError
from emotion_llama.manifest import read_csv_rows

GIVEN = "given"
"""Who wrote a text, and which rule chose a peak frame, where the file does not tell."""

_OLDER = {"coarse": "AU_filter_merge.json", "fine": "0512_target_smp_end.json"}
_MEDIA_FOLDERS = ("media", "video", "videos")


@dataclass
class _Files:
    """All that was read: rows by name, lines by name, sentences by name, the clips' own names, recordings."""

    rows: dict[str, list[Any]] = field(default_factory=dict)
    lines: dict[str, Line] = field(default_factory=dict)
    order: dict[str, None] = field(default_factory=dict)
    sentences: dict[str, str] = field(default_factory=dict)
    clips: dict[str, str] = field(default_factory=dict)
    recordings: dict[str, Path] = field(default_factory=dict)


def import_merr(source: ImportSource) -> Imported:
    """Read a folder of MERR files, or one of its JSON files with the lists beside it.

    The emotion is that of the list, where there is one, else `pseu_emotion`. Words are those of `text`, else of the
    transcript file. What the files hold and an entry has no place for goes into `groups` (frames) and `observations`
    (units at the peak frame, whose strength MERR does not tell). Raises `ManifestError` for a file that is not MERR's.
    """
    files = _read(source)
    other = 0
    for name in (*files.order, *(name for name in files.rows if name not in files.order)):
        if name not in files.rows:
            if source.path.is_dir():  # beside a single file the lists may be about the other one
                yield rejected(files.clips.get(name, name), "it stands in a list but in no JSON file")
            continue
        found = _entry(name, files)
        other += isinstance(found, Entry) and found.coarse is not None and found.coarse.emotion != found.clip.emotion
        yield found
    if other:
        source.notes.append(
            f"{other} clips have another emotion in the list than pseu_emotion says; the list's is taken"
        )


def _read(source: ImportSource) -> _Files:
    folder, files = source.folder, _Files()
    for path in _json_files(source):
        table, twice = read_loose_json(path)
        if not isinstance(table, dict):
            raise ManifestError(f"{path}: expected a JSON object clip name → row, found {type(table).__name__}")
        if twice:
            source.notes.append(f"{path.name}: {', '.join(twice[:5])} stands there twice; the last one is taken")
        for name, row in table.items():
            files.rows.setdefault(name, []).append(row)
    for path in (folder / NCEV, *(folder / txt_name(grain) for grain in reversed(GRAINS))):
        for line in read_lines(path) if path.is_file() else ():
            before = files.lines.get(line.name)
            if before is None or (before.emotion == line.emotion and before.valence is None):
                files.lines[line.name] = line
            files.order[line.name] = None
    files.sentences = find_transcripts(folder)
    if (folder / NAMES).is_file():
        files.clips = dict(_two_cells(folder / NAMES))
    files.recordings = source.recordings(*_MEDIA_FOLDERS)
    return files


def _two_cells(path: Path) -> Iterator[tuple[str, str]]:
    for line, row in read_csv_rows(path):
        if not row.get("name") or "clip" not in row:
            raise ManifestError(f"{path}:{line}: expected the columns name and clip, found {', '.join(row)}")
        yield row["name"], row["clip"]


def _json_files(source: ImportSource) -> list[Path]:
    """Give the JSON files, the coarse one first: its words stand behind those of the fine one."""
    if source.path.is_file():
        return [source.path]
    names = [(json_name(grain), _OLDER[grain]) for grain in GRAINS]
    found = [next((source.folder / name for name in pair if (source.folder / name).is_file()), None) for pair in names]
    paths = [path for path in found if path is not None]
    if not paths:
        raise ManifestError(f"{source.path}: expected {' or '.join(pair[0] for pair in names)} in it, found neither")
    return paths


def _entry(name: str, files: _Files) -> Entry | Rejected:
    clip = files.clips.get(name, name)
    try:
        row = MerrRow.model_validate(joined(files.rows[name]))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the row"
        return rejected(clip, f"{where}: {first['msg']}, found {first['input']!r}")
    reason = _amiss(row)
    if reason is not None:
        return rejected(clip, reason)
    index = _index(row)
    phrases, tone = row.visual_prior_list, row.audio_prior_list
    return Entry(
        clip=_clip(clip, name, row, files),
        action_units=_intensities(row),
        units_seen=tuple(_unit(word) for word in row.AU_list),
        peak=Peak(index=int(index), rule=GIVEN) if index else None,
        coarse=_coarse(row),
        face_phrases=(phrases,) if isinstance(phrases, str) else tuple(phrases),
        voice=_written(tone if isinstance(tone, str) else "; ".join(tone)),
        coarse_text=_written(row.caption),
        fine_text=_written(row.smp_reason_caption),
    )


def _amiss(row: MerrRow) -> str | None:
    """Say what is no MERR value in a row."""
    wrong = next((word for word in (*row.AU_list, *row.peak_AU_list) if unit_number(word) is None), None)
    if wrong is not None:
        return f"expected action units such as AU05 in AU_list and peak_AU_list, found {wrong!r}"
    if _index(row) and not _index(row).isdecimal():
        return f"peak_index: expected the number of a frame, found {row.peak_index!r}"
    return None


def _index(row: MerrRow) -> str:
    return "" if row.peak_index is None else str(row.peak_index).strip()


def _clip(clip: str, name: str, row: MerrRow, files: _Files) -> Clip:
    line = files.lines.get(name)
    path = files.recordings.get(name)
    return Clip(
        clip=clip,
        path=absolute(path) if path else None,
        # an empty `text` alone tells nothing: MER-Factory leaves it empty everywhere
        transcript=row.text or files.sentences.get(name),
        emotion=line.emotion if line else row.pseu_emotion or None,
        valence=line.valence if line else None,
        reasoning=row.smp_reason_caption or None,
        observations=() if isinstance(row.peak_AU_list, dict) else tuple(_seen(word) for word in row.peak_AU_list),
        groups={FRAMES: float(line.frames)} if line and line.frames else {},
    )


def _seen(word: str) -> Observation:
    name = _unit(word)
    return Observation(channel="face", text=f"{name} is active at the peak frame", source=MERR_SOURCE, name=name)


def _intensities(row: MerrRow) -> dict[str, float]:
    return (
        {_unit(word): value for word, value in row.peak_AU_list.items()} if isinstance(row.peak_AU_list, dict) else {}
    )


def _unit(word: str) -> str:
    number = unit_number(word)
    return word if number is None else unit_name(number)


def _coarse(row: MerrRow) -> CoarseLabel | None:
    word = row.pseu_emotion
    return CoarseLabel(emotion=word, pseudo_label=word, pseudo_source=MERR_SOURCE) if word else None


def _written(text: str | None) -> Written | None:
    return Written(text=text, writer=GIVEN) if text else None

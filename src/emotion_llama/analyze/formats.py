"""What `--format` knows: name → ending of the file and what writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from emotion_llama.analyze.captions import write_srt, write_vtt
from emotion_llama.analyze.eaf import write_eaf
from emotion_llama.analyze.long_table import write_long_csv
from emotion_llama.analyze.openface_csv import write_openface
from emotion_llama.analyze.parquet import write_parquet
from emotion_llama.analyze.report import write_report
from emotion_llama.analyze.textgrid import write_textgrid
from emotion_llama.analyze.writers import ClipFailure, write_csv, write_json
from emotion_llama.clip import Analysis

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import Result


def _write_json(result: Result, path: Path) -> None:
    write_json(result.analysis, path)


def _write_html(result: Result, path: Path) -> None:
    write_report(result.analysis, result.material, path)


TABLES: dict[str, tuple[str, Callable[[Sequence[Analysis | ClipFailure], Path], None]]] = {
    "csv": (".csv", write_csv),
    "csv-long": (".long.csv", write_long_csv),
    "parquet": (".parquet", write_parquet),
}
"""One file for all clips of a run."""

CLIP_FILES: dict[str, tuple[str, Callable[[Result, Path], None]]] = {
    "html": (".html", _write_html),
    "vtt": (".vtt", write_vtt),
    "srt": (".srt", write_srt),
    "textgrid": (".TextGrid", write_textgrid),
    "eaf": (".eaf", write_eaf),
    "openface": (".openface.csv", write_openface),
}
"""One file a clip."""

FORMATS = ("json", *TABLES, *CLIP_FILES)
"""All names. `json` is a file of its own for a single clip; of a run over many each is a line of `analyses.jsonl`."""


def write_files(result: Result, out: Path, formats: Sequence[str], stem: str | None = None) -> list[Path]:
    """Write one clip's files of these formats; tables have a single row or clip. Gives the paths written."""
    stem = stem or Path(result.analysis.clip).stem or "clip"
    written = []
    for name in formats:
        if name in TABLES:
            ending, write_table = TABLES[name]
            write_table([result.analysis], out / (stem + ending))
        else:
            ending, write = (".json", _write_json) if name == "json" else CLIP_FILES[name]
            write(result, out / (stem + ending))
        written.append(out / (stem + ending))
    return written


def write_tables(rows: Sequence[Analysis | ClipFailure], out: Path, formats: Sequence[str], stem: str) -> None:
    """Write those of these formats that are one file for all clips."""
    for name in formats:
        if name in TABLES:
            ending, write_table = TABLES[name]
            write_table(rows, out / (stem + ending))

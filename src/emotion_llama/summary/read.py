"""Analyses of a folder run, of single files or of several of them, read by the package's own records."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from emotion_llama.analyze.folder import ANALYSES
from emotion_llama.analyze.writers import ClipFailure, read_jsonl
from emotion_llama.clip import Analysis
from emotion_llama.errors import ManifestError, UsageError

_SHOWN = 3


@dataclass(frozen=True)
class Results:
    """What was read. `notes` are things a reader of the numbers must know."""

    analyses: tuple[Analysis, ...]
    failures: tuple[ClipFailure, ...]
    notes: tuple[str, ...] = ()


def read_results(inputs: Sequence[Path]) -> Results:
    """Read folders of results (their `analyses.jsonl`, else their .json files), `.jsonl` and `.json` files.

    Of a clip that stands twice the last analysis counts. Raises `UsageError` where there is none, where all failed or
    where label sets are mixed; `ManifestError` naming the file for one that cannot be read.
    """
    found: dict[str, Analysis | ClipFailure] = {}
    twice = set()
    for path in inputs:
        for row in _rows(path):
            if row.clip in found:
                twice.add(row.clip)
                if isinstance(row, ClipFailure) and isinstance(found[row.clip], Analysis):
                    continue  # a clip that failed once and was analysed another time is analysed
            found[row.clip] = row
    analyses = tuple(row for row in found.values() if isinstance(row, Analysis))
    failures = tuple(row for row in found.values() if isinstance(row, ClipFailure))
    _check(inputs, analyses, failures)
    notes = [f"{len(twice)} clips stand more than once; the last result counts."] if twice else []
    return Results(analyses, failures, (*notes, *_differing(analyses)))


def _rows(path: Path) -> Iterator[Analysis | ClipFailure]:
    if path.is_dir():
        lines = path / ANALYSES
        files = sorted(path.glob("*.json")) if not lines.is_file() else []
        if not lines.is_file() and not files:
            raise UsageError(f"{path}: expected {ANALYSES} or .json files of analyze in it, found neither")
        yield from read_jsonl(lines) if lines.is_file() else _of_files(files)
    elif not path.exists():
        raise UsageError(f"{path}: no such file or folder; give the --out folder of analyze, or files that it wrote")
    else:
        yield from read_jsonl(path) if path.suffix.lower() == ".jsonl" else [_of_file(path)]


def _of_files(files: Sequence[Path]) -> Iterator[Analysis]:
    """Analyses among the .json files of a folder; other kinds of files (`run.json`) are passed over."""
    for path in files:
        if "schema_version" in _json(path):
            yield _of_file(path)


def _of_file(path: Path) -> Analysis:
    try:
        return Analysis.model_validate(_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ManifestError(f"{path}: expected an analysis as analyze writes it; {where}: {first['msg']}") from error


def _json(path: Path) -> dict[str, object]:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ManifestError(f"{path}: expected an analysis as JSON, found {error}") from error
    return record if isinstance(record, dict) else {}


def _check(inputs: Sequence[Path], analyses: Sequence[Analysis], failures: Sequence[ClipFailure]) -> None:
    where = ", ".join(map(str, inputs))
    if not analyses and failures:
        reasons = Counter(f"{row.error.type}: {row.error.message}" for row in failures).most_common(_SHOWN)
        told = "; ".join(f"{reason} ({count})" for reason, count in reasons)
        raise UsageError(f"{where}: all {len(failures)} clips failed, there is nothing to summarise: {told}")
    if not analyses:
        raise UsageError(f"{where}: no analysis in there; run emotion-llama analyze first")
    sets = Counter(tuple(sorted(row.probabilities)) for row in analyses)
    if len(sets) > 1:
        told = "; ".join(f"{', '.join(labels) or 'open words'} ({count})" for labels, count in sets.most_common())
        raise UsageError(
            f"{where}: the analyses were asked for different labels, whose shares cannot stand in one table: {told}; "
            "summarise each set of labels on its own, or analyse all clips with one --labels"
        )


def _differing(analyses: Sequence[Analysis]) -> Iterator[str]:
    """What the analyses were made with, where it is not the same for all."""
    for field, name in (
        ("model", "model"), ("weights_sha256", "weights"), ("prompt_version", "prompt version"), ("layout", "layout"),
        ("label_orders", "number of label orders"), ("package", "version of the package"),
    ):  # fmt: skip
        counts = Counter(str(getattr(row.provenance, field))[:40] for row in analyses)
        if len(counts) > 1:
            told = ", ".join(f"{value} ({count})" for value, count in counts.most_common())
            yield f"Not all were made with one {name}: {told}. Differences between groups may come from that."

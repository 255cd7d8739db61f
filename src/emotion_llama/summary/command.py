"""What `emotion-llama summary` does with its words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from emotion_llama.analyze.folder import check_writable
from emotion_llama.manifest import read_manifest
from emotion_llama.summary.groups import (
    LABEL,
    NO_LABEL,
    TIME,
    annotated_by,
    check_columns,
    columns,
    grouped,
    sample_of,
)
from emotion_llama.summary.page import write_page
from emotion_llama.summary.read import Results, read_results
from emotion_llama.summary.table import Cell, cells, share, write_table

TABLE, PAGE = "summary.csv", "summary.html"


def run_summary(inputs: Sequence[Path], manifest: Path | None, by: str, out: Path | None) -> int:
    """Write the table and the page; gives the exit code 0. Raises `UsageError`, `ManifestError`, `OutputError`."""
    results = read_results(inputs)
    wanted = [name for name in dict.fromkeys(word.strip() for word in by.split(",")) if name]
    rows, notes = summarise(results, manifest, wanted)
    first = inputs[0]
    folder = out if out is not None else first if first.is_dir() else first.parent
    check_writable(folder)
    write_table(rows, folder / TABLE)
    write_page(first.resolve().name, rows, results.failures, notes, folder / PAGE)
    _show(rows)
    for name in (TABLE, PAGE):
        print(f"wrote {folder / name}")
    return 0


def summarise(results: Results, manifest: Path | None, by: Sequence[str]) -> tuple[list[Cell], list[str]]:
    """The numbers over all analyses and of each column, and what must be known to read them.

    Without `by`: by label, by speaker and by time where they are known.
    """
    analyses, notes = results.analyses, list(results.notes)
    clips = [] if manifest is None else read_manifest(manifest)
    annotated = annotated_by(analyses, clips)
    if clips and len(annotated) < len(analyses):
        notes.append(f"{len(analyses) - len(annotated)} of {len(analyses)} analyses are not in the manifest.")
    known = columns(analyses, annotated)
    check_columns(by, known, manifest is not None)
    chosen = by or [name for name in (LABEL, "speaker", TIME) if name in known]
    everything = [sample_of(row) for row in analyses]
    given = {label for sample in everything for label in sample.labels}
    asked = [*analyses[0].probabilities] or sorted(given - {NO_LABEL})
    labels = [*asked, *([NO_LABEL] if NO_LABEL in given else [])]
    rows = [*cells("all", {"all": everything}, labels)]
    total = len(analyses) + len(results.failures)
    rows.append(share("all", "all", "failure", "", len(results.failures), total))
    kinds = Counter(failure.error.type for failure in results.failures)
    rows += [share("all", "all", "failure", kind, count, total) for kind, count in kinds.most_common()]
    for column in chosen:
        groups = grouped(column, analyses, annotated)
        more = [NO_LABEL] if any(NO_LABEL in sample.labels for one in groups.values() for sample in one) else []
        # in the group of a label the share of that label is always one
        rows += cells(column, groups, [] if column == LABEL else list(dict.fromkeys([*labels, *more])))
    return rows, notes


def _show(rows: Sequence[Cell]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("label", "n", "share", "95 %", box=None, pad_edge=False)
    for row in rows:
        if row.by == "all" and row.quantity == "share" and row.low is not None and row.high is not None:
            table.add_row(row.name, str(row.count), f"{row.value:.0%}", f"{row.low:.0%}–{row.high:.0%}")
    clips = next(int(row.value) for row in rows if row.quantity == "clips")
    failed = next((row.count or 0 for row in rows if row.quantity == "failure"), 0)
    console = Console()
    console.print(f"{clips} {'analysis' if clips == 1 else 'analyses'}, {failed} failed")
    console.print(table)

"""A data set → the formats of others."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from pathlib import Path

from emotion_llama.build.exchange.export import Export, json_text
from emotion_llama.build.exchange.export_csv import export_csv
from emotion_llama.build.exchange.export_datasets import export_datasets
from emotion_llama.build.exchange.export_llama_factory import export_llama_factory
from emotion_llama.build.exchange.export_manifest import export_manifest
from emotion_llama.build.exchange.export_merr import export_merr
from emotion_llama.build.exchange.export_ms_swift import export_ms_swift
from emotion_llama.build.exchange.options import ExportOptions, ExportReport
from emotion_llama.build.exchange.recordings import recording_of, total_bytes
from emotion_llama.errors import UsageError
from emotion_llama.output import MARKER, new_folder, require_space

EXPORTS: dict[str, Callable[[Export], None]] = {
    "merr": export_merr,
    "llama-factory": export_llama_factory,
    "ms-swift": export_ms_swift,
    "datasets": export_datasets,
    "csv": export_csv,
    "manifest": export_manifest,
}
"""Name of a format → the function that fills an export's folder with it."""


def export_dataset(
    dataset: Path, kind: str, out: Path, *, overwrite: bool = False, options: ExportOptions | None = None
) -> ExportReport:
    """Write a data set's folder in one of `EXPORTS` to the folder `out`, whole or not at all.

    Raises `UsageError` for an unknown format, a taken `out` or an export without any clip, `ManifestError` for a
    damaged data set, `OutputError` if it cannot be written.
    """
    check_kind(kind, EXPORTS, "--to")
    with new_folder(out, source=dataset, overwrite=overwrite) as folder:
        export = Export(dataset, folder, out, options or ExportOptions())
        if export.options.media == "copy":
            recordings = {recording_of(entry, dataset) for entry in export.entries()}
            require_space(out, total_bytes([path for path in recordings if path is not None]))
        EXPORTS[kind](export)
        report = export.report(kind)
        if not report.clips:
            raise UsageError(f"{dataset}: no entry can be written as {kind}; {_first_reason(report)}")
        _write_marker(folder, dataset, export.options, report)
    return report


def check_kind(kind: str, known: Mapping[str, object], option: str) -> None:
    """Raise `UsageError` for a format that is not among the known ones."""
    if kind not in known:
        near = get_close_matches(kind, known, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UsageError(f"{option} {kind}: expected one of {', '.join(known)}{hint}")


def _first_reason(report: ExportReport) -> str:
    if not report.left_out:
        return "there is none in the asked parts; ask for other --parts"
    first = report.left_out[0]
    return f"{len(report.left_out)} are left out, the first, {first.clip!r}, because {first.reason}"


def _write_marker(folder: Path, dataset: Path, options: ExportOptions, report: ExportReport) -> None:
    document = {
        "kind": report.kind,
        "dataset": str(dataset),
        "options": options.model_dump(mode="json"),
        **report.model_dump(mode="json", include={"clips", "files", "left_out", "notes"}),
    }
    (folder / MARKER).write_text(json_text(document, indent=2) + "\n", encoding="utf-8")

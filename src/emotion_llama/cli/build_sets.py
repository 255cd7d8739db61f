"""What one does with a data set that is there: numbers, an examination, other formats (`emotion-llama build …`)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from emotion_llama.errors import UsageError

if TYPE_CHECKING:
    from emotion_llama.build.exchange.options import ExportReport, ImportReport

Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")]
SHOWN = 10


def stats(
    dataset: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    against: Annotated[
        list[Path] | None, typer.Option(help="Manifest or data set to put beside it; repeatable.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for page, figures and JSON. Default: DATASET/stats.")] = None,
) -> None:
    """Count labels, action units, lengths, rejections, agreement and clues; as a page, figures and JSON."""
    from emotion_llama.build.stats.count import dataset_stats
    from emotion_llama.build.stats.page import write_stats
    from emotion_llama.build.stats.table import stats_text

    found = dataset_stats(dataset, against or ())
    page, *_ = write_stats(found, out or dataset / "stats")
    typer.echo(stats_text(found) + str(page))


def examine(
    clips: Annotated[list[Path], typer.Argument(help="Recordings, folders, manifests (one a part) or a data set.")],
    out: Annotated[Path | None, typer.Option(help="JSON file for all findings.")] = None,
    jobs: Annotated[int, typer.Option(help="Worker processes.")] = 1,
) -> None:
    """Look for broken, silent or shifted clips, copies, people in two parts, lopsided classes. Exit code 1: errors."""
    from rich.console import Console
    from rich.progress import Progress

    from emotion_llama.build.doctor.examine import examine as examined
    from emotion_llama.build.doctor.examine import write_report
    from emotion_llama.build.doctor.sources import read_clips
    from emotion_llama.build.doctor.table import report_text

    listed = read_clips(clips)
    console = Console(stderr=True)
    with Progress(console=console, disable=not console.is_terminal) as progress:
        bar = progress.add_task("looking", total=len(listed))
        report = examined(listed, jobs=jobs, progress=lambda done, count: progress.update(bar, completed=done))
    if out is not None:
        write_report(report, out)
    typer.echo(report_text(report), nl=False)
    raise typer.Exit(1 if report.has_errors else 0)


def export(
    dataset: Annotated[Path, typer.Argument(help="Folder of the data set.")],
    to: Annotated[str, typer.Option(help="merr, llama-factory, ms-swift, datasets, csv or manifest.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    parts: Annotated[str, typer.Option(help="Sides to write, with commas. Default: every entry.")] = "",
    media: Annotated[str, typer.Option(help="How recordings are named: absolute, relative, or copy.")] = "absolute",
    tasks: Annotated[str, typer.Option(help="For language models: emotion, reason, or both.")] = "emotion,reason",
    labels: Annotated[
        str, typer.Option(help="Labels that the emotion question lists. Default: those that occur.")
    ] = "",
    overwrite: Overwrite = False,
) -> None:
    """Write the data set in a format that other programs read."""
    from emotion_llama.build.exchange.exports import export_dataset
    from emotion_llama.build.exchange.options import ExportOptions

    options = _options(ExportOptions, parts=_words(parts), media=media, tasks=_words(tasks), labels=_words(labels))
    _print_export(export_dataset(dataset, to, out, overwrite=overwrite, options=options))


def import_(
    source: Annotated[Path, typer.Argument(help="File or folder in the other format.")],
    form: Annotated[
        str,
        typer.Option("--from", help="merr, ncev, emer, mer-csv, dfew, meld, ravdess, crema-d, emodb or openface."),
    ],
    out: Annotated[Path, typer.Option(help="Folder of the new data set.")],
    media: Annotated[
        Path | None, typer.Option(help="Folder below which recordings lie. Default: as the format.")
    ] = None,
    licence: Annotated[str | None, typer.Option(help="Licence of the recordings, for every entry.")] = None,
    consent: Annotated[str | None, typer.Option(help="What the people agreed to, for every entry.")] = None,
    subset: Annotated[str | None, typer.Option(help="Of MER: which of its label files.")] = None,
    fold: Annotated[str, typer.Option(help="Of DFEW: 1 to 5.")] = "1",
    language: Annotated[str, typer.Option(help="Of EMER: english or chinese.")] = "english",
) -> None:
    """Take over annotations that others made."""
    from emotion_llama.build.exchange.imports import import_dataset
    from emotion_llama.build.exchange.options import ImportOptions

    options = _options(
        ImportOptions, media=media, licence=licence, consent=consent, subset=subset, fold=fold, language=language
    )
    _print_import(import_dataset(form, source, out, options=options))


def _options(kind: Any, **values: Any) -> Any:
    from pydantic import ValidationError

    try:
        return kind(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(map(str, first["loc"][:1])) or "options"
        raise UsageError(
            f"--{name}: {str(first['msg']).removeprefix('Value error, ')}, found {first['input']!r}"
        ) from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _print_export(report: ExportReport) -> None:
    typer.echo(f"{report.clips} clips as {report.kind}: {report.out}")
    for name, rows in report.files.items():
        typer.echo(f"  {name}: {rows}")
    for note in report.notes:
        typer.echo(note)
    for one in report.left_out[:SHOWN]:
        typer.echo(f"left out: {one.clip}: {one.reason}", err=True)
    if len(report.left_out) > SHOWN:
        typer.echo(f"and {len(report.left_out) - SHOWN} more are left out; export.json has all", err=True)


def _print_import(report: ImportReport) -> None:
    typer.echo(f"{report.entries} entries, {report.rejected} rejected: {report.out}")
    for emotion, count in report.emotions.items():
        typer.echo(f"  {emotion}: {count}")
    if report.unknown_emotions:
        typer.echo(f"in no label table, kept as they are: {', '.join(report.unknown_emotions)}")
    for note in report.notes:
        typer.echo(note)

"""`emotion-llama build`: recordings → a data set of emotions and reasons; and what one does with such a data set."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from emotion_llama.cli.build_sets import examine, export, import_, stats
from emotion_llama.cli.review import add_annotator, apply_reviews


class _BuildGroup(TyperGroup):
    """`build CONFIG …` is short for `build run CONFIG …`."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put the word `run` before what is no command and no option."""
        if args and not args[0].startswith("-") and args[0] not in self.commands:
            args = ["run", *args]
        return super().parse_args(ctx, args)


build = typer.Typer(
    cls=_BuildGroup,
    help="Build a data set of emotions and reasons from recordings: build CONFIG --clips DIR --out DATASET.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

Dataset = Annotated[Path, typer.Argument(help="Folder of the data set.")]
JournalUrl = Annotated[
    str | None, typer.Option("--journal", help="URL of the journal's database. Default: in the folder.")
]
Jobs = Annotated[int, typer.Option(help="Worker processes. 0: one a core.")]
EngineName = Annotated[str, typer.Option(help="local, or ray: workers on a Ray cluster.")]
Address = Annotated[str | None, typer.Option(help="Of the Ray cluster; without it Ray runs here.")]


@build.callback()
def _root() -> None:
    """Build a data set of emotions and reasons from recordings."""


@build.command("run")
def run(
    config: Annotated[
        Path, typer.Argument(help="Settings: configs/build/NAME.yaml, or the name of a shipped one (merr).")
    ],
    clips: Annotated[list[str], typer.Option("--clips", help="Recordings, a folder or a manifest; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder of the data set; goes on where an earlier build stopped.")],
    overrides: Annotated[list[str] | None, typer.Argument(metavar="[KEY=VALUE]...", help="Changed settings.")] = None,
    jobs: Jobs = 0,
    engine: EngineName = "local",
    address: Address = None,
    journal: JournalUrl = None,
) -> None:
    """Take every clip through the steps; what is done is not done again."""
    from emotion_llama.build.listing import list_clips
    from emotion_llama.build.plan import read_build
    from emotion_llama.build.run import build as build_dataset

    settings = read_build(config, overrides or ())
    totals = build_dataset(settings, list_clips(clips), out, _workers(jobs, engine, address), journal=journal)
    _print_totals(totals, out)


@build.command("status")
def status(dataset: Dataset, journal: JournalUrl = None) -> None:
    """Say how far a build is: clips by step, failures, what language models cost."""
    from rich.console import Console
    from rich.table import Table

    from emotion_llama.build.status import build_status

    found = build_status(dataset, journal=journal)
    table = Table("step", "done", "rejected", "failed", "waiting")
    for one in found.steps:
        table.add_row(one.step, str(one.done), str(one.rejected), str(one.failed), str(one.waiting))
    Console().print(table)
    typer.echo(f"{found.clips} clips" + (f"; {found.holder} is building" if found.holder else ""))
    if found.calls:
        typer.echo(f"{found.calls} answers of language models, {found.tokens} tokens, cost {found.cost:.2f}")
    for name, words in found.failures.items():
        typer.echo(f"failed: {name}: {words}")


@build.command("retry-failed")
def retry_failed(
    dataset: Dataset, jobs: Jobs = 0, engine: EngineName = "local", address: Address = None, journal: JournalUrl = None
) -> None:
    """Try clips again that stopped at an error; language models are asked anew."""
    from emotion_llama.build.run import retry_failed as retry

    _print_totals(retry(dataset, _workers(jobs, engine, address), journal=journal), dataset)


@build.command("explain")
def explain(
    dataset: Dataset,
    clip: Annotated[str, typer.Argument(help="Name of a clip, or a unique end of it.")],
    journal: JournalUrl = None,
) -> None:
    """Say every decision about one clip, in words."""
    from emotion_llama.build.status import explain as explained

    for line in explained(dataset, clip, journal=journal):
        typer.echo(line)


build.command("stats")(stats)
build.command("doctor")(examine)
build.command("export")(export)
build.command("import")(import_)
build.command("add-annotator")(add_annotator)
build.command("apply-reviews")(apply_reviews)


def _workers(jobs: int, engine: str, address: str | None) -> Any:
    from emotion_llama.build.run import Workers
    from emotion_llama.scale.spread import as_engine

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Workers(jobs or cores, as_engine(engine), address)


def _print_totals(totals: Any, out: Path) -> None:
    typer.echo(f"{totals.entries} clips in the data set, {totals.rejected} rejected, {totals.failed} failed: {out}")
    for emotion, count in sorted(totals.emotions.items(), key=lambda one: -one[1]):
        typer.echo(f"  {emotion}: {count}")
    for line in totals.remarks:
        typer.echo(f"note: {line}", err=True)
    if totals.failed:
        typer.echo(f"emotion-llama build status {out} says why; build retry-failed {out} tries again", err=True)
        raise typer.Exit(1)

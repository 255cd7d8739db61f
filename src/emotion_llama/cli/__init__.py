"""The command line: one file a command; each parses, calls one function and prints.

Exit codes: 0 all done, 1 some clips failed or an error was met, 2 wrong usage.
"""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from emotion_llama import __version__
from emotion_llama.cli.ablate import ablate
from emotion_llama.cli.analyze import analyze
from emotion_llama.cli.bench import bench
from emotion_llama.cli.build import build
from emotion_llama.cli.calibrate import calibrate
from emotion_llama.cli.chat import chat
from emotion_llama.cli.compare import compare
from emotion_llama.cli.convert import convert
from emotion_llama.cli.doctor import doctor
from emotion_llama.cli.evaluate import evaluate
from emotion_llama.cli.export import export
from emotion_llama.cli.extract import extract
from emotion_llama.cli.fetch import fetch
from emotion_llama.cli.pretrain import pretrain
from emotion_llama.cli.profile import profile
from emotion_llama.cli.review import review
from emotion_llama.cli.serve import serve
from emotion_llama.cli.summary import summary
from emotion_llama.cli.train import train
from emotion_llama.errors import EmotionLlamaError, UsageError

app = typer.Typer(
    name="emotion-llama",
    help="A raw recording in; emotion, calibrated probabilities, measured evidence and reasons out.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
app.command()(analyze)
app.command()(summary)
app.command()(profile)
app.command()(evaluate)
app.command()(compare)
app.command()(train)
app.command()(calibrate)
app.command()(extract)
app.command()(ablate)
app.command()(pretrain)
app.add_typer(build, name="build")
app.command()(review)
app.add_typer(export, name="export")
app.add_typer(convert, name="convert")
app.command()(serve)
app.command()(chat)
app.command()(fetch)
app.command()(bench)
app.add_typer(doctor, name="doctor")


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"emotion-llama {__version__}")
        raise typer.Exit()


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    """A raw recording in; emotion, calibrated probabilities, measured evidence and reasons out."""


def main() -> None:
    """Run the command line; errors raised on purpose become one line on stderr and an exit code."""
    try:
        app()
    except UsageError as error:
        typer.echo(f"emotion-llama: {error}", err=True)
        sys.exit(2)
    except EmotionLlamaError as error:
        typer.echo(f"emotion-llama: {error}", err=True)
        sys.exit(1)

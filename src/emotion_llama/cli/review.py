"""`emotion-llama review`: people judge the entries of a data set in a local web page."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from emotion_llama.errors import UsageError

Dataset = Annotated[Path, typer.Argument(help="Folder of the data set.")]
Database = Annotated[str | None, typer.Option(help="URL of the database. Default: reviews.sqlite in the folder.")]


def review(
    dataset: Dataset,
    host: Annotated[str, typer.Option(help="Other than loopback: only with a token.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the page.")] = 8400,
    token_file: Annotated[Path | None, typer.Option(help="File with the token that the address must carry.")] = None,
    annotators: Annotated[Path | None, typer.Option(help="CSV with name and password of each annotator.")] = None,
    judgments: Annotated[int, typer.Option(help="So many people are to judge each clip.")] = 2,
    labels: Annotated[str, typer.Option(help="Emotions that a fix may choose. Default: those that occur.")] = "",
    database: Database = None,
) -> None:
    """Open the review page: clip, mesh, action units, waveform, texts; accept, fix or reject by keyboard."""
    from pydantic import ValidationError

    from emotion_llama.build.review.records import ReviewSettings
    from emotion_llama.labels import parse_label_set

    words = parse_label_set(labels) if labels else ()
    try:
        settings = ReviewSettings(
            host=host, port=port, token_file=token_file, annotators=annotators, database=database, judgments=judgments,
            labels=words,
        )  # fmt: skip
    except ValidationError as error:
        raise UsageError(str(error.errors()[0]["msg"]).removeprefix("Value error, ")) from None
    from emotion_llama.build.review.server import serve_reviews

    serve_reviews(dataset, settings)


def add_annotator(
    dataset: Dataset,
    name: Annotated[str, typer.Argument(help="Name of the annotator.")],
    database: Database = None,
    password: Annotated[
        str, typer.Option(prompt=True, hide_input=True, confirmation_prompt=True, help="Asked for if not given.")
    ] = "",
) -> None:
    """Let one more person judge, or give one a new password."""
    from emotion_llama.build.review.store import add_annotator as add

    add(dataset, name, password, database)
    typer.echo(f"{name} may sign in")


def apply_reviews(
    dataset: Dataset,
    out: Annotated[Path, typer.Option(help="Folder of the reviewed data set.")],
    min_judgments: Annotated[int, typer.Option(help="Clips with fewer judgments are left out.")] = 2,
    database: Database = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier reviewed data set.")] = False,
) -> None:
    """Write the reviewed data set: what people accepted or fixed; the rest is rejected with its reason."""
    from emotion_llama.build.review.apply import apply_reviews as applied

    outcome = applied(dataset, out, min_judgments=min_judgments, database=database, overwrite=overwrite)
    typer.echo(
        f"{outcome.accepted} accepted, {outcome.fixed} fixed, {outcome.rejected} rejected, {outcome.unsettled} not "
        f"settled; judged by {len(outcome.annotators)} people: {out}"
    )

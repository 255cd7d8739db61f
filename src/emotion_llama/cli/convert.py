"""`emotion-llama convert`: weights that others published, as a folder that every other command opens."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from emotion_llama.official.table import FileTable

convert = typer.Typer(
    help="Turn published weights into a folder for this program: official.", no_args_is_help=True, rich_markup_mode=None
)


@convert.callback()
def _root() -> None:
    """Turn published weights into a folder for this program."""


@convert.command("official")
def official(
    llama: Annotated[Path, typer.Option(help="Folder of Llama-2-7b-chat-hf, with tokenizer.model.")],
    eva: Annotated[Path, typer.Option(help="eva_vit_g.pth.")],
    out: Annotated[Path, typer.Option(help="Folder to write.")],
    emotion_llama: Annotated[
        Path | None, typer.Option(help="Emoation_LLaMA.pth (its real name), or a stage-2 checkpoint.")
    ] = None,
    minigptv2: Annotated[
        Path | None, typer.Option(help="minigptv2_checkpoint.pth; alone, it is a start for training.")
    ] = None,
    hubert: Annotated[Path | None, typer.Option(help="Folder of chinese-hubert-large.")] = None,
    mae: Annotated[Path | None, typer.Option(help="FaceMAE weights, such as mae_checkpoint-340.pth.")] = None,
    videomae: Annotated[Path | None, typer.Option(help="VideoMAE weights, such as maeVideo_ckp399.pth.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an earlier conversion.")] = False,
) -> None:
    """The released Emotion-LLaMA as one folder; every tensor is accounted for, and anything amiss stops it."""
    from rich.console import Console

    from emotion_llama.official.convert import ReleasedFiles, convert_official

    files = ReleasedFiles(llama, eva, emotion_llama, minigptv2, hubert, mae, videomae)
    tables = convert_official(files, out, overwrite=overwrite)
    Console().print(account_table(tables))
    typer.echo(out)


def account_table(tables: tuple[FileTable, ...]) -> Table:
    """What became of the tensors of every file, for the terminal."""
    from rich.table import Table

    shown = Table("file", "what", "found", "mapped", "left out, and why", "missing")
    for one in tables:
        reasons = "; ".join(f"{count}: {reason}" for reason, count in one.reasons().items()) or "–"
        shown.add_row(one.file.name, one.what, str(one.found), str(len(one.mapped)), reasons, str(len(one.missing)))
    return shown

"""`emotion-llama export`: a checkpoint as a merged folder, a hub folder with a model card, or a GGUF file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

export = typer.Typer(
    help="Turn a checkpoint into what others can use: merged, hub or gguf-llm.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

_Checkpoint = Annotated[str, typer.Argument(help="Checkpoint folder that training wrote, or a preset's name.")]
_Folder = Annotated[Path, typer.Option(help="Folder to write.")]
_Llm = Annotated[Path | None, typer.Option(help="Folder of the language model, if config.json's is elsewhere.")]
_Dtype = Annotated[str, typer.Option(help="Numbers of the merged weights: bfloat16, float16 or float32.")]
_Shard = Annotated[str, typer.Option(help="Largest weight file, such as 5GB.")]
_Licence = Annotated[str | None, typer.Option(help="Licence of the weights (default: the one in the run's settings).")]
_Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace an earlier export.")]


@export.command("merged")
def merged(
    checkpoint: _Checkpoint,
    out: _Folder,
    dtype: _Dtype = "bfloat16",
    max_shard_size: _Shard = "5GB",
    llm: _Llm = None,
    licence: _Licence = None,
    overwrite: _Overwrite = False,
) -> None:
    """One Hugging Face folder: the language model with LoRA added, projectors, tokenizer, heads, calibration."""
    _quiet()
    from emotion_llama.train.export.merged import Weights, export_merged
    from emotion_llama.train.export.source import open_source

    weights = Weights(dtype, max_shard_size)
    typer.echo(export_merged(open_source(checkpoint, llm), out, weights=weights, licence=licence, overwrite=overwrite))


@export.command("hub")
def hub(
    checkpoint: _Checkpoint,
    out: _Folder,
    as_merged: Annotated[bool, typer.Option("--merged", help="The whole model instead of the adapter.")] = False,
    push: Annotated[str | None, typer.Option(help="Upload to this OWNER/NAME.")] = None,
    private: Annotated[bool, typer.Option("--private", help="Make a new repository private.")] = False,
    dtype: _Dtype = "bfloat16",
    max_shard_size: _Shard = "5GB",
    llm: _Llm = None,
    licence: _Licence = None,
    overwrite: _Overwrite = False,
) -> None:
    """A folder for a model hub, its model card filled from the run; with --push it is uploaded."""
    _quiet()
    from emotion_llama.train.export import hub as target
    from emotion_llama.train.export.merged import Weights
    from emotion_llama.train.export.source import open_source

    if push is not None:
        target.check_push(push)
    weights = Weights(dtype, max_shard_size) if as_merged else None
    source = open_source(checkpoint, llm)
    target.export_hub(source, out, name=push, weights=weights, licence=licence, overwrite=overwrite)
    typer.echo(out)
    if push is not None:
        typer.echo(target.push(out, push, private=private))


@export.command("gguf-llm")
def gguf_llm(
    checkpoint: _Checkpoint,
    out: Annotated[Path, typer.Option(help="File to write (.gguf); projectors and a README go beside it.")],
    kind: Annotated[str, typer.Option("--type", help="Numbers of the matrices: f32, f16, bf16 or q8_0.")] = "f16",
    llm: _Llm = None,
    overwrite: _Overwrite = False,
) -> None:
    """The merged language model alone as GGUF, for llama.cpp; soft tokens enter as embeddings (see the README)."""
    _quiet()
    from emotion_llama.train.export.gguf_llm import export_gguf_llm
    from emotion_llama.train.export.source import open_source

    files = export_gguf_llm(open_source(checkpoint, llm), out, kind, overwrite=overwrite)
    for path in (files.model, files.projectors, files.readme):
        typer.echo(path)


def _quiet() -> None:
    import os

    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

"""`emotion-llama extract`: features of recordings as files, or the cache of a training run filled."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.table import Table

    from emotion_llama.official.feature_folders import FolderHealth


def extract(
    what: Annotated[
        list[str] | None,
        typer.Argument(
            help="Recordings, folders or manifests; or settings of a training (.yaml) with changed settings behind."
        ),
    ] = None,
    features: Annotated[str, typer.Option(help="Any of global,local,temporal,audio (default: all).")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for the features of recordings.")] = None,
    form: Annotated[
        str, typer.Option("--format", help="own: a .safetensors a clip; official: the released folders of .npy.")
    ] = "own",
    model: Annotated[str | None, typer.Option(help="Whose encoders: a preset or checkpoint folder. [nano]")] = None,
    check: Annotated[Path | None, typer.Option(help="Look through a folder of features instead.")] = None,
    data: Annotated[Path | None, typer.Option(help="Of a training: folder of the data sets (data.root).")] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes.")] = 1,
    engine: Annotated[str, typer.Option(help="local, or ray for a cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Extract again what is there.")] = False,
) -> None:
    """Features from raw recordings, or a training's cache filled first; exit 1 if anything had to be left out."""
    from emotion_llama.errors import UsageError

    given = what or []
    if check is not None:
        raise typer.Exit(_check(check, model, given))
    if not given:
        raise UsageError("extract: give recordings, a folder, a manifest, settings of a training, or --check FOLDER")
    if Path(given[0]).suffix in (".yaml", ".yml"):
        from emotion_llama.train.start import start_extraction

        raise typer.Exit(start_extraction(Path(given[0]), given[1:], data, jobs=jobs, engine=engine, address=address))
    if out is None:
        raise UsageError("extract: say --out FOLDER for the features of recordings")
    from emotion_llama.analyze.extraction import Extraction, extract_clips

    raise typer.Exit(
        extract_clips(
            Extraction(
                inputs=tuple(given),
                out=out,
                encoders=features,
                form=form,
                model=model or "nano",
                device=device,
                jobs=jobs,
                engine=engine,
                address=address,
                overwrite=overwrite,
            )
        )
    )


def _check(folder: Path, model: str | None, clips: list[str]) -> int:
    """Print what is found; the exit code is 1 if a checkpoint would meet a surprise."""
    from rich.console import Console

    from emotion_llama.analyze.feature_files import file_names
    from emotion_llama.analyze.feature_health import check
    from emotion_llama.analyze.inputs import find_clips

    names = file_names([clip.clip for clip in find_clips(clips, None)]) if clips else None
    found = check(folder, model, names)
    console = Console()
    console.print(health_table(found))
    for one in found:
        lines = [f"{name}: {problem}" for name, problem in one.wrong.items()]
        lines += [f"{name}: all zeros, as failed extraction leaves them" for name in one.zeros]
        for line in (*lines, *([one.off_scale] if one.off_scale else ())):
            console.print(f"{one.feature}: {line}", markup=False, highlight=False, soft_wrap=True)
    return 0 if all(one.sound for one in found) else 1


def health_table(found: list[FolderHealth]) -> Table:
    """The features of a folder, one row an array, for the terminal."""
    from rich.table import Table

    shown = Table("feature", "clips", "mean", "std", "least", "most", "zeros", "wrong", "scale")
    for one in found:
        numbers = (f"{value:.3g}" for value in (one.mean, one.std, one.least, one.most))
        scale = "as expected" if one.off_scale is None else "OFF"
        shown.add_row(one.feature, str(one.clips), *numbers, str(len(one.zeros)), str(len(one.wrong)), scale)
    return shown

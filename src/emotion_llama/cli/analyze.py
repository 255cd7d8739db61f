"""`emotion-llama analyze`: recordings in; emotion, probabilities, evidence and reasons out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def analyze(
    clips: Annotated[
        list[str] | None,
        typer.Argument(
            help="Recordings, pictures, folders or manifests (.jsonl, .csv). None with --transcript: text alone."
        ),
    ] = None,
    labels: Annotated[str, typer.Option(help="A label set (mer9, mer6, dfew7, ravdess8, …), open, or a,b,c.")] = "mer9",
    task: Annotated[str, typer.Option(help="Any of emotion,reason,visual,audio.")] = "emotion,reason",
    transcript: Annotated[str | None, typer.Option(help="What is said; the recogniser is not asked.")] = None,
    no_asr: Annotated[bool, typer.Option("--no-asr", help="Do not transcribe.")] = False,
    model: Annotated[str, typer.Option(help="A preset's name or a checkpoint folder.")] = "nano",
    frame: Annotated[str, typer.Option(help="Frame for the global encoder: peak, first, middle or random.")] = "peak",
    without: Annotated[str, typer.Option(help="Inputs to leave out: video, audio, text (commas between).")] = "",
    out: Annotated[Path | None, typer.Option(help="Folder for the results (a folder run: default out).")] = None,
    formats: Annotated[
        str | None, typer.Option("--format", help="Files to write: json,csv,html (default: json, if --out is given).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of label orders and random frames.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes for a folder.")] = 1,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Forget earlier results in --out.")] = False,
    layout: Annotated[
        str | None, typer.Option(help="For converted official weights: aligned, official-eval or official-demo.")
    ] = None,
    label_method: Annotated[
        str, typer.Option(help="likelihood, generate-last-word, or generate-last-word-or-neutral (official).")
    ] = "likelihood",
    features: Annotated[
        Path | None,
        typer.Option(help="Folder of feature files, ours or HL-UTT and the like, read instead of encoding."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(help="Other recordings of the same person (a folder, a manifest; repeat): what is their own."),
    ] = None,
) -> None:
    """Say what emotion recordings show, how sure that is, and why."""
    # must be said before transformers is imported, here and in worker processes: no bars of its own on the terminal
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from emotion_llama.analyze.command import Request, run_command

    request = Request(
        inputs=tuple(clips or ()),
        labels=labels,
        tasks=task,
        transcript=transcript,
        transcribe=not no_asr,
        model=model,
        frame=frame,
        without=without,
        out=out,
        formats=formats,
        seed=seed,
        device=device,
        jobs=jobs,
        overwrite=overwrite,
        baseline=tuple(baseline or ()),
        layout=layout,
        label_method=label_method,
        features=features,
    )
    raise typer.Exit(run_command(request))

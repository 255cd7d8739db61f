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
        str | None,
        typer.Option(
            "--format",
            help="Files to write: json,csv,csv-long,parquet,html,vtt,srt,textgrid,eaf,openface (default: json, if "
            "--out is given).",
        ),
    ] = None,
    seed: Annotated[int, typer.Option(help="Seed of label orders and random frames.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    dtype: Annotated[str, typer.Option(help="Of the language model: auto, float32 or bfloat16.")] = "auto",
    quantize: Annotated[
        str | None, typer.Option(help="Language model with weights in fewer bits: int8 or int4 (docs/performance.md).")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Run the language model as a compiled graph.")] = False,
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes for a folder.")] = 1,
    batch_size: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Clips of a folder answered side by side by one language model; workers see and hear only. [4; with "
            "several workers 1: each has a language model]",
        ),
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: the workers of a folder on a Ray cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster; without it Ray runs here.")] = None,
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
    action_units: Annotated[
        Path | None,
        typer.Option(help="Action units of OpenFace 2.2 or py-feat in place of ours: a table, or a folder of them."),
    ] = None,
    baseline: Annotated[
        list[str] | None,
        typer.Option(
            help="The person's own: other recordings (a folder, a manifest; repeat), a profile file, or auto (other "
            "parts of the same recording)."
        ),
    ] = None,
    start: Annotated[
        float | None, typer.Option(min=0, help="Look at a part of the recording: from this second.")
    ] = None,
    end: Annotated[float | None, typer.Option(min=0, help="… and to this second.")] = None,
    verified: Annotated[
        bool, typer.Option("--verified", help="Leave out of the reasons what measurements contradict.")
    ] = False,
    attribution: Annotated[
        bool, typer.Option("--attribution", help="What picture, voice and words contributed; whether they disagree.")
    ] = False,
    gate: Annotated[
        bool, typer.Option("--gate", help="Leave out inputs that cannot be trusted: a dark face, a voice in noise.")
    ] = False,
    min_confidence: Annotated[
        float | None, typer.Option(min=0, max=1, help="Less sure than this: two candidates, not a guess.")
    ] = None,
    max_risk: Annotated[
        float | None,
        typer.Option(min=0, max=1, help="The same, as the largest share of wrong answers among validation people."),
    ] = None,
    person: Annotated[
        str,
        typer.Option(help="Of several people: main, active (who speaks most), a person's number, or all of them."),
    ] = "main",
    language: Annotated[
        str, typer.Option(help="Of reasons, evidence, warnings and shown labels: en or zh. Files keep English keys.")
    ] = "en",
    timeline: Annotated[bool, typer.Option("--timeline", help="Emotion over time; recordings of any length.")] = False,
    window: Annotated[float, typer.Option(help="With --timeline: longest window, seconds.")] = 6.0,
    step: Annotated[float, typer.Option(help="With --timeline: from one window to the next, seconds.")] = 3.0,
    render: Annotated[
        Path | None,
        typer.Option(help="A film with what was measured drawn in: a .mp4 (a still: .png); a folder for many clips."),
    ] = None,
    blur_faces: Annotated[
        bool, typer.Option("--blur-faces", help="No face can be recognised in films and reports.")
    ] = False,
    no_drawing: Annotated[
        bool, typer.Option("--no-drawing", help="With --render --blur-faces: no bars, lines and words in the film.")
    ] = False,
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
        dtype=dtype,
        quantize=quantize,
        compiled=compiled,
        jobs=jobs,
        batch_size=batch_size,
        engine=engine,
        address=address,
        overwrite=overwrite,
        baseline=tuple(baseline or ()),
        layout=layout,
        label_method=label_method,
        features=features,
        action_units=action_units,
        start_s=start,
        end_s=end,
        verified=verified,
        attribution=attribution,
        gate=gate,
        min_confidence=min_confidence,
        max_risk=max_risk,
        person=person,
        language=language,
        timeline=timeline,
        window_s=window,
        step_s=step,
        render=render,
        drawing=not no_drawing,
        blur_faces=blur_faces,
    )
    raise typer.Exit(run_command(request))

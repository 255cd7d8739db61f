"""`emotion-llama evaluate`: scores with their uncertainty, of this model or of any system's predictions file."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def evaluate(
    suite: Annotated[str, typer.Argument(help="A suite's name (see --list); custom for your own manifest.")] = "",
    data: Annotated[Path | None, typer.Option(help="The suite's data folder, or a manifest (custom).")] = None,
    predictions: Annotated[Path | None, typer.Option(help="Answers of any system: .jsonl or .csv.")] = None,
    model: Annotated[str | None, typer.Option(help="Ask this model: a preset's name or a checkpoint folder.")] = None,
    out: Annotated[Path, typer.Option(help="Folder for the report.")] = Path("out"),
    labels: Annotated[str, typer.Option(help="custom: a label set (ravdess8, mer9, …) or a,b,c.")] = "",
    side: Annotated[str, typer.Option(help="Side of the split: test, validation or train.")] = "test",
    variant: Annotated[str, typer.Option(help="A suite's fold or channel (see --list).")] = "",
    validation_predictions: Annotated[
        Path | None, typer.Option(help="Answers about the validation side: temperatures are fitted on them.")
    ] = None,
    validation_data: Annotated[Path | None, typer.Option(help="Its data, if it is not in --data.")] = None,
    train_data: Annotated[
        Path | None, typer.Option(help="Training clips: look for leaks into the scored ones.")
    ] = None,
    without: Annotated[str, typer.Option(help="Inputs the model is not given: video, audio, text.")] = "",
    words: Annotated[str, typer.Option(help="Words the model gets: given (by the data), heard or none.")] = "",
    task: Annotated[str, typer.Option(help="Tasks the model is asked: emotion, reason, visual, audio.")] = "",
    label_orders: Annotated[int, typer.Option(min=1, help="Label orders a model's scores are averaged over.")] = 4,
    limit: Annotated[int | None, typer.Option(min=1, help="Score only that many clips of each part: a trial.")] = None,
    robustness: Annotated[
        str, typer.Option(help="Damage the recordings and ask again: all, quick, or names such as snr-babble,mp3.")
    ] = "",
    export_corrupted: Annotated[
        Path | None, typer.Option(help="Write the damaged recordings there, for other systems to answer; no scoring.")
    ] = None,
    judge: Annotated[
        list[str] | None, typer.Option(help="OpenAI-compatible endpoint that judges reasons; repeat for several.")
    ] = None,
    judge_model: Annotated[str, typer.Option(help="The judge's model name (several: commas between).")] = "",
    judge_key_env: Annotated[str, typer.Option(help="Environment variable that holds the judge's key.")] = "",
    judge_anchor: Annotated[
        Path | None, typer.Option(help="emer: folder of the published systems' answers, to anchor the judge on.")
    ] = None,
    measure_groups: Annotated[
        bool, typer.Option("--measure-groups", help="Slice by duration, noise and face size, measured here.")
    ] = False,
    uar_over: Annotated[str, typer.Option(help="Classes UAR averages over: present or configured.")] = "present",
    draws: Annotated[int, typer.Option(help="Bootstrap draws behind the intervals.")] = 10_000,
    seed: Annotated[int, typer.Option(help="Seed of draws and label orders.")] = 0,
    system: Annotated[str, typer.Option(help="Name of the system in the report.")] = "",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    jobs: Annotated[int, typer.Option(min=1, help="Worker processes that ask the model.")] = 1,
    batch_size: Annotated[
        int | None,
        typer.Option(min=1, help="Clips answered side by side by one model; workers see and hear only. [1]"),
    ] = None,
    engine: Annotated[str, typer.Option(help="local, or ray: the workers on a Ray cluster.")] = "local",
    address: Annotated[str | None, typer.Option(help="Of the Ray cluster; without it Ray runs here.")] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Exit with 1 if anything is wrong with the input.")] = False,
    listed: Annotated[
        bool, typer.Option("--list", help="Name the suites, their data, terms and published scores.")
    ] = False,
) -> None:
    """Score a model or a predictions file: every score with its interval, in one report."""
    import os

    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    if listed:
        from emotion_llama.evaluate.listing import show_suites

        show_suites(suite)
        raise typer.Exit()
    from emotion_llama.errors import UsageError
    from emotion_llama.evaluate.command import Request, run_command

    if not suite or data is None:
        raise UsageError("give a suite and --data; `emotion-llama evaluate --list` names the suites and their data")
    request = Request(
        suite=suite,
        data=data,
        out=out,
        predictions=predictions,
        model=model,
        labels=labels,
        side=side,
        variant=variant,
        validation_data=validation_data,
        validation_predictions=validation_predictions,
        train_data=train_data,
        without=without,
        words=words,
        tasks=task,
        uar_over=uar_over,
        draws=draws,
        seed=seed,
        label_orders=label_orders,
        limit=limit,
        robustness=robustness,
        export=export_corrupted,
        judges=tuple(judge or ()),
        judge_model=judge_model,
        judge_key_env=judge_key_env,
        judge_anchor=judge_anchor,
        groups=measure_groups,
        system=system,
        device=device,
        jobs=jobs,
        batch_size=batch_size,
        engine=engine,
        address=address,
        strict=strict,
    )
    raise typer.Exit(run_command(request))

"""`emotion-llama serve`: one loaded model behind HTTP."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from emotion_llama.errors import UsageError


def serve(
    model: Annotated[str, typer.Option(help="A preset's name or a checkpoint folder.")] = "nano",
    host: Annotated[str, typer.Option(help="Other than loopback: only with a key file.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="0: any free one.")] = 8000,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    dtype: Annotated[str, typer.Option(help="Of the language model: auto, float32 or bfloat16.")] = "auto",
    quantize: Annotated[
        str | None, typer.Option(help="Language model with weights in fewer bits: int8 or int4 (docs/performance.md).")
    ] = None,
    compiled: Annotated[bool, typer.Option("--compile", help="Run the language model as a compiled graph.")] = False,
    api_key_file: Annotated[Path | None, typer.Option(help="Keys, one a line: [name] key [YYYY-MM-DD].")] = None,
    max_upload_mb: Annotated[int, typer.Option(help="Longest upload.")] = 200,
    max_duration_s: Annotated[float, typer.Option(help="Longest recording.")] = 600.0,
    queue: Annotated[int, typer.Option(help="Requests under way at a time; more are told to come back.")] = 32,
    workers: Annotated[int, typer.Option(help="Recordings looked at at the same time.")] = 1,
    batch_size: Annotated[int, typer.Option(help="Answered together, where so many wait for the model.")] = 4,
    timeout_s: Annotated[float, typer.Option(help="Longest time to an answer.")] = 120.0,
    keep: Annotated[Path | None, typer.Option(help="Folder in which results stay over a restart.")] = None,
    retention_days: Annotated[float, typer.Option(help="Finished jobs and kept results are removed then.")] = 7.0,
    jobs_db: Annotated[Path | None, typer.Option(help="File of the queue of jobs.")] = None,
    no_page: Annotated[bool, typer.Option("--no-page", help="The interfaces for programs only.")] = False,
    blur_faces: Annotated[
        bool, typer.Option("--blur-faces", help="No face can be recognised in any picture that is drawn.")
    ] = False,
    engine: Annotated[
        str, typer.Option(help="local: the model in this process; ray: replicas on Ray Serve.")
    ] = "local",
    address: Annotated[str | None, typer.Option(help="Address of a running Ray cluster.")] = None,
    min_replicas: Annotated[int, typer.Option(help="With ray: so many models are always loaded.")] = 1,
    max_replicas: Annotated[int, typer.Option(help="With ray: so many at most, where requests wait.")] = 2,
    replica_cpus: Annotated[
        int | None, typer.Option(help="With ray: CPUs of each. [its share of this machine; on a cluster 1]")
    ] = None,
) -> None:
    """Answer over HTTP: a web page, analyses, jobs, and the chat interface that OpenAI's client speaks."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from pydantic import ValidationError

    from emotion_llama.analyze.numerics import Numerics
    from emotion_llama.scale.spread import as_engine
    from emotion_llama.serve.settings import ServeSettings

    try:
        settings = ServeSettings(
            model=model, host=host, port=port, device=device, api_key_file=api_key_file, max_upload_mb=max_upload_mb,
            max_duration_s=max_duration_s, queue=queue, workers=workers, batch_size=batch_size,
            timeout_s=timeout_s, keep=keep, retention_days=retention_days, jobs_db=jobs_db, page=not no_page,
            blur_faces=blur_faces, engine=as_engine(engine), address=address, min_replicas=min_replicas,
            max_replicas=max_replicas, replica_cpus=replica_cpus, dtype=dtype, numerics=Numerics.of(quantize, compiled),
        )  # fmt: skip
    except ValidationError as error:
        found = [": ".join([*map(str, e["loc"]), str(e["msg"]).removeprefix("Value error, ")]) for e in error.errors()]
        raise UsageError("; ".join(found)) from None
    try:
        from emotion_llama.serve.run import serve as run
    except ImportError as error:
        raise UsageError(f"serving needs more than is installed ({error}); install emotion-llama[serve]") from error
    run(settings)

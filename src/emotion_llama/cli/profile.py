"""`emotion-llama profile`: recordings of one person in; what is their own, as a small file, out."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer


def profile(
    clips: Annotated[list[str], typer.Argument(help="Recordings of one person; folders, manifests (.jsonl, .csv).")],
    out: Annotated[Path, typer.Option(help="The profile to write: PERSON.profile.safetensors.")],
    model: Annotated[str, typer.Option(help="Whose encoders: a preset's name or a checkpoint folder.")] = "nano",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a profile that is there.")] = False,
) -> None:
    """A person's own face and voice from several recordings, for `analyze --baseline`; no labels are needed."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    from emotion_llama.analyze.profile_command import ProfileRequest, run_profile

    raise typer.Exit(run_profile(ProfileRequest(tuple(clips), out, model, device, overwrite)))

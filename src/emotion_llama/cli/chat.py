"""`emotion-llama chat`: questions about one recording, in the terminal."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from emotion_llama.errors import UsageError


def chat(
    clip: Annotated[
        Path | None, typer.Argument(help="A video, sound or picture. None: words alone, by /words.")
    ] = None,
    labels: Annotated[str | None, typer.Option(help="A label set (mer9, mer6, …) or a,b,c.")] = None,
    model: Annotated[str, typer.Option(help="A preset's name or a checkpoint folder.")] = "nano",
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    """Ask about one recording: [emotion], [reason], [visual], [audio], [detection] face."""
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    with suppress(ImportError):  # Windows has none
        import readline  # noqa: F401  (lines can be edited and called back)
    try:
        from emotion_llama.serve.chat_command import chat as talk
    except ImportError as error:
        raise UsageError(f"chat needs more than is installed ({error}); install emotion-llama[serve]") from error
    from emotion_llama.serve.model import Model

    def load() -> Model:
        from emotion_llama.serve.served_model import ServedModel

        return ServedModel(model, device)

    talk(clip, labels, load)

"""`emotion-llama pretrain`: the local and temporal encoders, learned from one's own recordings without labels."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

SETTING = re.compile(r"[a-z_]+(\.[a-z_0-9]+)*=")


class PretrainKind(StrEnum):
    """Which encoder: faces one by one (local), or faces over time (temporal)."""

    FACE_MAE = "face-mae"
    FACE_VIDEOMAE = "face-videomae"


def pretrain(
    kind: Annotated[PretrainKind, typer.Argument(help="face-mae (local encoder) or face-videomae (temporal).")],
    clips: Annotated[
        list[str],
        typer.Argument(metavar="CLIPS... [KEY=VALUE]...", help="Recordings, folders or manifests; then settings."),
    ],
    config: Annotated[
        Path | None, typer.Option(help="Settings: configs/pretrain/NAME.yaml. Default: the small net of this kind.")
    ] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the result. Default: runs/KIND.")] = None,
) -> None:
    """Learn an encoder from unlabelled faces: hide most of each face, learn to fill it in. Goes on where it stopped."""
    from emotion_llama.errors import UsageError
    from emotion_llama.train.pretrain.run import Request, run_pretraining

    overrides = [word for word in clips if SETTING.match(word) and not Path(word).exists()]
    inputs = tuple(word for word in clips if word not in overrides)
    if not inputs:
        raise UsageError("give recordings, a folder or a manifest to learn from")
    request = Request(
        kind=kind.value,
        inputs=inputs,
        config=config,
        out=out if out is not None else Path("runs") / kind.value,
        overrides=tuple(overrides),
    )
    raise typer.Exit(run_pretraining(request))

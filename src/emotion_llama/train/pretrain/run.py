"""Pre-training from start to end: recordings, face tracks, training, a folder that an encoder can open."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout
from rich.console import Console
from transformers import TrainerCallback
from transformers.trainer_utils import get_last_checkpoint
from transformers.utils import logging

from emotion_llama import assets
from emotion_llama.analyze.folder import check_writable
from emotion_llama.analyze.inputs import find_clips
from emotion_llama.clip import Clip
from emotion_llama.errors import UsageError
from emotion_llama.overrides import read_config
from emotion_llama.train.pretrain.loop import Place, learn
from emotion_llama.train.pretrain.record import RESULT, claim, describe_data, is_done
from emotion_llama.train.pretrain.search import MakeReader, held_back, search
from emotion_llama.train.pretrain.settings import Kind, PretrainSettings, shipped_config
from emotion_llama.train.pretrain.tracks import make_face_reader
from emotion_llama.train.pretrain.trainer import arguments

LOCK = ".lock"


@dataclass(frozen=True)
class Request:
    """What `emotion-llama pretrain` was asked. `config` `None`: the shipped laptop-size settings of the kind."""

    kind: Kind
    inputs: tuple[str, ...]
    config: Path | None
    out: Path
    overrides: tuple[str, ...] = ()


def run_pretraining(request: Request, make_reader: MakeReader = make_face_reader) -> int:
    """Pre-train an encoder; gives the exit code: 1 if a recording could not be read, else 0.

    A run that was stopped goes on from its last checkpoint; one that is done is left as it is. Raises `UsageError` for
    settings or recordings that do not do, `ModelError` for a loss that is no number, `OutputError` for a full disk.
    """
    logging.disable_progress_bar()  # of the library, for single files
    config = request.config or shipped_config(request.kind)
    settings = read_config(PretrainSettings, config, request.overrides)
    if settings.kind != request.kind:
        raise UsageError(f"settings file {config}: expected kind {request.kind}, found {settings.kind}; give the other")
    clips = find_clips(request.inputs, None)
    return pretrain(settings, clips, request.out, make_reader)


def pretrain(
    settings: PretrainSettings,
    clips: Sequence[Clip],
    out: Path,
    make_reader: MakeReader = make_face_reader,
    callbacks: Sequence[TrainerCallback] = (),
) -> int:
    """`run_pretraining` with settings and clips of one's own; `callbacks` go to the library's `Trainer`."""
    check_writable(out)
    checkpoints = out / "checkpoints"
    checkpoint = get_last_checkpoint(str(checkpoints)) if checkpoints.is_dir() else None
    args = arguments(settings, checkpoints, resumed=checkpoint is not None)
    console = Console(stderr=True, soft_wrap=True, quiet=args.process_index != 0)
    try:
        with FileLock(out / LOCK, timeout=0) if args.process_index == 0 else nullcontext():
            with args.main_process_first(desc="faces"):
                root = assets.cache_dir() / "face-tracks"
                faces = search(clips, settings.faces, root, make_reader, console)
                sides = held_back(faces.tracks, settings.held_back.share, settings.seed)
                claim(out, settings, describe_data(faces, sides))
            if is_done(out):
                console.print(f"{out} is done: {RESULT} is there; choose another --out for another run")
            else:
                learn(settings, faces, sides, Place(out, args, checkpoint, console), callbacks)
    except Timeout as error:
        raise UsageError(f"{out}: another run is writing there; wait until it ends, or choose another --out") from error
    unreadable = sum(one.unreadable for one in faces.skipped)
    if faces.skipped:
        console.print(
            f"{len(faces.skipped)} of {len(clips)} recordings gave no usable face; {unreadable} could not be read"
        )
    return 1 if unreadable else 0

"""The training itself: face tracks in, a folder with net, processor and record out."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from safetensors import SafetensorError
from torch.utils.tensorboard import SummaryWriter
from transformers import PrinterCallback, TrainerCallback, TrainerState, TrainingArguments
from transformers.integrations import TensorBoardCallback

from emotion_llama.errors import OutputError, UsageError
from emotion_llama.train.pretrain.draws import Draws, Sample
from emotion_llama.train.pretrain.nets import make_net
from emotion_llama.train.pretrain.record import describe_data, losses, write_result
from emotion_llama.train.pretrain.search import Search
from emotion_llama.train.pretrain.settings import PretrainSettings
from emotion_llama.train.pretrain.trainer import PretrainTrainer
from emotion_llama.train.pretrain.watch import Lines, Pictures


@dataclass(frozen=True)
class Place:
    """Where a run happens: its folder, the library's arguments, the checkpoint it goes on from, the terminal."""

    out: Path
    args: TrainingArguments
    checkpoint: str | None
    console: Console

    @property
    def step(self) -> int | None:
        """The step it goes on from; `None` for a new run."""
        return int(Path(self.checkpoint).name.rpartition("-")[2]) if self.checkpoint else None


def learn(
    settings: PretrainSettings, faces: Search, sides: set[str], place: Place, callbacks: Sequence[TrainerCallback]
) -> None:
    """Train on the faces that are not held back (`sides`: the groups that are) and write the result into `place.out`.

    Raises `ModelError` for a loss that is no number, `OutputError` for a result that cannot be written, `UsageError`
    for settings that need more memory than there is.
    """
    net, processor = make_net(settings)
    train, held = _draws(settings, faces, sides, place.args, net.config, processor)
    place.console.print(
        f"{settings.kind}: {net.num_parameters() / 1e6:.1f} M parameters on {place.args.device}; "
        f"{sum(t.faces for t in train.tracks)} faces in {len(train.tracks)} tracks to learn from, "
        f"{sum(t.faces for t in held.tracks)} in {len(held.tracks)} held back",
        markup=False,
        highlight=False,
    )
    if place.step is not None:
        place.console.print(f"going on from step {place.step}")
    start = time.perf_counter()
    state = _train(settings, (net, processor), (train, held), place, callbacks)
    if place.args.process_index == 0:
        _save(net, processor, place.out)
        run = {
            **losses(state.log_history),
            "parameters": net.num_parameters(),
            "resumed_at_step": place.step,
            "seconds_since_start_or_resume": round(time.perf_counter() - start, 1),
        }
        write_result(place.out, settings, describe_data(faces, sides), faces, run)
        place.console.print(f"wrote {place.out}: open it with FaceMae or FaceVideoMae")


def _draws(
    settings: PretrainSettings, faces: Search, sides: set[str], args: TrainingArguments, config: Any, processor: Any
) -> tuple[Draws, Draws]:
    """Samples to learn from, as many as all steps take, and held-back ones, rounded up to whole batches."""
    batch = args.train_batch_size * args.world_size
    drawn = settings.schedule.steps * settings.schedule.accumulate * batch
    measured = -(-settings.held_back.samples // batch) * batch
    train = [track for track in faces.tracks if track.group not in sides]
    held = [track for track in faces.tracks if track.group in sides]
    return (
        Draws(train, drawn, settings, config, processor),
        Draws(held, measured, settings, config, processor, fixed=True),
    )


def _shown(settings: PretrainSettings, held: Draws) -> list[Sample]:
    """The held-back samples that are drawn as pictures: evenly spread, always the same."""
    count = min(settings.held_back.pictures, len(held))
    return [held[(2 * number + 1) * len(held) // (2 * count)] for number in range(count)]


def _train(
    settings: PretrainSettings,
    net_and_processor: tuple[Any, Any],
    draws: tuple[Draws, Draws],
    place: Place,
    callbacks: Sequence[TrainerCallback],
) -> TrainerState:
    net, processor = net_and_processor
    step = place.step
    samples_a_step = place.args.train_batch_size * place.args.world_size * settings.schedule.accumulate
    try:
        # what a killed run logged after its last checkpoint is hidden: these steps come again
        with SummaryWriter(str(place.out / "tensorboard"), purge_step=None if step is None else step + 1) as writer:
            shown = _shown(settings, draws[1])
            watch = [
                TensorBoardCallback(writer),
                Lines(place.console, samples_a_step),
                Pictures(place.out / "reconstructions", shown, processor, writer),
                *callbacks,
            ]
            trainer = PretrainTrainer(
                model=net, args=place.args, train_dataset=draws[0], eval_dataset=draws[1], callbacks=watch
            )
            trainer.remove_callback(PrinterCallback)
            trainer.train(resume_from_checkpoint=place.checkpoint)
    except OSError as error:  # of TensorBoard's writer; everything else names its file itself
        raise OutputError(
            f"{place.out}: the log cannot be written ({error}); free space and start again: the run goes on from its "
            "last checkpoint"
        ) from error
    except RuntimeError as error:
        if not isinstance(error, torch.OutOfMemoryError) and "can't allocate memory" not in str(error):
            raise
        raise UsageError(
            f"out of memory: lower schedule.batch_size (now {settings.schedule.batch_size}) and raise "
            f"schedule.accumulate (now {settings.schedule.accumulate}) so that their product stays, or set "
            f"gradient_checkpointing to true, and start again ({error})"
        ) from error
    return trainer.state


def _save(net: Any, processor: Any, out: Path) -> None:
    """Write net and processor beside the result, each file renamed into place."""
    try:
        with tempfile.TemporaryDirectory(prefix=".part-", dir=out) as part:
            net.save_pretrained(part)
            processor.save_pretrained(part)
            for file in Path(part).iterdir():
                file.replace(out / file.name)
    except (OSError, SafetensorError) as error:
        raise OutputError(
            f"{out}: the trained net cannot be written ({error}); free space and start again: its checkpoint is kept"
        ) from error

"""The settings of one pre-training; read from `configs/pretrain/*.yaml`, changed by `key=value` on the command line."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from emotion_llama.settings import Settings

Kind = Literal["face-mae", "face-videomae"]
KINDS: tuple[Kind, ...] = ("face-mae", "face-videomae")


class FaceSettings(Settings):
    """Which faces are learned from.

    `frames_s`: frames looked at, a second. `crop_px`: side of the kept crops. Tracks with fewer than `fewest` faces,
    or whose face is (in the median) lower than `smallest_px` in the recording, are left out. `jobs`: processes that
    look for faces.
    """

    frames_s: float = Field(default=15.0, gt=0.0)
    crop_px: int = Field(default=160, ge=16)
    fewest: int = Field(default=1, ge=1)
    smallest_px: float = Field(default=32.0, ge=0.0)
    jobs: int = Field(default=1, ge=1)


class NetSettings(Settings):
    """Sizes of a net that starts from random weights, under the names of `ViTMAEConfig` and `VideoMAEConfig`.

    `num_frames` and `tubelet_size` (frames to one token) are for face-videomae only.
    """

    image_size: int = Field(ge=8)
    patch_size: int = Field(ge=2)
    hidden_size: int = Field(ge=4)
    num_hidden_layers: int = Field(ge=1)
    num_attention_heads: int = Field(ge=1)
    intermediate_size: int = Field(ge=1)
    decoder_hidden_size: int = Field(ge=4)
    decoder_num_hidden_layers: int = Field(ge=1)
    decoder_num_attention_heads: int = Field(ge=1)
    decoder_intermediate_size: int = Field(ge=1)
    num_frames: int | None = Field(default=None, ge=2)
    tubelet_size: int | None = Field(default=None, ge=1)

    @model_validator(mode="after")
    def _sizes_divide(self) -> Self:
        divisors = [
            ("image_size", self.image_size, "patch_size", self.patch_size),
            ("hidden_size", self.hidden_size, "num_attention_heads", self.num_attention_heads),
            ("decoder_hidden_size", self.decoder_hidden_size, "decoder_num_attention_heads",
             self.decoder_num_attention_heads),
            ("hidden_size", self.hidden_size, "4, for its positions", 4),
            ("decoder_hidden_size", self.decoder_hidden_size, "4, for its positions", 4),
            ("num_frames", self.num_frames or 0, "tubelet_size", self.tubelet_size or 1),
        ]  # fmt: skip
        for name, size, of, divisor in divisors:
            if size % divisor:
                raise ValueError(f"{name} {size} must be a multiple of {of} ({divisor})")
        return self


class ScheduleSettings(Settings):
    """Steps, batches and the learning rate: a linear warm-up, then a cosine down to 0.

    `batch_size` is that of one process, `accumulate` batches make one step.
    """

    steps: int = Field(ge=1)
    batch_size: int = Field(ge=1)
    accumulate: int = Field(default=1, ge=1)
    learning_rate: float = Field(gt=0.0)
    warmup_steps: int = Field(default=0, ge=0)
    weight_decay: float = Field(default=0.05, ge=0.0)
    betas: tuple[float, float] = (0.9, 0.95)
    clip_norm: float = Field(default=1.0, ge=0.0)
    workers: int = Field(default=0, ge=0)


class HeldBackSettings(Settings):
    """Faces that are never learned from: `share` of the speakers (of the recordings, where no speaker is named).

    Every `every` steps the loss on `samples` of them is measured and `pictures` of them are drawn.
    """

    share: float = Field(default=0.1, gt=0.0, lt=1.0)
    samples: int = Field(default=64, ge=1)
    pictures: int = Field(default=6, ge=1)
    every: int = Field(ge=1)


class PretrainSettings(Settings):
    """One pre-training.

    `model`: sizes, for random first weights; `init`: a hub name or folder to go on from; one of the two. `mask_ratio`:
    share of the patches that is hidden. `frame_step`: face-videomae takes every so-many-th face of a track.
    `smallest_crop`: share of a crop's area that a random cut keeps at least; `flip`: mirror every other sample.
    `precision`: "auto" is bfloat16 on a GPU that has it, else float32.
    """

    kind: Kind
    seed: int = 0
    init: str | None = None
    model: NetSettings | None = None
    faces: FaceSettings = FaceSettings()
    mask_ratio: float = Field(gt=0.0, lt=1.0)
    frame_step: int = Field(default=1, ge=1)
    smallest_crop: float = Field(default=0.5, gt=0.0, le=1.0)
    flip: bool = True
    schedule: ScheduleSettings
    held_back: HeldBackSettings
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    gradient_checkpointing: bool = False
    device: Literal["auto", "cpu"] = "auto"
    log_every: int = Field(default=10, ge=1)
    save_every: int = Field(default=100, ge=1)
    keep_checkpoints: int = Field(default=2, ge=1)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.model is None) == (self.init is None):
            raise ValueError("give either model (sizes, to start from random weights) or init; the other must be null")
        wants_frames = self.kind == "face-videomae"
        if self.model is not None:
            for name in ("num_frames", "tubelet_size"):
                if (getattr(self.model, name) is None) == wants_frames:
                    raise ValueError(
                        f"model.{name}: {'needed by' if wants_frames else 'has no meaning for'} {self.kind}"
                    )
        return self

    def identity(self) -> dict[str, Any]:
        """Give the settings that the weights depend on: a stopped run goes on only under equal ones."""
        ways = {"device", "log_every", "save_every", "keep_checkpoints", "gradient_checkpointing"}
        values = self.model_dump(mode="json", exclude=ways | {"held_back", "faces", "schedule"})
        values["held_back"] = {"share": self.held_back.share}
        values["faces"] = self.faces.model_dump(mode="json", exclude={"jobs"})
        values["schedule"] = self.schedule.model_dump(mode="json", exclude={"workers", "batch_size", "accumulate"})
        values["schedule"]["samples_a_step"] = self.schedule.batch_size * self.schedule.accumulate
        return values


def shipped_config(kind: Kind) -> Path:
    """Path of the laptop-size settings of a kind."""
    return Path(str(files("emotion_llama.train.pretrain") / f"{kind}-tiny.yaml"))

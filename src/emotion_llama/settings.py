"""Settings as frozen models; an unknown key fails with the nearest known one."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, Self

import yaml
from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from emotion_llama.clip import MODALITIES, TASKS, Modality, Task
from emotion_llama.errors import UsageError
from emotion_llama.labels import LABEL_SETS
from emotion_llama.prompt import PARAPHRASES, Layout

FramePolicy = Literal["peak", "first", "middle", "random"]


class Settings(BaseModel):
    """Base of every settings model: frozen, unknown keys refused with a suggestion."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _suggest_known_keys(cls, values: Any) -> Any:
        if isinstance(values, dict):
            for key in values:
                if key not in cls.model_fields:
                    near = get_close_matches(str(key), cls.model_fields, n=1)
                    hint = f"; did you mean {near[0]!r}?" if near else ""
                    raise ValueError(f"unknown setting {key!r} for {cls.__name__}{hint}")
        return values

    @classmethod
    def from_yaml(cls, path: Path) -> Self:
        """Read one YAML file. Raises `UsageError` naming the file and the key."""
        try:
            return cls.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")) or {})
        except (OSError, yaml.YAMLError, ValidationError) as error:
            raise UsageError(f"settings file {path}: {error}") from error


LabelMethod = Literal["likelihood", "generate-last-word", "generate-last-word-or-neutral"]


class AnalyzeSettings(Settings):
    """How one clip is analysed.

    `labels`: the asked label set, `()` for free emotion words. `frame`: which frame the global encoder sees.
    `without`: inputs to leave out. `label_orders`: seeded label orders to average over, whatever the given one;
    1: the given one alone. `transcribe`: run the recogniser when no transcript was given. `max_frames_s` and
    `max_frames`: frames looked at, a second and in all. `baseline`: other recordings of the same person (paths,
    folders, manifests), to take off what is the person's own.
    `layout`: order of the tokens, for converted released weights only; `None` = the checkpoint's own. `label_method`:
    "likelihood" scores the labels; "generate-last-word" takes the last word of a written answer, as the released
    evaluation does, and gives none where that is no label; "generate-last-word-or-neutral" then says neutral, as it.
    `features`: a folder of feature files (ours or upstream's), read by the clip's name instead of encoding.
    """

    labels: tuple[str, ...] = LABEL_SETS["mer9"]
    tasks: tuple[Task, ...] = ("emotion", "reason")
    frame: FramePolicy = "peak"
    without: tuple[Modality, ...] = ()
    label_orders: int = 4
    transcribe: bool = True
    seed: int = 0
    max_frames_s: float = 15.0
    max_frames: int = 1200
    max_new_tokens: int = 96
    phrasing: int = 0
    baseline: tuple[str, ...] = ()
    layout: Layout | None = None
    label_method: LabelMethod = "likelihood"
    features: Path | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        if set(self.without) >= set(MODALITIES):
            raise ValueError("without: video, audio and text are all left out; keep at least one")
        if not self.tasks or any(task not in TASKS for task in self.tasks):
            raise ValueError(f"tasks: choose from {', '.join(TASKS)}")
        if self.label_orders < 1:
            raise ValueError("label_orders must be at least 1")
        if not 0 <= self.phrasing <= len(PARAPHRASES):
            raise ValueError(f"phrasing must be 0 (the usual question) to {len(PARAPHRASES)}, found {self.phrasing}")
        return self

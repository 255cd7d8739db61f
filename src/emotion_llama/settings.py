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
from emotion_llama.languages import CODES
from emotion_llama.prompt import PARAPHRASES, Layout

Person = Literal["main", "active", "all"]
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
    folders, manifests), a profile file of them, or "auto" (other parts of the same recording), to take off what is the
    person's own.
    `layout`: order of the tokens, for converted released weights only; `None` = the checkpoint's own. `label_method`:
    "likelihood" scores the labels; "generate-last-word" takes the last word of a written answer, as the released
    evaluation does, and gives none where that is no label; "generate-last-word-or-neutral" then says neutral, as it.
    `features`: a folder of feature files (ours or upstream's), read by the clip's name instead of encoding.
    `action_units`: a table of OpenFace or py-feat, or a folder of them (by the clip's name), whose action units are
    used in place of our own.
    `verified`: leave out of the reasons what measurements contradict. `attribution`: what each input contributed.
    `person`: whom the answer is about where several people are seen: "main" (seen longest and largest), "active" (who
    speaks most), a person's number, or "all" (the main one, and each of them beside).
    `min_confidence`: below it no emotion is given, but the two likeliest. `max_risk`: the same, below the confidence
    from which validation people were judged wrongly at most so often (share of errors).
    `timeline`: emotion over time, from windows of at most `window_s`, a new one about every `step_s`. `blur_faces`:
    pictures of the result show no face that can be recognised; what is measured stays the same. `gate`: leave out
    inputs that cannot be trusted (a dark face, a voice in noise). `language`: what reasons, evidence, warnings and
    shown labels are written in (a code of `languages.CODES`); keys and labels of the files stay English.
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
    action_units: Path | None = None
    verified: bool = False
    attribution: bool = False
    person: Person | int = "main"
    min_confidence: float | None = None
    max_risk: float | None = None
    timeline: bool = False
    window_s: float = 6.0
    step_s: float = 3.0
    blur_faces: bool = False
    gate: bool = False
    language: str = "en"

    @model_validator(mode="after")
    def _check(self) -> Self:
        if set(self.without) >= set(MODALITIES):
            raise ValueError("without: video, audio and text are all left out; keep at least one")
        if not self.tasks or any(task not in TASKS for task in self.tasks):
            raise ValueError(f"tasks: choose from {', '.join(TASKS)}")
        if self.language not in CODES:
            raise ValueError(f"language: choose from {', '.join(CODES)}, found {self.language!r}")
        if self.label_orders < 1:
            raise ValueError("label_orders must be at least 1")
        if not 0 <= self.phrasing <= len(PARAPHRASES):
            raise ValueError(f"phrasing must be 0 (the usual question) to {len(PARAPHRASES)}, found {self.phrasing}")
        if isinstance(self.person, int) and self.person < 0:
            raise ValueError(f"person: numbers of people begin at 0, found {self.person}")
        if self.person != "main" and (self.features is not None or self.action_units is not None):
            raise ValueError("person: features and action_units from files are those of the main person; leave one out")
        own = self.timeline and self.baseline == ("auto",)  # everybody in the recording, as the windows are
        if self.person == "all" and self.baseline and not own:
            raise ValueError("person: a baseline is of one person; choose that one (active, or a number) with it")
        for name in ("min_confidence", "max_risk"):
            value = getattr(self, name)
            if value is not None and not 0 <= value <= 1:
                raise ValueError(f"{name} must be between 0 and 1, found {value}")
        if self.min_confidence is not None and self.max_risk is not None:
            raise ValueError("min_confidence and max_risk: choose one of the two")
        if self.timeline:
            self._check_timeline()
        return self

    def _check_timeline(self) -> None:
        if not 1 <= self.window_s <= 60:
            raise ValueError(f"window_s must be 1 to 60 seconds, found {self.window_s:g}")
        if not 0.5 <= self.step_s <= self.window_s:
            raise ValueError(
                f"step_s must be 0.5 seconds to the length of a window ({self.window_s:g}), found {self.step_s:g}"
            )
        if self.label_method != "likelihood":
            raise ValueError("timeline: windows are scored by likelihood; leave label_method as it is")
        if self.features is not None:
            raise ValueError("timeline: feature files are of whole recordings; leave features out")

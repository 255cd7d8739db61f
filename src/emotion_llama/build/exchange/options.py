"""What can be asked of an export or an import, and what both report."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import Field, model_validator

from emotion_llama.build.entry import Part, Rejected
from emotion_llama.clip import Record
from emotion_llama.datasets.crema_d import Channel
from emotion_llama.datasets.emer import Language, Version
from emotion_llama.datasets.mer import SUBSETS
from emotion_llama.settings import Settings

MediaMode = Literal["absolute", "relative", "copy"]
Kind = Literal["video", "audio", "image"]
KINDS: tuple[Kind, ...] = ("video", "audio", "image")
"""What a recording is to a language model: pictures that move (with or without sound), sound alone, a still."""
TuningTask = Literal["emotion", "reason"]


class ExportOptions(Settings):
    """How a data set is written for others.

    `parts`: sides to write, `()` = every entry, those without a side too. `media`: how recordings are named: absolute
    paths, paths relative to the export, or copies below its `media/`. The rest is read by some formats only.
    llama-factory, ms-swift: `tasks` asked of each clip, `labels` listed in the emotion question (`()` = those that
    occur), `kinds` of recordings that go in. merr: `least_intensity` (0–5) from which a unit counts as active at the
    peak frame.
    """

    parts: tuple[Part, ...] = ()
    media: MediaMode = "absolute"
    tasks: tuple[TuningTask, ...] = ("emotion", "reason")
    labels: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = KINDS
    least_intensity: float = Field(default=0.8, ge=0.0, le=5.0)

    @model_validator(mode="after")
    def _check(self) -> ExportOptions:
        for name in ("tasks", "kinds"):
            if not getattr(self, name):
                raise ValueError(f"{name}: expected at least one")
        return self


class ImportOptions(Settings):
    """How files of others become a data set.

    `media`: folder below which recordings lie, found by the clip's name; `None` = where the format has them. `licence`
    and `consent` of the source, written into every entry. `subset`: of MER (`None` = the one that is there). `fold`: of
    DFEW. `version`, `language`: of EMER. `channel`: of CREMA-D (`None` = face, else voice, else the table alone).
    `song`: take the songs of RAVDESS too.
    """

    media: Path | None = None
    licence: str | None = None
    consent: str | None = None
    subset: str | None = None
    fold: Literal["1", "2", "3", "4", "5"] = "1"
    version: Version = 1
    language: Language = "english"
    channel: Channel | None = None
    song: bool = False

    @model_validator(mode="after")
    def _check(self) -> ImportOptions:
        if self.subset is not None and self.subset not in SUBSETS:
            raise ValueError(f"subset: expected one of {', '.join(SUBSETS)}, found {self.subset!r}")
        return self


class ExportReport(Record):
    """What was written: `files` → rows in each, `clips` that are in it, what was left out and why, what to know."""

    kind: str
    out: Path
    clips: int
    files: dict[str, int]
    left_out: tuple[Rejected, ...] = ()
    notes: tuple[str, ...] = ()


class ImportReport(Record):
    """What was read: entries and rejections, how often each emotion occurs, which words are in no label table."""

    kind: str
    out: Path
    entries: int
    rejected: int
    emotions: dict[str, int] = {}
    unknown_emotions: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

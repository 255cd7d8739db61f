"""A step of the pipeline: one verb, `Entry → Found | Reject`. What it found is put into the entry; nothing else is."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal

from emotion_llama.build.entry import Check, CoarseLabel, Entry, Faces, Media, Peak, Source, StepMark, Written
from emotion_llama.clip import Clip, Observation, Record
from emotion_llama.settings import Settings

if TYPE_CHECKING:
    from emotion_llama.build.look import Look

OutcomeKind = Literal["done", "rejected"]


class StepSettings(Settings):
    """Settings of one step; each step has its own. `name` is the step's."""

    name: str


class Found(Record):
    """What one step found; `None` = not its business. `words` says it to a person."""

    words: str
    source: Source | None = None
    media: Media | None = None
    faces: Faces | None = None
    action_units: dict[str, float] | None = None
    units_seen: tuple[str, ...] | None = None
    peak: Peak | None = None
    coarse: CoarseLabel | None = None
    face_phrases: tuple[str, ...] | None = None
    scene: Written | None = None
    voice: Written | None = None
    transcript: str | None = None
    observations: tuple[Observation, ...] = ()
    coarse_text: Written | None = None
    fine_text: Written | None = None
    check: Check | None = None


class Reject(Record):
    """The clip does not belong into the data set; why, in words."""

    reason: str


class Outcome(Record):
    """What a step gave for a clip. A rejection has its reason in `found.words`."""

    step: str
    kind: OutcomeKind
    found: Found


Place = Literal["worker", "driver"]
"""Where a step runs: beside the recording (decoding, nets), or where the journal is (asking language models)."""


@dataclass(frozen=True)
class Step:
    """One kind of step, as the table of steps has it.

    `reads`: steps whose findings it sees, if they come before it; it sees no others, so a change elsewhere does not
    repeat it. `run` gets the entry so far, its settings and the look at the recording. `place` may depend on settings
    (a describer that asks a language model). `models`: what its result rests on besides its version. `takes_print`:
    bytes to keep for a step over the whole set.
    """

    name: str
    version: str
    settings: type[StepSettings]
    run: Callable[[Entry, Any, Look], Found | Reject]
    reads: tuple[str, ...] = ()
    place: Callable[[Any], Place] = lambda settings: "worker"
    models: Callable[[Any], tuple[str, ...]] = lambda settings: ()
    takes_print: Callable[[Entry, Any, Look], bytes] | None = None


@dataclass(frozen=True)
class Planned:
    """A step with the settings of this build, the planned steps that it reads, and the models it uses."""

    step: Step
    settings: StepSettings
    reads: tuple[str, ...]
    models: tuple[str, ...]

    @property
    def name(self) -> str:
        """The step's name."""
        return self.step.name

    @cached_property
    def mark(self) -> StepMark:
        """How the step stands in an entry."""
        return StepMark(
            step=self.step.name,
            version=self.step.version,
            settings_sha256=digest(self.settings.model_dump(mode="json")),
            models=self.models,
        )


def assemble(clip: Clip, found: Sequence[tuple[Planned, Found]]) -> Entry:
    """Put findings into an entry, in the order of their steps."""
    entry = Entry(clip=clip)
    fields = set(Entry.model_fields) & set(Found.model_fields)
    observations: list[Observation] = []
    changes: dict[str, Any] = {}
    words: dict[str, Any] = {}
    for _, one in found:
        changes |= {name: getattr(one, name) for name in fields if getattr(one, name) is not None}
        observations += one.observations
        if one.transcript is not None:
            words["transcript"] = one.transcript
        if one.coarse is not None:
            words["emotion"] = one.coarse.emotion
        if one.fine_text is not None:
            words["reasoning"] = one.fine_text.text
    words["observations"] = (*clip.observations, *observations)
    changes |= {"clip": clip.model_copy(update=words), "steps": tuple(planned.mark for planned, _ in found)}
    return entry.model_copy(update=changes)


def digest(value: Any) -> str:
    """Give the sha256 of a JSON value; equal values have one, whatever the order of their keys."""
    text = json.dumps(value, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()

"""Steps over the whole set: they see every clip that got so far, a line each, and decide about all of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from emotion_llama.build.entry import Entry, Part
from emotion_llama.build.step import OutcomeKind, Step, StepSettings

LoadPrint = Callable[[int], bytes | None]
"""Gives the fingerprint of the candidate with this place in the list."""


@dataclass(frozen=True)
class Candidate:
    """A clip that got so far. `quality`: clues supported minus contradicted; the better one stays where one must go."""

    name: str
    emotion: str | None
    quality: float
    sha256: str | None
    speaker: str | None
    path: str

    @classmethod
    def of(cls, entry: Entry) -> Candidate:
        """Give what decisions need of an entry."""
        check = entry.check
        return cls(
            name=entry.name,
            emotion=entry.clip.emotion,
            quality=0.0 if check is None else float(check.supported - check.contradicted),
            sha256=entry.source.sha256,
            speaker=entry.clip.speaker,
            path=str(entry.clip.path),
        )


@dataclass(frozen=True)
class Decision:
    """What is decided about one clip; `part`: the side it goes to."""

    kind: OutcomeKind
    words: str
    part: Part | None = None


@dataclass(frozen=True)
class WholeStep:
    """One kind of step over the whole set. `decide` gives a decision for every candidate, in their order.

    `first`: a step that looks at each recording for it, under the same name and settings.
    """

    name: str
    version: str
    settings: type[StepSettings]
    decide: Callable[[Sequence[Candidate], Any, LoadPrint], list[Decision]]
    first: Step | None = None

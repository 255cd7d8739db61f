"""`--baseline`: what it names → the person's profile that one clip is compared with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np

from emotion_llama.analyze.inputs import find_clips
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.profile import GAIN, SUFFIX, Gathered, PersonProfile, gather, make_profile, read_profile
from emotion_llama.clip import Clip
from emotion_llama.errors import MediaError, UsageError
from emotion_llama.media import probe

AUTO = "auto"
PART_S = 5.0
"""Length of the parts that `auto` cuts a recording into: about that of the clips that the encoders' means are of."""

MOST_PARTS = 24
"""`auto` looks at so many other parts at most, evenly spread: each costs about as much as a clip."""

AUTO_S = GAIN * PART_S
"""`auto` needs so many seconds of the recording beside what is looked at: fewer than eight parts gain nothing."""


@dataclass(frozen=True)
class Beside:
    """The profile that a clip is compared with, where it comes from, and what a reader must know of it."""

    profile: PersonProfile | None = None
    source: Literal["clips", "profile", "auto"] | None = None
    warnings: tuple[str, ...] = ()


class Baselines:
    """Finds the profile for each clip; recordings and parts of them are looked at once, by `look`."""

    def __init__(
        self, parts: Parts, model: str, weights_sha256: str, look: Callable[[Clip, Parts], Gathered] = gather
    ) -> None:
        self.parts = parts
        self.model = model
        self.weights_sha256 = weights_sha256
        self.look = look
        self._gathered: dict[tuple[str, float | None, float | None], Gathered] = {}
        self._profiles: dict[Path, PersonProfile] = {}

    def of(self, clip: Clip, named: tuple[str, ...], over_time: bool = False) -> Beside:
        """What `named` (clips, folders, manifests; a profile file; "auto") gives for this clip, never from itself.

        With "auto" and `over_time` all of the clip is looked at in windows, and parts of it are what they are compared
        with; at most its own part is then among them.

        Raises `UsageError` for a mixture of these or too few recordings, `ModelError` for a profile of other weights.
        """
        if not named:
            return Beside()
        single = [text for text in named if text == AUTO or text.endswith(SUFFIX)]
        if single and len(named) > 1:
            raise UsageError(
                f"--baseline: {single[0]} stands alone; leave the others out ({len(named) - 1} more given)"
            )
        if named == (AUTO,):
            return self._recording_over_time(clip) if over_time else self._own_recording(clip)
        return self._from_file(Path(named[0]), clip) if single else self._from_clips(clip, named)

    def _from_clips(self, clip: Clip, named: tuple[str, ...]) -> Beside:
        mine = clip.path.resolve() if clip.path is not None else None
        others = [one for one in find_clips(named, None) if one.path is None or one.path.resolve() != mine]
        return Beside(self._made([self._look(other) for other in others]), "clips", ())

    def _from_file(self, path: Path, clip: Clip) -> Beside:
        if path not in self._profiles:
            self._profiles[path] = read_profile(path, self.weights_sha256)
        profile = self._profiles[path]
        held = clip.path is not None and profile.holds(probe(clip.path).sha256)
        warning = (
            f"This recording is one of the {profile.facts.clips} that the person's profile was made from: part of what "
            "it shows was taken off it."
        )
        return Beside(profile, "profile", (warning,) if held else ())

    def _own_recording(self, clip: Clip) -> Beside:
        """The parts of the recording that are not looked at, where there are enough of them."""
        spans = other_parts(clip)
        parts = [self._part(clip, span) for span in spans] if len(spans) >= GAIN else []
        found = [part for part in parts if part is not None]
        if len(found) >= GAIN:
            return Beside(self._made(found), "auto")
        if clip.start_s is None and clip.end_s is None:
            why = "the whole of it is looked at, so no other part is left to compare with (--start, --end name a part)"
        else:
            why = (
                f"beside the part looked at there are {len(found) if parts else len(spans)} parts of {PART_S:g} s in "
                f"which somebody may be seen or heard, and {GAIN} are needed ({AUTO_S:g} s)"
            )
        return Beside(warnings=(f"The recording gives no baseline of the person: {why}. Nothing was taken off.",))

    def _recording_over_time(self, clip: Clip) -> Beside:
        """Parts of a recording in which somebody is seen or heard, where there are enough of them."""
        spans = evenly(all_parts(clip))
        parts = [self._part(clip, span) for span in spans] if len(spans) >= GAIN else []
        found = [part for part in parts if part is not None and (part.rest is not None or part.voice is not None)]
        if len(found) >= GAIN:
            note = (
                f"Each window was compared with {len(found)} parts of this recording ({PART_S:g} s each, evenly "
                "spread); one of them may be its own, and everybody in them counts as the person. What lasts all along "
                "is taken off as usual: trust what changes from window to window, not the emotion of the whole."
            )
            return Beside(self._made(found), "auto", (note,))
        in_which = "in which somebody is seen or heard" if parts else "that it could be cut into"
        why = f"parts of {PART_S:g} s {in_which}: {len(found) if parts else len(spans)}"
        return Beside(
            warnings=(
                f"The recording gives no baseline of the person: {why}; needed: {GAIN} ({AUTO_S:g} s). "
                "Nothing was taken off.",
            )
        )

    def _part(self, clip: Clip, span: tuple[float, float]) -> Gathered | None:
        """One part of the recording; `None` where there is nothing to see or hear."""
        part = clip.model_copy(update={"start_s": span[0], "end_s": span[1], "transcript": None})
        try:
            return self._look(part)
        except MediaError:
            return None

    def _look(self, clip: Clip) -> Gathered:
        key = (str(clip.path or clip.clip), clip.start_s, clip.end_s)
        if key not in self._gathered:
            self._gathered[key] = self.look(clip, self.parts)
        return self._gathered[key]

    def _made(self, gathered: list[Gathered]) -> PersonProfile:
        return make_profile(gathered, self.model, self.weights_sha256, self.parts.population)


def other_parts(clip: Clip) -> list[tuple[float, float]]:
    """Spans (start, end in seconds) of the recording that do not touch what is looked at, at most `MOST_PARTS`.

    Empty for text, pictures, recordings that do not tell their length, and where all of it is looked at.
    """
    if clip.start_s is None and clip.end_s is None:
        return []
    start_s, end_s = clip.start_s or 0.0, clip.end_s or float("inf")
    return evenly([(first, last) for first, last in all_parts(clip) if last <= start_s or first >= end_s])


def all_parts(clip: Clip) -> list[tuple[float, float]]:
    """The whole recording in spans (start, end in seconds) of `PART_S`; see `other_parts` for where there are none."""
    duration_s = probe(clip.path).duration_s if clip.path is not None else None
    if duration_s is None:
        return []
    return [(float(at), float(at + PART_S)) for at in np.arange(0.0, duration_s - PART_S + 1e-6, PART_S)]


def evenly(spans: list[tuple[float, float]]) -> list[tuple[float, float]]:
    """At most `MOST_PARTS` of some spans, evenly spread."""
    if len(spans) <= MOST_PARTS:
        return spans
    return [spans[at] for at in np.linspace(0, len(spans) - 1, MOST_PARTS).round().astype(int)]

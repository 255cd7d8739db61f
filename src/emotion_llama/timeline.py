"""The vocabulary of emotion over time and of several people: what `--timeline` and `--person` add to an analysis.

Times are seconds of the recording. A person is a number, the same wherever and whenever they are seen in a recording.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emotion_llama.record import Modality, Record

Role = Literal["all", "speaking", "listening"]


class Window(Record):
    """One stretch that was looked at on its own, and the smoothed probabilities of the asked labels there.

    `emotion` `None`: nothing was present, or the model was not sure enough. `person` is `None` where no face was
    followed; `speaking` says whether that person speaks for most of the speech in it, `None` where nobody speaks or it
    is not known who. `text` is what was said in it, `None` = not transcribed.
    """

    start_s: float
    end_s: float
    emotion: str | None
    confidence: float | None
    probabilities: dict[str, float]
    inputs: tuple[Modality, ...]
    person: int | None = None
    speaking: bool | None = None
    text: str | None = None


class Stretch(Record):
    """Neighbouring windows of one person with the same emotion; `confidence` is their mean, `peak_s` the surest."""

    start_s: float
    end_s: float
    emotion: str
    confidence: float
    peak_s: float
    person: int | None = None


class Expression(Record):
    """One movement of a face: an action unit that rises (onset), is strongest (apex) and is gone (offset).

    `unit` is "AU12" and the like, `intensity` its size at the apex, 0–5 above the person's own neutral.
    """

    unit: str
    onset_s: float
    apex_s: float
    offset_s: float
    intensity: float = Field(ge=0.0, le=5.0)
    person: int | None = None


class Timeline(Record):
    """Emotion over time.

    `transitions[a][b]` counts how often `b` follows `a` from one stretch of a person to their next. `cuts_s` are the
    times at which the picture changes to another shot.
    """

    window_s: float
    step_s: float
    windows: tuple[Window, ...]
    stretches: tuple[Stretch, ...]
    expressions: tuple[Expression, ...]
    transitions: dict[str, dict[str, int]]
    cuts_s: tuple[float, ...]


class PersonEmotion(Record):
    """What one of several people shows, over all of the recording or while they speak or listen.

    `seconds` is how long they were seen in that role, `spans_s` when (seconds of the recording); `probabilities` are
    over the asked labels, empty where nothing could be scored.
    """

    person: int
    role: Role
    seconds: float
    spans_s: tuple[tuple[float, float], ...] = ()
    emotion: str | None
    confidence: float | None
    probabilities: dict[str, float]

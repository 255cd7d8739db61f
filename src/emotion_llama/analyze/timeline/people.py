"""Whom each window is about, and what each of several people shows over a whole recording."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from emotion_llama.analyze.people import MOST_PEOPLE, seconds, spoken_by
from emotion_llama.analyze.timeline.glimpse import Faces
from emotion_llama.analyze.timeline.plan import Span
from emotion_llama.analyze.timeline.smoothing import Scored
from emotion_llama.analyze.timeline.talk import Spans, Turns, own_speech
from emotion_llama.clip import Modality
from emotion_llama.measurements import FaceBoxes, Turn
from emotion_llama.perception.identity import LEAST_SAMPLES
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import PersonEmotion, Role

MOST_AT_ONCE = 4
"""People who have a window of their own at one time, the one seen longest and largest first."""

LEAST_SEEN = 0.25
"""Share of a window's pictures in which somebody must be seen to have a window of their own."""

LONGEST_GAP_S = 1.0
"""A face that is gone for no longer was there all the time."""

Least = Callable[[tuple[Modality, ...]], float]
"""How sure an answer from such inputs must be."""


def whom(span: Span, faces: Faces, turns: Turns | None, settings: AnalyzeSettings, frames: int) -> list[int | None]:
    """The people whom a window's scores are about, the main one first; `None`: nobody in particular.

    With a person's number there is none where that person is not seen. `frames`: pictures looked at in the window.
    """
    seen = faces.seen_in(span)
    main = next(iter(seen), None)
    if isinstance(settings.person, int):
        return [settings.person] if settings.person in seen else []
    if settings.person == "active":
        spoken = {person: seconds(own_speech(span, turns, person)) for person in seen}
        longest = max(spoken, key=lambda person: spoken[person], default=None)
        return [longest if longest is not None and spoken[longest] > 0 else main]
    if settings.person == "all":
        least = max(LEAST_SAMPLES, LEAST_SEEN * frames)
        return [main, *[person for person, count in seen.items() if person != main and count >= least]][:MOST_AT_ONCE]
    return [main]


def people_over_time(
    scored: Sequence[Scored], boxes: Iterable[FaceBoxes], turns: Sequence[Turn], least: Least
) -> tuple[PersonEmotion, ...]:
    """What each person shows in all their windows, in those in which they speak, and in those in which others do.

    Means over windows as they were scored on their own, weighted by their length. Of the `MOST_PEOPLE` seen longest, in
    the order of their numbers.
    """
    there = {one.window.person for one in scored}
    longest = sorted((one for one in boxes if one.track in there), key=lambda one: -len(one.time_s))[:MOST_PEOPLE]
    found: list[PersonEmotion] = []
    for one in sorted(longest, key=lambda one: one.track):
        mine = [window for window in scored if window.window.person == one.track]
        for role, spans in roles(one, turns):
            kept = [window for window in mine if role == "all" or window.window.speaking is (role == "speaking")]
            if spans and (kept or role == "all"):
                found.append(_shown(one.track, role, spans, kept, least))
    return tuple(found)


def roles(boxes: FaceBoxes, turns: Sequence[Turn]) -> Iterator[tuple[Role, Spans]]:
    """When a person is seen, speaks, and is seen while somebody else speaks."""
    seen = seen_spans(boxes.time_s.tolist())
    yield "all", seen
    yield "speaking", joined_spans(spoken_by(turns, boxes.track))
    others = joined_spans([(turn.start_s, turn.end_s) for turn in turns if turn.person != boxes.track])
    both = ((max(a, start), min(b, end)) for start, end in others for a, b in seen)
    yield "listening", tuple((start, end) for start, end in both if end > start)


def seen_spans(times_s: Sequence[float]) -> Spans:
    """When a face is seen at these times in order, short gaps bridged."""
    starts = [0, *(at for at in range(1, len(times_s)) if times_s[at] - times_s[at - 1] > LONGEST_GAP_S)]
    ends = [*starts[1:], len(times_s)]
    return tuple((times_s[a], times_s[b - 1]) for a, b in zip(starts, ends, strict=True)) if times_s else ()


def joined_spans(spans: Sequence[tuple[float, float]]) -> Spans:
    """Spans in time order, those that meet joined."""
    found: list[tuple[float, float]] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1] + 1e-6:
            found[-1] = (found[-1][0], max(found[-1][1], end))
        else:
            found.append((start, end))
    return tuple(found)


def mean_of(scored: Sequence[Scored], weights: Sequence[float]) -> dict[str, float]:
    """Weighted mean of the probabilities of windows that all have some; empty without any."""
    if not scored:
        return {}
    labels = list(scored[0].window.probabilities)
    rows = np.array([[one.window.probabilities[label] for label in labels] for one in scored])
    heavy = np.asarray(weights, np.float64)
    return dict(zip(labels, map(float, heavy @ rows / heavy.sum()), strict=True))


def _shown(person: int, role: Role, spans: Spans, scored: Sequence[Scored], least: Least) -> PersonEmotion:
    there = [one for one in scored if one.window.probabilities]
    chances = mean_of(there, [one.span.end_s - one.span.start_s for one in there])
    best = max(chances, key=lambda label: chances[label], default=None)
    inputs = tuple(dict.fromkeys(name for one in there for name in one.window.inputs))
    sure = best is not None and chances[best] >= least(inputs)
    return PersonEmotion(
        person=person,
        role=role,
        seconds=round(seconds(spans), 3),
        spans_s=tuple((round(a, 3), round(b, 3)) for a, b in spans),
        emotion=best if sure else None,
        confidence=None if best is None else chances[best],
        probabilities=chances,
    )

"""What a reader must know about the analysis of a whole recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from emotion_llama.analyze.charts import clock
from emotion_llama.analyze.people import seconds
from emotion_llama.analyze.timeline.record import Recording
from emotion_llama.clip import Analysis
from emotion_llama.timeline import Window

if TYPE_CHECKING:
    from emotion_llama.analyze.timeline.whole import Seen

LEAST_UNKNOWN_S = 0.5


def notes_of(seen: Seen, focus: Window, detail: Analysis, best: str | None) -> Iterator[str]:
    """What was damaged or empty, how the whole was made of the windows, and of which one the reasons are.

    `best`: the likeliest label of the whole; `detail`: what the window of the focus is, looked at closely.
    """
    windows = [one.window for one in seen.main]
    for notes in seen.notes:
        if notes.damaged:
            yield f"The file is damaged: {notes.reason}. Only what could be decoded was used."
    empty = sum(not window.probabilities for window in windows)
    if empty:
        yield f"Nobody is seen or heard in {empty} of {len(windows)} windows; they have no emotion."
    if seen.clip.transcript is not None:
        yield "The given transcript has no times: the windows were judged without words."
    span = f"{clock(focus.start_s)} to {clock(focus.end_s)}"
    if best is not None:
        spoken = any(one.speech_s for one in seen.main)
        by = "weighted by the time of speech in each" if spoken else "weighted by their length"
        yield (
            f"The emotion of the whole is the mean over {len(windows) - empty} windows, {by}; reasons, evidence, voice "
            f"and face are those of the strongest stretch, {span}."
        )
    if best is not None and detail.emotion not in (None, best):
        yield f"Looked at closely, {span} is {detail.emotion}: the reasons are about that, the whole is {best}."


def who_speaks_notes(record: Recording) -> Iterator[str]:
    """Speech that nobody in view is seen to speak, and speech of which that cannot be told."""
    spoken_s = seconds(tuple(record.speech_s))
    unseen_s = seconds([(turn.start_s, turn.end_s) for turn in record.turns if turn.person is None])
    unknown_s = spoken_s - seconds([(turn.start_s, turn.end_s) for turn in record.turns])
    if unseen_s > 0:
        yield f"In {unseen_s:.1f} s of {spoken_s:.1f} s of speech nobody in view is seen to speak."
    if unknown_s > LEAST_UNKNOWN_S:
        yield (
            f"Who speaks cannot be told in {unknown_s:.1f} s of {spoken_s:.1f} s of speech (nobody in view, or "
            "pictures too far apart in time): voice and words there may be somebody else's."
        )

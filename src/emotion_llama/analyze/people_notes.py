"""What a reader must know about people who were told apart: whom the answer is about, and what could not be seen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence

from emotion_llama.analyze.people import LEAST_SAMPLES, described, seconds, spoken_by
from emotion_llama.analyze.perceive import Percept
from emotion_llama.measurements import FaceTrack
from emotion_llama.perception.tracking import DETECT_EVERY, MESHED
from emotion_llama.settings import AnalyzeSettings

LONG_ABSENCE_S = 30.0
SHORT_SHOT_S = 1.5
FEW_CUTS = 5


def people_notes(percept: Percept, settings: AnalyzeSettings) -> Iterator[str]:
    """Warnings for `--person`; none for the default."""
    if settings.person == "main":
        return
    if percept.faces is None or percept.faces.main is None:
        yield "Nobody is in view: people cannot be told apart, and the answer is as without --person."
        return
    tracks = percept.faces.tracks
    yield from _whom(percept, settings, tracks[percept.faces.main].track)
    yield from _voices(percept)
    yield from _crowd(tracks, settings)
    yield from _absences(tracks, percept)
    cuts = percept.faces.cuts_s
    if len(cuts) > FEW_CUTS and (cuts[-1] - cuts[0]) / (len(cuts) - 1) < SHORT_SHOT_S:
        every_s = (cuts[-1] - cuts[0]) / (len(cuts) - 1)
        yield f"The picture cuts every {every_s:.1f} s: a person may have several numbers, one a shot."


def _whom(percept: Percept, settings: AnalyzeSettings, main: int) -> Iterator[str]:
    own_s = seconds(spoken_by(percept.turns or (), main))
    if settings.person == "active" and own_s == 0:
        yield f"Nobody in view is seen to speak; the answer is about person {main}, who is seen longest and largest."
    elif settings.person == "active":
        yield f"The answer is about person {main}, who speaks most ({own_s:.1f} s)."
    elif settings.person != "all":
        yield f"The answer is about person {main}, as asked."


def _voices(percept: Percept) -> Iterator[str]:
    if percept.turns is None:
        yield "The pictures are too far apart in time to see who speaks: voice and words may be somebody else's."
        return
    unseen_s = seconds(tuple((turn.start_s, turn.end_s) for turn in percept.turns if turn.person is None))
    if unseen_s > 0:
        whole_s = seconds(tuple((turn.start_s, turn.end_s) for turn in percept.turns))
        yield f"In {unseen_s:.1f} s of {whole_s:.1f} s of speech nobody in view is seen to speak."


def _crowd(tracks: Sequence[FaceTrack], settings: AnalyzeSettings) -> Iterator[str]:
    at_once = max(Counter(sample.frame_index for track in tracks for sample in track.samples).values())
    if at_once > MESHED:
        yield (
            f"{at_once} faces are in view at once: the {MESHED} largest are followed from frame to frame, the others "
            f"are seen only in every {DETECT_EVERY}th frame looked at, too seldom to tell whether they speak."
        )
    left = len(tracks) - len(described(tracks))
    if settings.person == "all" and left:
        yield f"{left} more {'face was' if left == 1 else 'faces were'} found but seen too shortly to be described."


def _absences(tracks: Sequence[FaceTrack], percept: Percept) -> Iterator[str]:
    """Long stretches in which no face is in view."""
    start_s = percept.clip.start_s or 0.0
    end_s = start_s + (percept.duration_s or 0.0)
    times = sorted(sample.time_s for track in tracks if len(track.samples) >= LEAST_SAMPLES for sample in track.samples)
    for before, after in zip([start_s, *times], [*times, end_s], strict=True):
        if after - before > LONG_ABSENCE_S:
            yield f"No face is in view from {before:.0f} s to {after:.0f} s."

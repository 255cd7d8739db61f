"""What a block has seen and heard, cut down to one window: the percept that is scored."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.perceive import Percept
from emotion_llama.analyze.timeline.plan import Span
from emotion_llama.clip import Clip, Transcript, VoiceMeasures
from emotion_llama.measurements import (
    ActionUnitSeries,
    FaceMeasures,
    FaceSample,
    FaceTrack,
    SoundMeasures,
    VoiceTrace,
)
from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, Waveform
from emotion_llama.perception.action_units import measure_action_units
from emotion_llama.perception.au_tables import at_times
from emotion_llama.perception.peak_frame import choose_peak
from emotion_llama.perception.see import ExpressionModel, main_track, read_expressions
from emotion_llama.perception.sound import is_silent

Row = tuple[NDArray[np.float32], NDArray[np.float32]]
"""Of one face in one frame: expression probabilities (7,) and features (128,)."""


SPOKEN = VoiceMeasures.model_validate(dict.fromkeys(VoiceMeasures.model_fields) | {"speech_s": 0.0, "pause_count": 0})
"""The voice of a window: that there is one, and nothing measured."""


class ExpressionNets(Protocol):
    """Where the expression net is found: it is loaded when the first face is seen."""

    @property
    def expression_net(self) -> ExpressionModel:
        """The net."""


@dataclass(frozen=True)
class MeasuredTrack:
    """One face's track with all that is measured in it, row by row."""

    track: FaceTrack
    series: ActionUnitSeries
    given: ActionUnitSeries | None
    expressions: NDArray[np.float32]  # (F, 7)
    features: NDArray[np.float32]  # (F, 128)


class Faces:
    """The faces of one block: measured when a window asks for them, each frame by the expression net only once."""

    def __init__(self, nets: ExpressionNets, given: ActionUnitSeries | None = None) -> None:
        self._nets = nets
        self._given = given
        self._rows: dict[tuple[int, int], Row] = {}
        self._measured: dict[int, MeasuredTrack] = {}
        self._tracks: Sequence[FaceTrack] = ()

    def show(self, tracks: Sequence[FaceTrack]) -> None:
        """Take the tracks of the next block; what was measured of samples that are gone is forgotten."""
        self._tracks, self._measured = tracks, {}
        there = {(track.track, sample.frame_index) for track in tracks for sample in track.samples}
        self._rows = {key: row for key, row in self._rows.items() if key in there}

    def seen_in(self, span: Span) -> dict[int, int]:
        """In how many pictures of a window each person is seen: who is seen longest and largest first, then by that."""
        tracks = [FaceTrack(track.track, _within(track, span)) for track in self._tracks]
        left = [track for track in tracks if track.samples]
        found: dict[int, int] = {}
        while left:
            largest = main_track(tuple(left))
            assert largest is not None
            track = left.pop(largest)
            found[track.track] = len(track.samples)
        return found

    def measured(self, person: int) -> MeasuredTrack:
        """Action units and expressions of one person in this block."""
        if person not in self._measured:
            track = next(track for track in self._tracks if track.track == person)
            missing = [s for s in track.samples if (person, s.frame_index) not in self._rows]
            if missing:
                chances, features = read_expressions(tuple(missing), self._nets.expression_net)
                assert chances is not None and features is not None  # there is a net
                for sample, chance, feature in zip(missing, chances, features, strict=True):
                    self._rows[person, sample.frame_index] = (chance, feature)
            rows = [self._rows[person, sample.frame_index] for sample in track.samples]
            series = measure_action_units(track.samples)
            self._measured[person] = MeasuredTrack(
                track,
                series,
                None if self._given is None else at_times(self._given, series.time_s),
                np.stack([row[0] for row in rows]),
                np.stack([row[1] for row in rows]),
            )
        return self._measured[person]

    def in_window(
        self, span: Span, frames_seen: int, speech_s: Sequence[tuple[float, float]], person: int | None
    ) -> FaceMeasures:
        """What is seen of one person in a window, and of nobody else."""
        if person is None:
            return FaceMeasures(frames_seen, (), None, None, None, None, None)
        whole = self.measured(person)
        inside = np.array([span.start_s <= s.time_s < span.end_s for s in whole.track.samples])
        samples = tuple(s for s, there in zip(whole.track.samples, inside, strict=True) if there)
        mesh = rows_of(whole.series, inside)
        series = mesh if whole.given is None else rows_of(whole.given, inside)
        scores = np.array([sample.mesh_score for sample in samples], dtype=np.float32)
        return FaceMeasures(
            frames_seen,
            (FaceTrack(person, samples),),
            0,
            series,
            whole.expressions[inside],
            whole.features[inside],
            choose_peak(series, scores, speech_s),
            None if whole.given is None else mesh,
        )


def _within(track: FaceTrack, span: Span) -> tuple[FaceSample, ...]:
    return tuple(sample for sample in track.samples if span.start_s <= sample.time_s < span.end_s)


def rows_of(series: ActionUnitSeries, which: NDArray[np.bool_]) -> ActionUnitSeries:
    """Some rows of a series, `which` (F,)."""
    return replace(
        series,
        time_s=series.time_s[which],
        intensity=series.intensity[which],
        confidence=series.confidence[which],
        pose_deg=series.pose_deg[which],
    )


def sound_of(span: Span, waveform: Waveform) -> Waveform | None:
    """The sound of one window; `None` where the recording has none there."""
    first = round((span.start_s - waveform.start_s) * SAMPLE_RATE_HZ)
    last = round((span.end_s - waveform.start_s) * SAMPLE_RATE_HZ)
    samples = waveform.samples[max(0, first) : max(0, last)]
    return Waveform(samples, max(span.start_s, waveform.start_s)) if len(samples) else None


def speech_in(span: Span, speech_s: Sequence[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """The parts of stretches of speech that lie in a window."""
    cut = ((max(start, span.start_s), min(end, span.end_s)) for start, end in speech_s)
    return tuple((start, end) for start, end in cut if end > start)


def seconds_of(spans: Sequence[tuple[float, float]]) -> float:
    """How long some stretches are together."""
    return sum(end - start for start, end in spans)


def said_in(span: Span, transcript: Transcript | None) -> Transcript:
    """The words that are spoken in a window (their middle lies in it); where a part has no word times, all of it."""
    if transcript is None:
        return Transcript(text=None, source="none")
    parts = [part for segment in transcript.segments for part in (segment.words or (segment,))]
    said = [part.text for part in parts if span.start_s <= (part.start_s + part.end_s) / 2 < span.end_s]
    return Transcript(text=" ".join(said), source=transcript.source, language=transcript.language)


def glimpse(
    clip: Clip,
    span: Span,
    faces: FaceMeasures | None,
    picture: Frame | None,
    waveform: Waveform | None,
    speech_s: tuple[tuple[float, float], ...],
    transcript: Transcript,
) -> Percept:
    """Put the percept of one window together. It carries no media: nothing of it is kept in the cache of features."""
    empty = np.zeros(0, np.float32)
    sound = None
    if waveform is not None:
        # only whether somebody speaks is asked of a window's voice: its measures are taken where they are shown
        voice = SPOKEN.model_copy(update={"speech_s": seconds_of(speech_s)}) if speech_s else None
        trace = VoiceTrace(empty, empty, empty, speech_s)
        sound = SoundMeasures(is_silent(waveform), voice, trace, transcript)
    return Percept(
        clip=clip.model_copy(update={"start_s": span.start_s, "end_s": span.end_s}),
        media=None,
        faces=faces,
        frame=picture,
        peak=None,
        sound=sound,
        waveform=waveform,
        transcript=transcript,
        observations=(),
    )

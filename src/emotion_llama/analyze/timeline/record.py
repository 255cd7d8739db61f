"""What is kept of a whole recording while it goes by: small numbers only, never pictures or sound."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.timeline.ear import Heard
from emotion_llama.analyze.timeline.expressions import expressions_of
from emotion_llama.analyze.timeline.glimpse import MeasuredTrack, rows_of
from emotion_llama.clip import Segment, Transcript
from emotion_llama.measurements import ActionUnitSeries, Turn
from emotion_llama.timeline import Expression

MOST_PORTRAITS = 64
"""Face crops kept of a recording, 77 kB each: of those who are seen first."""


@dataclass
class PersonRecord:
    """Action units and expressions of one person, block after block."""

    parts: list[ActionUnitSeries] = field(default_factory=list)
    expressions: list[NDArray[np.float32]] = field(default_factory=list)
    frames: list[NDArray[np.int64]] = field(default_factory=list)
    scores: list[NDArray[np.float32]] = field(default_factory=list)
    until_s: float = -1.0

    def add(self, measured: MeasuredTrack) -> None:
        """Take what is new of a person's track."""
        samples = measured.track.samples
        new = np.array([sample.time_s > self.until_s for sample in samples])
        if not new.any():
            return
        self.parts.append(rows_of(measured.given or measured.series, new))
        self.expressions.append(measured.expressions[new])
        self.frames.append(np.array([s.frame_index for s in samples], np.int64)[new])
        self.scores.append(np.array([s.mesh_score for s in samples], np.float32)[new])
        self.until_s = samples[-1].time_s


@dataclass(frozen=True)
class FaceRecord:
    """All that was measured of the people whom windows are about, one row a frame, in time order."""

    series: ActionUnitSeries
    expressions: NDArray[np.float32]
    frame_indices: NDArray[np.int64]
    mesh_scores: NDArray[np.float32]


class Recording:
    """Gathers people, speech and words. `portraits`: a face crop (160, 160, 3) each, by number, not hidden."""

    def __init__(self) -> None:
        self._people: dict[int, PersonRecord] = {}
        self.portraits: dict[int, NDArray[np.uint8]] = {}
        self._main_windows: Counter[int] = Counter()
        self._transcripts: list[Transcript] = []
        self.turns: list[Turn] = []
        self.speech_s: list[tuple[float, float]] = []
        self.silent = True

    def heard(self, block: Heard) -> None:
        """Take what was heard in one block."""
        self.speech_s += block.speech_s
        if block.transcript is not None:
            self._transcripts.append(block.transcript)

    def saw(self, person: int, measured: MeasuredTrack, main: bool) -> None:
        """Take what was seen of one person in one block; `main`: in a window that the whole answer is about."""
        self._people.setdefault(person, PersonRecord()).add(measured)
        self._main_windows[person] += main
        if person not in self.portraits and len(self.portraits) < MOST_PORTRAITS:
            samples = measured.track.samples
            self.portraits[person] = max(samples, key=lambda one: np.ptp(one.box.corners_px[1::2])).crop.copy()

    def talked(self, turns: Sequence[Turn] | None, before_s: float) -> None:
        """Take who spoke, up to `before_s` seconds and not twice; `None`: that could not be seen."""
        after_s = self.turns[-1].end_s if self.turns else float("-inf")
        for turn in turns or ():
            start_s, end_s = max(turn.start_s, after_s), min(turn.end_s, before_s)
            if end_s > start_s:
                self.turns.append(Turn(start_s, end_s, turn.person))

    @property
    def main(self) -> int | None:
        """The person whom most windows of the whole answer are about."""
        most = next(iter(self._main_windows.most_common(1)), None)
        return most[0] if most is not None and most[1] else None

    def transcript(self) -> Transcript | None:
        """All that was said; `None` where nothing was transcribed. The language is the one that most was said in."""
        if not self._transcripts:
            return None
        segments: tuple[Segment, ...] = tuple(part for one in self._transcripts for part in one.segments)
        longest = max(self._transcripts, key=lambda one: len(one.text or ""))
        return Transcript(
            text=" ".join(one.text for one in self._transcripts if one.text),
            source=longest.source,
            language=longest.language,
            language_probability=longest.language_probability,
            segments=segments,
        )

    def expressions(self) -> tuple[Expression, ...]:
        """The expressions of everybody, in time order."""
        found = [
            move
            for person, record in self._people.items()
            for move in expressions_of(joined_series(record.parts), self.speech_s, person)
        ]
        return tuple(sorted(found, key=lambda move: (move.onset_s, move.unit)))

    def faces(self) -> FaceRecord | None:
        """What was measured of those whom the whole answer is about, of one at a time: the one who is it more often."""
        records = [self._people[person] for person, windows in self._main_windows.most_common() if windows]
        if not records:
            return None
        series = joined_series([part for record in records for part in record.parts])
        order = np.argsort(series.time_s, kind="stable")
        times = series.time_s[order]
        order = order[np.concatenate([[True], np.diff(times) > 0])]
        return FaceRecord(
            ActionUnitSeries(
                series.time_s[order], series.intensity[order], series.confidence[order], series.pose_deg[order],
                series.baseline, series.source, series.measured,
            ),
            np.concatenate([rows for record in records for rows in record.expressions])[order],
            np.concatenate([rows for record in records for rows in record.frames])[order],
            np.concatenate([rows for record in records for rows in record.scores])[order],
        )  # fmt: skip


def joined_series(parts: list[ActionUnitSeries]) -> ActionUnitSeries:
    """Parts of one series put together; the baseline is "own" if it is in any of them."""
    baselines = {part.baseline for part in parts}
    return ActionUnitSeries(
        np.concatenate([part.time_s for part in parts]),
        np.concatenate([part.intensity for part in parts]),
        np.concatenate([part.confidence for part in parts]),
        np.concatenate([part.pose_deg for part in parts]),
        next((name for name in ("given", "own") if name in baselines), "population"),
        parts[0].source,
        parts[0].measured,
    )

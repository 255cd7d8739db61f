"""One number a person for a recording that goes by: tracks are joined to people as they come, in constant memory.

Of each person only what faces are compared by is kept (`identity`). A number is given once, in the order in which
people are first seen, and stays; so two numbers of one person, once given, are never joined.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceTrack
from emotion_llama.perception.identity import (
    LEAST_SAMPLES,
    LOOKS,
    SAME_PERSON,
    Grid,
    Seen,
    joined,
    seen_of,
    unlike,
)

REMEMBERED = 8
"""Surroundings of a person's earlier tracks that a new one is compared with: the last so many."""


@dataclass
class _Gone:
    """Tracks of one person that are over: sums of their looks (150,) and shapes (24,), and their last surroundings."""

    looks: NDArray[np.float64]
    shapes: NDArray[np.float64]
    count: int = 0
    surrounds: deque[NDArray[np.float32] | None] = field(default_factory=lambda: deque(maxlen=REMEMBERED))

    def add(self, seen: Seen) -> None:
        self.looks, self.shapes = self.looks + seen.look, self.shapes + seen.shape
        self.count += 1
        self.surrounds.append(seen.surround)

    def unlike(self, seen: Seen) -> float:
        """Mean over the tracks that are over: looks and shapes enter `identity.unlike` as products, so sums do."""
        look, shape = self.looks / self.count, self.shapes / self.count
        return float(np.mean([unlike(Seen(look, shape, one, frozenset()), seen) for one in self.surrounds]))


@dataclass
class _Track:
    """A track that is remembered: from which frame to which it was seen, whose it is, what it is compared by."""

    first: int
    last: int
    person: int | None = None
    seen: Seen | None = None
    looks: int = 0

    def beside(self, other: _Track) -> bool:
        """Whether both were seen at one time."""
        return self.first <= other.last and other.first <= self.last


class People:
    """Gives numbers to the people of one recording. Without a `grid` faces cannot be compared: each track is a person.

    `count` is how many people there are so far; their numbers are 0 to `count` - 1.
    """

    def __init__(self, grid: Grid | None) -> None:
        self._grid = grid
        self._tracks: dict[int, _Track] = {}
        self._gone: dict[int, _Gone] = {}
        self.count = 0

    def knows(self, track: int) -> bool:
        """Whether a track that is remembered has a person's number."""
        return track in self._tracks

    def take(self, tracks: Sequence[FaceTrack]) -> tuple[FaceTrack, ...]:
        """Join the tracks that are remembered now to one a person, with that person's number, in order of numbers.

        A track that is not among them any more is over.
        """
        self._let_go({track.track for track in tracks})
        for track in tracks:
            self._look(track)
        self._part()
        ordered = sorted(tracks, key=lambda one: (self._tracks[one.track].first, one.track))
        for track in ordered:
            known = self._tracks[track.track]
            if known.person is None:
                known.person = self._nearest(known)
        by_person: dict[int, list[FaceTrack]] = {}
        for track in ordered:
            by_person.setdefault(self._tracks[track.track].person or 0, []).append(track)
        return tuple(replace(joined(by_person[number]), track=number) for number in sorted(by_person))

    def _let_go(self, there: Collection[int]) -> None:
        for number in [number for number in self._tracks if number not in there]:
            over = self._tracks.pop(number)
            if over.seen is not None and over.person is not None:
                empty = _Gone(np.zeros_like(over.seen.look), np.zeros_like(over.seen.shape))
                self._gone.setdefault(over.person, empty).add(over.seen)

    def _look(self, track: FaceTrack) -> None:
        first, last = track.samples[0].frame_index, track.samples[-1].frame_index
        known = self._tracks.setdefault(track.track, _Track(first, last))
        known.last = max(known.last, last)
        count = len(track.samples)
        if self._grid is not None and known.looks < min(count, LOOKS) and count >= LEAST_SAMPLES:
            known.seen, known.looks = seen_of(track, self._grid), min(count, LOOKS)

    def _part(self) -> None:
        """Take the number from a track that turned out to be seen beside an earlier one of the same person."""
        ordered = sorted(self._tracks.values(), key=lambda one: one.first)
        for at, later in enumerate(ordered):
            if any(one.person == later.person and one.beside(later) for one in ordered[:at]):
                later.person = None

    def _nearest(self, new: _Track) -> int:
        """The number of the person most like a track among those who are near enough and not seen beside it."""
        if new.seen is not None:
            beside = {one.person for one in self._tracks.values() if one is not new and one.beside(new)}
            far = {number: self._unlike(new.seen, number) for number in range(self.count) if number not in beside}
            nearest = min(far, key=lambda number: far[number], default=None)
            if nearest is not None and far[nearest] <= SAME_PERSON:
                return nearest
        self.count += 1
        return self.count - 1

    def _unlike(self, seen: Seen, person: int) -> float:
        """Mean over all tracks of a person; infinite where none says enough."""
        live = [one.seen for one in self._tracks.values() if one.person == person and one.seen is not None]
        sizes, counts = [unlike(one, seen) for one in live], [1] * len(live)
        if person in self._gone:
            sizes.append(self._gone[person].unlike(seen))
            counts.append(self._gone[person].count)
        return float(np.average(sizes, weights=counts)) if sizes else float("inf")

"""Where windows begin and end: on cuts, and in pauses where one is near."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHORTEST_SHOT_S = 2.0
"""A shot shorter than this is looked at together with what follows it."""

SHORTEST_S = 0.5
"""A rest at the end that is shorter than this joins the last window: nothing can be measured in it alone."""


@dataclass(frozen=True)
class Span:
    """From when to when, seconds of the recording."""

    start_s: float
    end_s: float

    @property
    def middle_s(self) -> float:
        """Half way."""
        return (self.start_s + self.end_s) / 2


class WindowPlan:
    """Lays windows of at most `window_s` over a recording, a new one about every `step_s`.

    A window ends at the first cut that is at least `SHORTEST_SHOT_S` after its start, and the next begins there. Where
    there is none, its end moves back, by a third of a step at most, to the last pause; so does the start of the next.
    """

    def __init__(self, window_s: float, step_s: float, start_s: float) -> None:
        self.window_s = window_s
        self.step_s = step_s
        self.next_s = start_s
        self._done_s = start_s  # end of the last window

    def take(
        self, known_s: float, last: bool, cuts_s: Sequence[float], speech_s: Sequence[tuple[float, float]]
    ) -> list[Span]:
        """Give the windows that lie in what is known, up to `known_s`; `last`: the recording ends there."""
        found = []
        while self.next_s < known_s:
            start_s = self.next_s
            cut_s = next((cut for cut in cuts_s if cut >= start_s + SHORTEST_SHOT_S), None)
            limit_s = start_s + self.window_s
            if not last and known_s < limit_s and (cut_s is None or cut_s > known_s):
                break
            end_s = min(limit_s, known_s)
            if cut_s is not None and cut_s <= end_s:
                end_s, cut_here = cut_s, True
            else:
                end_s, cut_here = self._end(end_s, known_s, last, speech_s), False
            found.append(Span(start_s, end_s))
            self._done_s = end_s
            at_end = last and end_s >= known_s
            if at_end:
                self.next_s = known_s
            else:
                self.next_s = self._next(start_s, end_s, cut_here, cuts_s, speech_s)
        return found

    def _end(self, end_s: float, known_s: float, last: bool, speech_s: Sequence[tuple[float, float]]) -> float:
        if last and known_s - end_s < SHORTEST_S:
            return known_s
        return nearest_pause_s(end_s, end_s - self.step_s / 3, end_s, speech_s)

    def _next(
        self,
        start_s: float,
        end_s: float,
        cut_here: bool,
        cuts_s: Sequence[float],
        speech_s: Sequence[tuple[float, float]],
    ) -> float:
        wanted_s = start_s + self.step_s
        # what is left of a shot must be worth a window of its own
        if cut_here and end_s - wanted_s < SHORTEST_SHOT_S:
            return end_s
        reach_s = self.step_s / 3
        cut_s = next((cut for cut in cuts_s if start_s < cut <= end_s and abs(cut - wanted_s) <= reach_s), None)
        if cut_s is not None:
            return cut_s
        return min(nearest_pause_s(wanted_s, wanted_s - reach_s, wanted_s + reach_s, speech_s), end_s)


def nearest_pause_s(wanted_s: float, first_s: float, last_s: float, speech_s: Sequence[tuple[float, float]]) -> float:
    """The moment between `first_s` and `last_s` nearest to `wanted_s` at which nobody speaks; `wanted_s` if all do."""
    if not any(start_s < wanted_s < end_s for start_s, end_s in speech_s):
        return wanted_s
    edges = [edge for span in speech_s for edge in span if first_s <= edge <= last_s]
    return min(edges, key=lambda edge: abs(edge - wanted_s), default=wanted_s)

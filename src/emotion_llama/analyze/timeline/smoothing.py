"""Smoothed probabilities of windows: a weighted mean of logarithms over neighbours of the same person.

Neighbouring windows share half of what they look at, and an emotion lasts longer than a window, so that a lone outlier
says little. Each window takes the mean of the log-probabilities of itself and its neighbours, with weights that fall
exponentially with the distance of their middles (`SMOOTH_S`). It is a mean and not a product of evidence: what every
window says with 60 % stays at 60 %, and calibration is not lost, as it would be with a hidden Markov model whose
windows are taken for independent.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from emotion_llama.analyze.timeline.plan import Span
from emotion_llama.timeline import Window

SMOOTH_S = 3.0
"""Distance at which a neighbour's weight has fallen to 1/e."""

REACH = 3
"""Windows on each side that are looked at: those further away weigh almost nothing."""

FLOOR = 1e-6


@dataclass(frozen=True)
class Scored:
    """One window as it was scored on its own. `least`: how sure it must be to be given an emotion.

    `speech_s`: seconds of speech that belong to it. `shot`: the how manieth shot it begins in. `main`: whether it is
    about the person whom the answer is about, and not one of those beside.
    """

    window: Window
    least: float
    speech_s: float
    shot: int = 0
    main: bool = True

    @property
    def span(self) -> Span:
        """When it is."""
        return Span(self.window.start_s, self.window.end_s)


class Smoother:
    """Takes windows in time order and gives them back smoothed, `REACH` windows later."""

    def __init__(self) -> None:
        self._held: list[Scored] = []
        self._given = 0  # of those held

    def add(self, scored: Scored) -> list[Window]:
        """Take one window; gives those that are final now."""
        self._held.append(scored)
        return self._final(len(self._held) - REACH)

    def finish(self) -> list[Window]:
        """Give the rest."""
        return self._final(len(self._held))

    def _final(self, end: int) -> list[Window]:
        found = [smoothed(self._held, place) for place in range(self._given, end)]
        self._given = max(self._given, end)
        gone = max(0, self._given - REACH)
        self._held, self._given = self._held[gone:], self._given - gone
        return found


class Lanes:
    """A smoother a person, where windows are about several people at one time; takes them in time order."""

    def __init__(self) -> None:
        self._lanes: dict[int | None, tuple[Smoother, float]] = {}

    def add(self, scored: Scored) -> list[Window]:
        """Take one window; gives those that are final now, of people who are gone all that is left."""
        person = scored.window.person
        smoother = self._lanes[person][0] if person in self._lanes else Smoother()
        found = smoother.add(scored)
        self._lanes[person] = (smoother, scored.window.end_s)
        for other in [who for who, (_, end_s) in self._lanes.items() if end_s < scored.window.start_s]:
            found += self._lanes.pop(other)[0].finish()
        return found

    def finish(self) -> list[Window]:
        """Give the rest."""
        return [window for smoother, _ in self._lanes.values() for window in smoother.finish()]


def smoothed(windows: Sequence[Scored], place: int) -> Window:
    """One of the windows with smoothed probabilities, and the emotion and confidence that follow from them."""
    here = windows[place]
    if not here.window.probabilities:
        return here.window
    labels = list(here.window.probabilities)
    total, weights = np.zeros(len(labels)), 0.0
    for other in _neighbours(windows, place):
        weight = float(np.exp(-abs(other.span.middle_s - here.span.middle_s) / SMOOTH_S))
        chances = np.array([other.window.probabilities[label] for label in labels])
        total += weight * np.log(np.maximum(chances, FLOOR))
        weights += weight
    chances = np.exp(total / weights)
    chances /= chances.sum()
    best = int(chances.argmax())
    sure = float(chances[best])
    return here.window.model_copy(
        update={
            "probabilities": dict(zip(labels, map(float, chances), strict=True)),
            "emotion": labels[best] if sure >= here.least else None,
            "confidence": sure,
        }
    )


def _neighbours(windows: Sequence[Scored], place: int) -> list[Scored]:
    """The window and up to `REACH` on each side, as far as they are about one person in one shot without a break."""
    here = windows[place]
    found = [here]
    for step in (-1, 1):
        at = place
        for _ in range(REACH):
            near = at + step
            if not 0 <= near < len(windows) or windows[near].shot != here.shot:
                break
            if not joined(windows[at].window, windows[near].window):
                break
            found.append(windows[near])
            at = near
    return found


def joined(one: Window, other: Window) -> bool:
    """Whether two neighbouring windows are about one person, both could be scored, and nothing lies between them."""
    first, second = (one, other) if one.start_s <= other.start_s else (other, one)
    scored = bool(one.probabilities) and bool(other.probabilities)
    return scored and one.person == other.person and second.start_s <= first.end_s

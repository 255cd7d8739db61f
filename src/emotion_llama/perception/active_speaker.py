"""Who of the people in the picture speaks: whose mouth moves as the sound does.

For each moment of speech and each person three things are measured around it: whether the mouth moves faster than this
person's usually does, whether it moves faster than the mesh trembles, and whether it opens and closes as the sound
grows and fades, at the lead of picture before sound that suits the whole recording best. Together they say how much
rather this person speaks than nobody in view (log-odds); the likeliest course over all moments is taken (Viterbi), in
which the speaker changes seldom, and easily at a pause.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceTrack, Turn, VoiceTrace
from emotion_llama.perception.mouth import LEADS_S, STEP_S, Array, Mask, agreements, mean_around, mouth_of, seen

MOVEMENT_S = 1.2
MARGIN_S = 0.2
"""So much around a span of speech is looked at with it."""

AMPLITUDE_S = 0.1
"""Sound is averaged over so long: pitch is not loudness."""

NOISE_TIMES = 6.0
"""A mouth moves in speech about so many times as fast as the mesh trembles in parts that speech does not move."""

LEAST_RATE = 0.1
"""Slower than this (eye distances a second, RMS) is rest, however still the picture."""

CHANCE_AGREEMENT = 0.25
MOST_OF_MOVEMENT = 1.0
"""A mouth that moves enough may speak; one that moves still more does so no more likely."""

OWN_WEIGHT, RATE_WEIGHT, AGREEMENT_WEIGHT = 2.0, 4.0, 12.0
"""Log-odds a second of speech."""

MOST_LOG_ODDS = 10.0
CHANGE_COST, CHANGE_COST_AT_PAUSE = 2.0, 0.3
NOBODY_COST = 1.0
"""Besides, where somebody in view falls silent and a voice of nobody in view goes on, or the other way round."""

USUAL_LEAD_S, LEAD_COST = 0.08, 2.0
"""Sound and picture are seldom far from in step: another lead costs by the square of the steps it is away."""

QUIET_DB = -80.0

_NEVER = -1e6


def who_speaks(tracks: Sequence[FaceTrack], trace: VoiceTrace) -> tuple[Turn, ...]:
    """Who speaks in each stretch of speech, in time order; neighbouring stretches of one person in a span are one.

    Each speech span is covered by turns without gaps. A person can speak only where they are seen.
    """
    grid = _Grid.of(trace)
    if not grid.speech.any():
        return ()
    odds = np.stack([np.zeros((len(LEADS_S), len(grid.time_s))), *(_log_odds(track, grid) for track in tracks)], axis=2)
    scores = odds[_best_lead(odds[:, grid.speech])]
    course = _likeliest(scores[grid.speech], grid.time_s[grid.speech])
    speaker: list[int | None] = [None, *(track.track for track in tracks)]
    return _turns(course, grid.time_s[grid.speech], trace.speech_s, speaker)


def step_s(tracks: Sequence[FaceTrack]) -> float:
    """Usual time from one sample of a face to its next, seconds; 0 where nobody is seen twice."""
    steps = [np.diff([sample.time_s for sample in track.samples]) for track in tracks]
    found = np.concatenate(steps) if steps else np.zeros(0)
    return float(np.median(found)) if len(found) else 0.0


@dataclass(frozen=True)
class _Grid:
    """Even moments of the recording, how loud it is there, which are speech, and the spans of speech as places."""

    time_s: Array
    level_db: Array
    speech: Mask
    spans: tuple[slice, ...]

    @classmethod
    def of(cls, trace: VoiceTrace) -> _Grid:
        if not trace.speech_s or not len(trace.time_s):
            return cls(np.zeros(0), np.zeros(0), np.zeros(0, dtype=bool), ())
        time_s = np.arange(float(trace.time_s[0]), float(trace.time_s[-1]) + STEP_S, STEP_S)
        level_db = np.maximum(trace.loudness_db.astype(np.float64), QUIET_DB)
        if len(level_db) > 1:
            hops = max(1, round(AMPLITUDE_S / max(1e-3, float(np.median(np.diff(trace.time_s))))))
            padded = np.pad(level_db, hops, mode="edge")
            level_db = np.convolve(padded, np.ones(hops) / hops, mode="same")[hops:-hops]
        speech = np.zeros(len(time_s), dtype=bool)
        spans = []
        for start, end in trace.speech_s:
            first, last = np.searchsorted(time_s, (start, end))
            last = min(max(last, first + 1), len(time_s))  # a span shorter than a step still counts
            speech[first:last] = True
            spans.append(slice(int(first), int(last)))
        return cls(time_s, np.interp(time_s, trace.time_s, level_db), speech, tuple(spans))

    def around(self, span: slice) -> slice:
        """The span with its margins."""
        margin = round(MARGIN_S / STEP_S)
        return slice(max(0, span.start - margin), span.stop + margin)


def _log_odds(track: FaceTrack, grid: _Grid) -> Array:
    """(L, T) how much rather this person speaks than nobody in view, in a step, for each lead; never where not seen."""
    odds = np.full((len(LEADS_S), len(grid.time_s)), _NEVER)
    mouth = mouth_of(track)
    here = seen(mouth.time_s, grid.time_s)
    if len(mouth.time_s) < 3 or not (here & grid.speech).any():
        return odds
    rate = np.interp(grid.time_s, mouth.time_s, mouth.rate)
    moves, agrees = np.zeros(len(grid.time_s)), np.zeros(odds.shape)
    for span in grid.spans:
        around = grid.around(span)
        inside = slice(span.start - around.start, span.stop - around.start)
        amplitude = 10 ** ((grid.level_db[around] - grid.level_db[around].max()) / 20)
        moves[span] = np.sqrt(mean_around(np.square(rate[around]), here[around], MOVEMENT_S))[inside]
        agrees[:, span] = agreements(mouth, grid.time_s[around], amplitude, here[around])[:, inside]
    usual = max(LEAST_RATE, float(np.median(moves[here & grid.speech])))
    least = max(LEAST_RATE, NOISE_TIMES * mouth.tremble)
    moves = np.log(np.maximum(moves, 1e-3))
    speech_like = OWN_WEIGHT * (moves - np.log(usual)) + RATE_WEIGHT * (moves - np.log(least))
    total = np.minimum(speech_like, MOST_OF_MOVEMENT) + AGREEMENT_WEIGHT * (agrees - CHANCE_AGREEMENT)
    return np.where(here, STEP_S * np.clip(total, -MOST_LOG_ODDS, MOST_LOG_ODDS), _NEVER)


def _best_lead(odds: Array) -> int:
    """Which of `LEADS_S` lets somebody speak most of the time: (L, T, people and nobody) log-odds to a place."""
    away = (np.array(LEADS_S) - USUAL_LEAD_S) / STEP_S
    return int((odds.max(axis=2).sum(axis=1) - LEAD_COST * np.square(away)).argmax())


def _likeliest(scores: Array, time_s: Array) -> NDArray[np.int64]:
    """(T,) the likeliest column at each moment of speech (Viterbi). Column 0 is nobody in view.

    A change costs, less across a pause, and more between nobody and somebody who is in view before and after it.
    """
    moments, columns = scores.shape
    best = scores[0].copy()
    came = np.zeros((moments, columns), dtype=np.int64)
    came[0] = np.arange(columns)
    for at in range(1, moments):
        pause = time_s[at] - time_s[at - 1] > 1.5 * STEP_S
        cost = (CHANGE_COST_AT_PAUSE if pause else CHANGE_COST) * (1 - np.eye(columns))  # from, to
        stays = (scores[at - 1, 1:] > _NEVER) & (scores[at, 1:] > _NEVER)
        cost[1:, 0] += NOBODY_COST * stays
        cost[0, 1:] += NOBODY_COST * stays
        reached = best[:, None] - cost
        came[at] = reached.argmax(axis=0)
        best = reached.max(axis=0) + scores[at]
    course = np.empty(moments, dtype=np.int64)
    course[-1] = int(best.argmax())
    for at in range(moments - 1, 0, -1):
        course[at - 1] = came[at, course[at]]
    return course


def _turns(
    course: NDArray[np.int64], time_s: Array, spans: Sequence[tuple[float, float]], speaker: Sequence[int | None]
) -> tuple[Turn, ...]:
    turns: list[Turn] = []
    for start, end in spans:
        inside = np.flatnonzero((time_s >= start - STEP_S) & (time_s <= end + STEP_S))
        if not len(inside):
            continue
        begin = start
        for at in inside[1:]:
            if course[at] != course[at - 1]:
                middle = float(min(max((time_s[at] + time_s[at - 1]) / 2, begin), end))
                turns.append(Turn(begin, middle, speaker[course[at - 1]]))
                begin = middle
        turns.append(Turn(begin, end, speaker[course[inside[-1]]]))
    return tuple(turn for turn in turns if turn.end_s > turn.start_s)

"""How a mouth moves, and how well its movement agrees with a sound."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.measurements import FaceTrack
from emotion_llama.perception.geometry import FEATURES, measure

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]

STEP_S = 0.04
LONGEST_STEP_S = 0.16
"""Frames further apart than this do not show speech: syllables are about 0.2 s long."""

LEADS_S = tuple(round(STEP_S * step, 2) for step in range(-2, 7))
"""By how much a mouth may open before its sound comes, from -0.08 s to 0.24 s. It is one for a whole recording."""

AGREEMENT_S = 2.4
RATE_SHARE = 0.7
"""Of the agreement, the share of that between the changes; the rest is between opening and sound themselves."""

_TREMBLE = ("brow_inner_y", "brow_mid_y", "brow_outer_y", "pouch_y", "nose_side_y")


@dataclass(frozen=True)
class Mouth:
    """How a mouth moves over the samples of a track, freed of the head pose; sizes in eye distances.

    `time_s` (F,), `opening` (F,), `rate` (F,) how fast it opens or closes, a second; `tremble`: the same rate in parts
    of the face that speech hardly moves, mostly the noise of the mesh.
    """

    time_s: Array
    opening: Array
    rate: Array
    tremble: float


def mouth_of(track: FaceTrack) -> Mouth:
    """The movement of a track's mouth."""
    distances, _ = measure(np.stack([sample.mesh_px for sample in track.samples]))
    time_s = np.array([sample.time_s for sample in track.samples])
    column = {name: distances[:, FEATURES.index(name)] for name in FEATURES}
    opening = column["lip_gap"] - 0.5 * column["lower_lip_y"]
    others = [_rate(time_s, _smooth(column[name])) for name in _TREMBLE]
    return Mouth(time_s, opening, _rate(time_s, _smooth(opening)), float(np.median(np.mean(others, axis=0))))


def seen(sample_s: Array, time_s: Array) -> Mask:
    """Moments that lie near a sample."""
    place = np.clip(np.searchsorted(sample_s, time_s), 1, max(1, len(sample_s) - 1))
    nearest = np.minimum(
        np.abs(sample_s[place - 1] - time_s), np.abs(sample_s[np.minimum(place, len(sample_s) - 1)] - time_s)
    )
    return np.asarray(nearest <= LONGEST_STEP_S)


def agreements(mouth: Mouth, time_s: Array, amplitude: Array, within: Mask) -> Array:
    """(L, T) -1 to 1: how a mouth and a sound go together over `AGREEMENT_S` around each moment, for each of `LEADS_S`.

    `amplitude` is given at `time_s`, every `STEP_S`. It is made of two correlations: of opening with amplitude, and of
    their changes; 0 where either does not change. The sound is taken where the mouth was seen, so that it has no more
    detail. Neighbouring leads are averaged. Moments outside `within` do not count.
    """
    near = slice(*np.searchsorted(mouth.time_s, (time_s[0] - 1.0, time_s[-1] + 1.0)))
    sample_s = mouth.time_s[near]
    if not len(sample_s):
        return np.zeros((len(LEADS_S), len(time_s)))
    opening = np.interp(time_s, sample_s, mouth.opening[near])
    parts = []
    for lead_s in (LEADS_S[0] - STEP_S, *LEADS_S, LEADS_S[-1] + STEP_S):
        sound = np.interp(time_s, sample_s, np.interp(sample_s + lead_s, time_s, amplitude))
        level = _correlation(opening, sound, within)
        change = _correlation(_change(opening), _change(sound), within)
        parts.append(RATE_SHARE * change + (1 - RATE_SHARE) * level)
    return np.stack([np.mean(parts[at : at + 3], axis=0) for at in range(len(LEADS_S))])


def mean_around(values: Array, within: Mask, width_s: float) -> Array:
    """Mean over half of `width_s` before and after each moment of what is `within`; 0 where nothing is."""
    reach = max(1, round(width_s / STEP_S / 2))
    last = len(values)
    places = np.arange(last)
    begin, end = np.maximum(places - reach, 0), np.minimum(places + reach + 1, last)
    total = np.concatenate([[0.0], np.cumsum(np.where(within, values, 0.0))])
    mass = np.concatenate([[0.0], np.cumsum(within)])
    return np.asarray((total[end] - total[begin]) / np.maximum(mass[end] - mass[begin], 1.0))


def _change(values: Array) -> Array:
    return np.asarray(np.diff(values, prepend=values[:1]))


def _correlation(one: Array, other: Array, within: Mask) -> Array:
    mean_one, mean_other = (mean_around(x, within, AGREEMENT_S) for x in (one, other))
    both = mean_around(one * other, within, AGREEMENT_S) - mean_one * mean_other
    spread = [
        np.maximum(mean_around(x * x, within, AGREEMENT_S) - m * m, 0)
        for x, m in ((one, mean_one), (other, mean_other))
    ]
    scale = np.sqrt(spread[0] * spread[1])
    return np.asarray(np.where(scale > 1e-6, both / np.maximum(scale, 1e-6), 0.0))


def _smooth(values: Array) -> Array:
    """Neighbours blended (1, 2, 1): a frame's noise is not movement."""
    padded = np.pad(values, 1, mode="edge")
    return np.asarray((padded[:-2] + 2 * padded[1:-1] + padded[2:]) / 4)


def _rate(time_s: Array, values: Array) -> Array:
    """(F,) how fast a distance changes up to each sample, a second; 0 over gaps and at the first."""
    step_s = np.diff(time_s, prepend=time_s[:1])
    change = np.abs(np.diff(values, prepend=values[:1])) / np.maximum(step_s, 1e-3)
    return np.asarray(np.where(step_s > 2 * LONGEST_STEP_S, 0.0, change))

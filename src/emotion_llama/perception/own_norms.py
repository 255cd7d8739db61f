"""What is usual for one person: the resting face and the median voice over several recordings, and measures beside it.

Norms of people in general call a deep voice sad in every recording, and a low brow angry. Beside the person's own rest
and medians only what departs from the person's ordinary self is left.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from emotion_llama.clip import VoiceMeasures
from emotion_llama.measurements import OWN_REST, ActionUnitSeries, FaceSample, OwnMedian, PersonNorms
from emotion_llama.perception.action_distances import measure, neutral_actions
from emotion_llama.perception.action_units import CALM_SHARE, IDENTITY_LEFT, confidences_of, intensities
from emotion_llama.perception.describe import word_table
from emotion_llama.perception.geometry import Array

LEAST = 4
"""From fewer recordings than this no median is taken: one mood would be called the person's own."""

SHRINKAGE = 4.0
"""The rest of n recordings counts n / (n + 4), the population's the remainder; as for encoder outputs."""


def resting(samples: Sequence[FaceSample]) -> Array:
    """Distances (D,) of one recording's calmest frames: median of the quarter that is nearest to people's neutral."""
    values, _ = measure(np.stack([sample.mesh_px for sample in samples]))
    face = neutral_actions()
    effort = np.abs((values - face.mean) / face.spread).mean(axis=1)
    calm = np.argsort(effort, kind="stable")[: max(round(len(values) * CALM_SHARE), 1)]
    return np.asarray(np.median(values[calm], axis=0))


def person_norms(voices: Sequence[VoiceMeasures], rests: Sequence[Array]) -> PersonNorms:
    """Medians over one person's recordings: of their voice measures, and of their resting faces (`resting`).

    A measure that fewer than `LEAST` recordings have is left out. The resting face is drawn towards the population's
    where there are few.
    """
    found = {}
    for name in word_table().voice:
        values = [float(value) for voice in voices if (value := getattr(voice, name)) is not None]
        if len(values) >= LEAST:
            found[name] = OwnMedian(median=float(np.median(values)), n=len(values))
    if len(rests) < LEAST:
        return PersonNorms(found)
    mean, share = neutral_actions().mean, len(rests) / (len(rests) + SHRINKAGE)
    rest = mean + share * (np.median(np.stack(rests), axis=0) - mean)
    return PersonNorms(found, rest, len(rests))


def above_rest(samples: tuple[FaceSample, ...], rest: Array) -> ActionUnitSeries:
    """Action units of one track's samples (at least one) above a person's resting distances (D,)."""
    values, pose = measure(np.stack([sample.mesh_px for sample in samples]))
    times = np.array([sample.time_s for sample in samples], dtype=np.float32)
    return ActionUnitSeries(
        times, intensities(values - rest, IDENTITY_LEFT), confidences_of(samples, pose), pose, OWN_REST
    )

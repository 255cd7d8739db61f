"""action_units: which units of the face are active anywhere in the clip (FACS; intensity 0–5)."""

from __future__ import annotations

import numpy as np
from pydantic import Field

from emotion_llama.build.entry import Entry
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.build.steps.faces import MODELS
from emotion_llama.measurements import ACTION_UNITS
from emotion_llama.perception.describe import ACTION_UNIT_SOURCE


class ActionUnitsSettings(StepSettings):
    """`threshold`: intensity (0–5) from which a unit is active; less sure than `min_confidence` (0–1): not counted."""

    threshold: float = Field(default=0.8, ge=0.0, le=5.0)
    min_confidence: float = Field(default=0.3, ge=0.0, le=1.0)


def measure_units(entry: Entry, settings: ActionUnitsSettings, look: Look) -> Found | Reject:
    """Name the units that are active in at least one frame, in the order of their numbers."""
    series = look.faces.action_units if look.faces is not None else None
    if series is None:
        return Found(words="no face to measure", units_seen=())
    active = (series.intensity >= settings.threshold) & (series.confidence >= settings.min_confidence)
    units = tuple(f"AU{ACTION_UNITS[n]:02d}" for n in np.flatnonzero(active.any(axis=0)))
    neutral = "the person's own neutral face" if series.baseline == "own" else "the neutral face of many people"
    found = ", ".join(units) or "none"
    return Found(words=f"active at {settings.threshold:g} or more above {neutral}: {found}", units_seen=units)


UNITS = Step(
    "action_units", "1", ActionUnitsSettings, measure_units, reads=("faces",),
    models=lambda settings: (*MODELS, ACTION_UNIT_SOURCE),
)  # fmt: skip

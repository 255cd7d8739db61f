"""peak_frame: the frame in which the face says most, and the action units in it."""

from __future__ import annotations

from typing import Literal

from emotion_llama.build.entry import Entry, Peak
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.build.steps.faces import MODELS
from emotion_llama.measurements import ACTION_UNITS, FaceMeasures
from emotion_llama.perception.describe import ACTION_UNIT_SOURCE
from emotion_llama.perception.peak_frame import plain_peak


class PeakFrameSettings(StepSettings):
    """`rule`: "robust" (blinks, speech and slips of the mesh count less, smoothed) or "sum" (the paper's Eq. 1)."""

    rule: Literal["robust", "sum"] = "robust"


def choose_frame(entry: Entry, settings: PeakFrameSettings, look: Look) -> Found | Reject:
    """Choose the peak frame. Without a face: the middle of the recording, where it has pictures at all."""
    measures = look.faces
    if measures is None:
        return Found(words="no picture to choose from")
    if measures.main is None or measures.peak is None or measures.action_units is None:
        middle_s = (entry.media.duration_s if entry.media else 0.0) / 2 + (entry.clip.start_s or 0.0)
        return Found(words="no face: the middle frame", peak=Peak(index=0, time_s=round(middle_s, 3), rule="middle"))
    place = measures.peak if settings.rule == "robust" else plain_peak(measures.action_units)
    sample = measures.tracks[measures.main].samples[place]
    units = {
        f"AU{unit:02d}": round(float(value), 2)
        for unit, value in zip(ACTION_UNITS, measures.action_units.intensity[place], strict=True)
    }
    peak = Peak(index=sample.frame_index, time_s=round(sample.time_s, 3), rule=settings.rule)
    strongest = [one for one in sorted(units.items(), key=lambda one: -one[1])[:3] if one[1] > 0]
    shown = ", ".join(f"{name} {value:g}" for name, value in strongest) or "no active unit"
    return Found(words=f"at {sample.time_s:.2f} s ({settings.rule}): {shown}", peak=peak, action_units=units)


def place_of(measures: FaceMeasures, peak: Peak | None) -> int | None:
    """Give the place of the peak frame among the main face's samples; `None` without a face."""
    if measures.main is None or peak is None:
        return None
    indices = [sample.frame_index for sample in measures.tracks[measures.main].samples]
    return indices.index(peak.index) if peak.index in indices else measures.peak


PEAK = Step(
    "peak_frame", "1", PeakFrameSettings, choose_frame, reads=("probe", "faces"),
    models=lambda settings: (*MODELS, ACTION_UNIT_SOURCE),
)  # fmt: skip

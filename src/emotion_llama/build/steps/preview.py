"""preview: the small file that a person looks at while reviewing (`build/preview.py`)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from emotion_llama.build.entry import Entry
from emotion_llama.build.look import Look
from emotion_llama.build.preview import MOST_BARS, MOST_TIMES, Preview
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.build.steps.peak_frame import place_of
from emotion_llama.measurements import ACTION_UNITS, FaceMeasures

SHOWN_FROM = 0.3
"""A unit that never reaches this intensity (0–5) is not drawn."""


class PreviewSettings(StepSettings):
    """No settings."""


def make_preview(entry: Entry, settings: PreviewSettings, look: Look) -> Found | Reject:
    """Say that a preview was made; `preview_bytes` makes it."""
    return Found(words="a preview for reviewers")


def preview_bytes(entry: Entry, settings: PreviewSettings, look: Look) -> bytes:
    """Give the preview file's content."""
    seen = _seen(entry, look.faces, look) if look.faces is not None else {}
    heard = _heard(look)
    duration_s = entry.media.duration_s if entry.media is not None else None
    preview = Preview.model_validate({"duration_s": duration_s, **seen, **heard})
    return preview.model_dump_json(exclude_defaults=True).encode("utf-8")


def _seen(entry: Entry, faces: FaceMeasures, look: Look) -> dict[str, object]:
    place = place_of(faces, entry.peak)
    if place is None or faces.main is None or faces.action_units is None:
        return {}
    series = faces.action_units
    chosen = _evenly(len(series.time_s), MOST_TIMES)
    units = {
        f"AU{unit:02d}": tuple(_round(series.intensity[chosen, n], 2))
        for n, unit in enumerate(ACTION_UNITS)
        if series.intensity[:, n].max() >= SHOWN_FROM
    }
    sample = faces.tracks[faces.main].samples[place]
    height, width = look.frame(sample.time_s).rgb.shape[:2]
    return {
        "times_s": tuple(_round(series.time_s[chosen], 3)),
        "action_units": units,
        "frame_px": (width, height),
        "mesh_px": tuple((round(float(x), 1), round(float(y), 1)) for x, y in sample.mesh_px[:, :2]),
    }


def _heard(look: Look) -> dict[str, object]:
    if look.waveform is None or not len(look.waveform.samples):
        return {}
    samples = np.abs(look.waveform.samples)
    edges = np.linspace(0, len(samples), min(MOST_BARS, len(samples)) + 1).astype(int)
    found: dict[str, object] = {"waveform": tuple(_round(np.minimum(np.maximum.reduceat(samples, edges[:-1]), 1.0), 3))}
    trace = look.sound.trace if look.sound is not None else None
    if trace is not None and len(trace.time_s):
        chosen = _evenly(len(trace.time_s), MOST_TIMES)
        found["voice_times_s"] = tuple(_round(trace.time_s[chosen], 3))
        found["f0_hz"] = tuple(_known(trace.f0_hz[chosen], 1))
        found["loudness_db"] = tuple(_known(trace.loudness_db[chosen], 1))
    return found


def _evenly(count: int, most: int) -> NDArray[np.int_]:
    return np.unique(np.linspace(0, count - 1, min(count, most)).round().astype(int))


def _round(values: NDArray[np.float32], digits: int) -> list[float]:
    return [round(float(value), digits) for value in values]


def _known(values: NDArray[np.float32], digits: int) -> list[float | None]:
    return [round(float(value), digits) if np.isfinite(value) else None for value in values]


PREVIEW = Step(
    "preview", "1", PreviewSettings, make_preview, reads=("probe", "faces", "peak_frame"), takes_print=preview_bytes
)

"""One clip as the page shows it: plain JSON, every text as text."""

from __future__ import annotations

from typing import Any

import numpy as np

from emotion_llama.analyze.face_figure import contour_paths
from emotion_llama.analyze.report import UNIT_NAMES
from emotion_llama.build.entry import Entry, Written
from emotion_llama.build.preview import Preview, read_preview
from emotion_llama.build.review.clips import ReviewClip, ReviewClips
from emotion_llama.build.review.records import CRITERIA, TEXTS, content_of
from emotion_llama.errors import ManifestError

_MARGIN = 0.14
"""Room around the mesh, as a share of its larger side."""


def clip_view(clips: ReviewClips, clip: ReviewClip) -> dict[str, Any]:
    """Give what the page shows of a clip. Raises `UsageError` if the data set has changed meanwhile."""
    entry = clips.entry(clip)
    recording = clips.recording(entry)
    preview, problem = _preview(clips, clip)
    return {
        "key": clip.key,
        "clip": clip.name,
        "label": clip.label,
        "doubts": clip.doubts,
        "speaker": entry.clip.speaker,
        "content": content_of(entry).model_dump(),
        "texts": _texts(entry),
        "facts": _facts(entry),
        "media": {"type": recording.media_type, "problem": recording.problem},
        "span_s": [entry.clip.start_s or 0.0, _end_s(entry)],
        "peak_s": entry.peak.time_s if entry.peak else None,
        "action_units": {name: round(value, 2) for name, value in entry.action_units.items()},
        "unit_names": {f"AU{number}": words for number, words in UNIT_NAMES.items()},
        "preview": None if preview is None else _curves(preview),
        "mesh": None if preview is None else mesh_view(preview),
        "preview_problem": problem,
        "criteria": list(CRITERIA),
    }


def mesh_view(preview: Preview) -> dict[str, Any] | None:
    """Give lines and points of the mesh in px of the frame, and the part of the frame to show; `None` without one."""
    mesh = np.array(preview.mesh_px, np.float32).reshape(-1, 2)
    if len(mesh) == 0 or not np.isfinite(mesh).all():
        return None
    low, high = mesh.min(axis=0), mesh.max(axis=0)
    side = float((high - low).max()) * (1 + 2 * _MARGIN)
    corner = (low + high) / 2 - side / 2
    return {
        "view_px": [round(float(value), 1) for value in (*corner, side, side)],
        "frame_px": preview.frame_px,
        "lines": contour_paths(mesh) if len(mesh) >= 468 else (),
        "points": np.round(mesh, 1).tolist(),
    }


def _preview(clips: ReviewClips, clip: ReviewClip) -> tuple[Preview | None, str | None]:
    """A damaged preview is said on the page; the clip can be judged without it."""
    try:
        return read_preview(clips.dataset, clip.name), None
    except ManifestError as error:
        return None, str(error).split(" (")[0]


def _end_s(entry: Entry) -> float | None:
    if entry.clip.end_s is not None:
        return entry.clip.end_s
    return None if entry.media is None else (entry.clip.start_s or 0.0) + entry.media.duration_s


def _texts(entry: Entry) -> list[dict[str, str | None]]:
    """The written texts in the order they are read; a reasoning that repeats the fine text is not shown twice."""
    fine = entry.fine_text.text if entry.fine_text else None
    rows = [
        _text("fine_text", TEXTS["fine_text"], entry.fine_text),
        _text("reasoning", TEXTS["reasoning"], None if entry.clip.reasoning == fine else entry.clip.reasoning),
        _text("coarse_text", TEXTS["coarse_text"], entry.coarse_text),
        _text(None, "Scene", entry.scene),
        _text(None, "Voice", entry.voice),
    ]
    return [row for row in rows if row["text"] is not None]


def _text(field: str | None, name: str, text: Written | str | None) -> dict[str, str | None]:
    if isinstance(text, Written):
        return {"field": field, "name": name, "text": text.text, "writer": text.writer}
    return {"field": field, "name": name, "text": text, "writer": None}


def _facts(entry: Entry) -> list[tuple[str, str]]:
    """What the builder found, as (name, words)."""
    facts = []
    if entry.coarse and entry.coarse.fired:
        scores = entry.coarse.scores
        facts.append(("Rules that fire", ", ".join(f"{name} {scores.get(name, 0):.1f}" for name in entry.coarse.fired)))
    if entry.coarse and entry.coarse.pseudo_label:
        facts.append((f"Label of {entry.coarse.pseudo_source or 'elsewhere'}", entry.coarse.pseudo_label))
    if entry.check:
        found = entry.check
        words = f"{found.supported} supported, {found.contradicted} contradicted, {found.unverifiable} not checkable"
        facts.append(("Clues in the text", words))
        facts += [("", note) for note in found.notes]
    if entry.peak:
        facts.append(("Peak frame", _peak(entry.peak.index, entry.peak.time_s, entry.peak.rule)))
    return facts


def _peak(index: int, time_s: float | None, rule: str) -> str:
    return f"{index}" + ("" if time_s is None else f", at {time_s:.2f} s") + f" ({rule})"


def _curves(preview: Preview) -> dict[str, Any]:
    fields = {"duration_s", "times_s", "action_units", "waveform"}
    return preview.model_dump(mode="json", include=fields)

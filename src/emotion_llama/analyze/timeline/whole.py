"""Windows and their timeline → the analysis of the whole recording."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from emotion_llama.analyze.baseline import Beside
from emotion_llama.analyze.calibration import Calibration
from emotion_llama.analyze.render.blur import hidden_crop
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.analyze.results import Result
from emotion_llama.analyze.timeline.focus import Focus, focus_window, numbers_of, renumbered
from emotion_llama.analyze.timeline.notes import notes_of, who_speaks_notes
from emotion_llama.analyze.timeline.people import mean_of, people_over_time
from emotion_llama.analyze.timeline.record import Recording
from emotion_llama.analyze.timeline.smoothing import Scored
from emotion_llama.analyze.timeline.stretches import stretches_of
from emotion_llama.analyze.timeline.watch import Watcher, with_words
from emotion_llama.clip import MODALITIES, Analysis, Clip, InputState, Modality, PeakFrame, Valence
from emotion_llama.labels import VALENCE_SOURCE, valence
from emotion_llama.measurements import FaceBoxes, VoiceTrace
from emotion_llama.media import DecodeNotes
from emotion_llama.media.types import MediaInfo
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import PersonEmotion, Timeline, Window


@dataclass(frozen=True)
class Seen:
    """What one pass over a recording has left; `scored`: the windows as they were on their own.

    `beside`: what they were compared with.
    """

    clip: Clip
    media: MediaInfo
    notes: tuple[DecodeNotes, ...]
    timeline: Timeline
    scored: tuple[Scored, ...]
    watcher: Watcher
    beside: Beside

    @property
    def record(self) -> Recording:
        """Faces, speech and words of the whole."""
        return self.watcher.record

    @property
    def main(self) -> tuple[Scored, ...]:
        """The windows that the answer of the whole is made of: those of the main people."""
        return tuple(one for one in self.scored if one.main)

    @property
    def end_s(self) -> float:
        """How far it could be decoded, seconds of the recording."""
        return self.watcher.known_s

    @property
    def start_s(self) -> float:
        """Where it was entered, seconds of the recording."""
        return self.clip.start_s or 0.0


class Examiner(Protocol):
    """What looks closely at one span of a recording."""

    @property
    def calibration(self) -> Calibration:
        """How sure an answer has to be."""

    def examine(self, clip: Clip, settings: AnalyzeSettings, *, focus: Focus) -> Result:
        """Analyse one clip."""


def whole_result(model: Examiner, seen: Seen, settings: AnalyzeSettings) -> Result:
    """The analysis of the whole recording.

    Its probabilities are the mean over windows, weighted by the time of speech in each (by their length where nobody
    speaks at all). Reasons, evidence, voice and peak frame are those of one window, looked at closely: the surest of
    the strongest stretch with the emotion of the whole, or of the strongest of all where that has none.
    """
    chances = mean_probabilities(seen.main)
    inputs = tuple(name for name in MODALITIES if any(name in one.window.inputs for one in seen.main))
    best = max(chances, key=lambda label: chances[label]) if chances else None
    focus = _focus(seen, best)
    boxes = seen.watcher.boxes(seen.record.main)
    detail = _looked_at(model, seen, focus, boxes, settings if best is not None else _emotion_alone(settings))
    numbers = numbers_of(detail.material.faces.tracks, boxes) if detail.material.faces is not None else {}
    transcript = seen.record.transcript()
    sure_by = with_words(inputs, transcript.text if transcript is not None else None)
    unsure = best is None or chances[best] < model.calibration.least_confidence(settings, sure_by)
    analysis = detail.analysis.model_copy(
        update={
            "clip": seen.clip.clip,
            "duration_s": seen.end_s - seen.start_s,
            "emotion": None if unsure else best,
            "candidates": _two_likeliest(chances) if unsure and chances else (),
            "valence": _valence(chances),
            "confidence": max(chances.values(), default=None),
            "probabilities": chances,
            "label_scores": None,
            "order_sensitivity": None,
            "transcript": transcript or detail.analysis.transcript,
            "peak_frame": _peak_frame(detail.analysis.peak_frame, seen.record),
            "faces": tuple(
                f.model_copy(update={"track": numbers.get(f.track, f.track)}) for f in detail.analysis.faces
            ),
            "people": _people(model, seen, boxes, settings),
            "timeline": seen.timeline,
            "inputs": _inputs(detail.analysis, inputs),
            "warnings": (
                *notes_of(seen, focus, detail.analysis, best),
                *(who_speaks_notes(seen.record) if settings.person != "main" else ()),
                *detail.analysis.warnings,
            ),
        }
    )
    return Result(analysis, _material(renumbered(detail.material, numbers), seen, boxes))


def _emotion_alone(settings: AnalyzeSettings) -> AnalyzeSettings:
    """Where nobody is seen or heard there is nothing to give reasons for."""
    return settings.model_copy(update={"tasks": ("emotion",)})


def _focus(seen: Seen, best: str | None) -> Window:
    """The window to look at closely, of those that the whole is made of."""
    main = {(one.window.start_s, one.window.person) for one in seen.main}
    windows = [window for window in seen.timeline.windows if (window.start_s, window.person) in main]
    return focus_window(windows, stretches_of(windows), best)


def _looked_at(
    model: Examiner, seen: Seen, window: Window, boxes: Sequence[FaceBoxes], settings: AnalyzeSettings
) -> Result:
    """One window, looked at closely and about the person whom it is about."""
    near = seen.clip.model_copy(update={"start_s": window.start_s, "end_s": window.end_s})
    face = None
    if settings.person != "main":
        face = next((one for one in boxes if one.track == window.person), None)
        settings = settings.model_copy(update={"person": "main" if face is None else "active"})
    return model.examine(near, settings, focus=Focus(seen.beside, face))


def _people(
    model: Examiner, seen: Seen, boxes: Sequence[FaceBoxes], settings: AnalyzeSettings
) -> tuple[PersonEmotion, ...]:
    if settings.person != "all":
        return ()
    least = partial(model.calibration.least_confidence, settings)
    return people_over_time(seen.scored, boxes, seen.record.turns, least)


def mean_probabilities(scored: Sequence[Scored]) -> dict[str, float]:
    """Mean over the windows that could be scored, weighted by speech; empty where none could be."""
    there = [one for one in scored if one.window.probabilities]
    spoken_s = [one.speech_s for one in there]
    return mean_of(there, spoken_s if any(spoken_s) else [one.span.end_s - one.span.start_s for one in there])


def _two_likeliest(chances: dict[str, float]) -> tuple[str, ...]:
    return tuple(sorted(chances, key=lambda label: -chances[label])[:2])


def _valence(chances: dict[str, float]) -> Valence | None:
    value = valence(chances) if chances else None
    return None if value is None else Valence(value=value, source=VALENCE_SOURCE)


def _peak_frame(peak: PeakFrame | None, record: Recording) -> PeakFrame | None:
    """The peak frame with its number in the whole recording, where it is one of those that were followed."""
    faces = record.faces()
    if peak is None or faces is None:
        return peak
    nearest = int(np.abs(faces.series.time_s - peak.time_s).argmin())
    return peak.model_copy(update={"index": int(faces.frame_indices[nearest])})


def _inputs(detail: Analysis, there: tuple[Modality, ...]) -> dict[Modality, InputState]:
    present = InputState(present=True, reason="present")
    return {
        name: present if name in there else state.model_copy(update={"present": False})
        for name, state in detail.inputs.items()
    }


def portraits_of(record: Recording, hidden: bool) -> dict[int, NDArray[np.uint8]]:
    """A picture of each person's face by number; with `hidden` none in which somebody can be recognised."""
    return {person: hidden_crop(crop) if hidden else crop for person, crop in record.portraits.items()}


def _material(detail: ReportMaterial, seen: Seen, boxes: tuple[FaceBoxes, ...]) -> ReportMaterial:
    """What files draw on: face and speech of the whole recording, picture and mesh of the window looked at closely."""
    faces, empty = seen.record.faces(), np.zeros(0, np.float32)
    return replace(
        detail,
        action_units=None if faces is None else faces.series,
        expressions=None if faces is None else faces.expressions,
        frame_indices=None if faces is None else faces.frame_indices,
        mesh_scores=None if faces is None else faces.mesh_scores,
        trace=VoiceTrace(empty, empty, empty, tuple(seen.record.speech_s)),
        waveform=None,
        duration_s=seen.end_s - seen.start_s,
        start_s=seen.start_s,
        end_s=seen.clip.end_s,
        recording_s=seen.media.duration_s,
        face_boxes=boxes,
        portraits=portraits_of(seen.record, detail.faces_hidden),
    )

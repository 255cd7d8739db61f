"""Percept and answers → the `Analysis` that is written, and the material of its report."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from emotion_llama.analyze.answers import Answers
from emotion_llama.analyze.evidence import claims_of, supported_share, with_sides, without_contradicted
from emotion_llama.analyze.perceive import Percept
from emotion_llama.analyze.render.blur import HOLD_S, Boxes, FaceFinder, hidden_crops, hidden_picture, stacked
from emotion_llama.analyze.render.course import FaceCourse
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.analyze.scoring import PROMPT_WORDS
from emotion_llama.analyze.warnings import answer_warnings, input_states, perception_warnings
from emotion_llama.clip import Analysis, Face, PeakFrame, Provenance, Task, Valence
from emotion_llama.labels import VALENCE_SOURCE, canonical, is_known, valence
from emotion_llama.measurements import ACTION_UNITS, FaceMeasures
from emotion_llama.perception.claim_check import Measured
from emotion_llama.perception.claim_table import languages
from emotion_llama.perception.compose import compose_audio, compose_reason, compose_visual
from emotion_llama.settings import AnalyzeSettings


@dataclass(frozen=True)
class Result:
    """An analysis and the pictures and traces that its HTML report draws."""

    analysis: Analysis
    material: ReportMaterial

    def timed(self, seconds: Mapping[str, float]) -> Result:
        """The same with other timings."""
        rounded = {name: round(value, 4) for name, value in seconds.items()}
        return Result(self.analysis.model_copy(update={"timings_s": rounded}), self.material)


def build_analysis(
    percept: Percept,
    settings: AnalyzeSettings,
    answers: Answers,
    provenance: Provenance,
    timings_s: Mapping[str, float],
    remarks: Sequence[str] = (),
) -> Analysis:
    """Put one result together; `remarks` are warnings about how it was made.

    Reasons and descriptions are in the language that is asked for, all else is English still (`told.in_language`).
    """
    pleasantness = valence(answers.probabilities)
    measured = _measured(percept, settings)
    reasoning = _reasoning(percept, settings, answers, measured)
    claims = claims_of(reasoning, measured) if reasoning else ()
    return Analysis(
        clip=percept.clip.clip,
        duration_s=percept.duration_s,
        emotion=answers.emotion,
        candidates=answers.candidates,
        labels=answers.labels,
        valence=None if pleasantness is None else Valence(value=pleasantness, source=VALENCE_SOURCE),
        confidence=max(answers.probabilities.values(), default=None),
        probabilities=answers.probabilities,
        label_scores=answers.scores,
        order_sensitivity=answers.order_sensitivity,
        reasoning=reasoning,
        visual=_description("visual", percept, settings, answers),
        audio=_description("audio", percept, settings, answers),
        evidence=with_sides(percept.observations, answers.emotion),
        claims=claims,
        claims_supported=supported_share(claims),
        attribution=answers.attribution,
        transcript=percept.transcript,
        peak_frame=percept.peak,
        faces=tuple(_faces(percept.faces)) if percept.faces is not None else (),
        action_units=dict(measured.action_units),
        voice=measured.voice,
        inputs=input_states(percept, settings, answers.present, answers.gated),
        warnings=(*_warnings(percept, settings, answers, reasoning), *remarks),
        timings_s={name: round(seconds, 4) for name, seconds in timings_s.items()},
        raw={str(task): text for task, text in answers.texts.items()},
        prompts={str(task): text for task, text in answers.prompts.items()},
        provenance=provenance,
    )


def _measured(percept: Percept, settings: AnalyzeSettings) -> Measured:
    voice = percept.sound.voice if percept.sound is not None and "audio" not in settings.without else None
    return Measured(percept.observations, _action_units(percept.faces), voice, percept.transcript.text)


def _reasoning(percept: Percept, settings: AnalyzeSettings, answers: Answers, measured: Measured) -> str | None:
    """Give the model's reason; one composed from the measured clues where it names none of the asked emotions, or
    where the model does not write the language that is asked for.

    With `verified`, sentences that measurements contradict are left out; where no sign is left to name, a composed
    reason takes their place. `raw` keeps what the model wrote, and a warning says which of these it is.
    """
    text = answers.shown("reason")
    if answers.emotion is not None and answers.language != settings.language and "reason" in settings.tasks:
        return _composed(percept, settings, answers.emotion)
    if text is None or answers.emotion is None:
        return text
    if answers.stated is None:
        return _composed(percept, settings, answers.emotion)
    if not settings.verified:
        return text
    left = without_contradicted(text, measured)
    return left if left == text.strip() or claims_of(left, measured) else _composed(percept, settings, answers.emotion)


def _composed(percept: Percept, settings: AnalyzeSettings, emotion: str) -> str:
    clues = [o for o in percept.observations if o.channel != "scene"]
    return compose_reason(clues, emotion, random.Random(settings.seed), percept.transcript.text, settings.language)


def _description(task: Task, percept: Percept, settings: AnalyzeSettings, answers: Answers) -> str | None:
    """Give the model's description of face or voice; a composed one where it does not write the language."""
    if task not in settings.tasks or answers.language == settings.language:
        return answers.shown(task)
    compose = compose_visual if task == "visual" else compose_audio
    return compose(percept.observations, random.Random(settings.seed), settings.language)


def _faces(faces: FaceMeasures) -> list[Face]:
    found = []
    for place, track in enumerate(faces.tracks):
        samples = track.samples
        shown = samples[faces.peak] if place == faces.main and faces.peak is not None else samples[len(samples) // 2]
        x0, y0, x1, y1 = (float(x) for x in shown.box.corners_px)
        found.append(
            Face(
                track=track.track,
                main=place == faces.main,
                first_s=samples[0].time_s,
                last_s=samples[-1].time_s,
                presence=min(1.0, len(samples) / max(1, faces.frames_seen)),
                box_px=(x0, y0, x1, y1),
                score=float(shown.box.score),
            )
        )
    return found


def _action_units(faces: FaceMeasures | None) -> dict[str, float]:
    if faces is None or faces.action_units is None or faces.peak is None:
        return {}
    series = faces.action_units
    sizes = dict(zip(ACTION_UNITS, series.intensity[faces.peak], strict=True))
    return {f"AU{unit:02d}": round(float(sizes[unit]), 2) for unit in series.measured}


def _warnings(percept: Percept, settings: AnalyzeSettings, answers: Answers, reasoning: str | None) -> list[str]:
    found = list(perception_warnings(percept, settings, answers.language))
    if percept.transcript.text is not None and len(percept.transcript.text.split()) > PROMPT_WORDS:
        found.append(f"The model read only the first {PROMPT_WORDS} words; analyse shorter spans of a long recording.")
    if answers.zeros:
        found.append(
            f"Rows of zeros stand for {', '.join(answers.zeros)}, as in the released code; the layout aligned "
            "leaves out what a clip lacks."
        )
    if answers.candidates:
        found.append(f"Not sure enough to choose between {' and '.join(answers.candidates)}, as asked.")
    elif answers.emotion is None:
        found.append("The written answer does not end in one of the asked labels: it counts as none.")
    if answers.attribution is not None and answers.attribution.conflict is not None:
        found.append(f"The inputs disagree: {answers.attribution.conflict.text}.")
    found += answer_warnings(
        settings.labels, answers.trained, answers.probabilities, answers.label_mass, answers.order_sensitivity
    )
    if reasoning is not None and settings.language not in languages():
        found.append("The signs that the reason names were not checked: there is no table of claims for its language.")
    if answers.language != settings.language and set(settings.tasks) != {"emotion"}:
        found.append(
            "The model does not write the language that was asked for: its reasons and descriptions were composed from "
            "the measured clues and the label scores."
        )
    if "reason" in answers.texts:
        if answers.stated is None:
            found.append(
                "The model's own reason names none of the asked emotions; the one shown was composed from the measured "
                "clues and the label scores."
            )
        elif answers.stated != answers.emotion and not _same(answers.stated, answers.emotion):
            found.append(
                f"The reasoning text ends in {answers.stated!r}, the label scores in {answers.emotion!r}; "
                "the two ways of asking disagree."
            )
        if answers.stated is not None and reasoning != (answers.shown("reason") or "").strip() and settings.verified:
            found.append(
                "What the measurements contradict was left out of the model's reason, as asked; raw has it whole."
            )
    return found


def _same(one: str, other: str | None) -> bool:
    if other is None or not (is_known(one) and is_known(other)):
        return False
    return canonical(one) == canonical(other)


def _boxes_near(faces: FaceMeasures | None, peak: PeakFrame | None) -> Boxes:
    return stacked(face.box_px for face in FaceCourse(faces).at(0.0 if peak is None else peak.time_s, HOLD_S))


def build_material(percept: Percept, finder: FaceFinder | None = None) -> ReportMaterial:
    """Gather what the HTML report draws; with a `finder` of faces none can be recognised in its pictures."""
    faces, sample = percept.faces, None
    rgb = percept.frame.rgb if percept.frame is not None else None
    if finder is not None:
        rgb = None if rgb is None else hidden_picture(rgb, finder, _boxes_near(faces, percept.peak))
        faces = None if faces is None else hidden_crops(faces)
    samples = faces.tracks[faces.main].samples if faces is not None and faces.main is not None else ()
    if faces is not None and samples and faces.peak is not None:
        sample = samples[faces.peak]
    drawn = sample is not None and percept.peak is not None and percept.peak.time_s == sample.time_s
    return ReportMaterial(
        peak_rgb=rgb,
        mesh_px=sample.mesh_px if sample is not None and drawn else None,
        box_px=sample.box.corners_px if sample is not None and drawn else None,
        action_units=faces.action_units if faces is not None else None,
        expressions=faces.expressions if faces is not None else None,
        trace=percept.sound.trace if percept.sound is not None else None,
        waveform=percept.waveform,
        duration_s=percept.duration_s,
        frame_indices=np.array([s.frame_index for s in samples], dtype=np.int64) if samples else None,
        mesh_scores=np.array([s.mesh_score for s in samples], dtype=np.float32) if samples else None,
        media_path=percept.media.path if percept.media is not None else None,
        start_s=percept.clip.start_s or 0.0,
        recording_s=percept.media.duration_s if percept.media is not None else None,
        portraits={track.track: track.samples[len(track.samples) // 2].crop for track in faces.tracks} if faces else {},
        end_s=percept.clip.end_s,
        faces=faces,
        faces_hidden=finder is not None,
    )

"""Percept and answers → the `Analysis` that is written, and the material of its report."""

from __future__ import annotations

import random
from collections.abc import Mapping

from emotion_llama.analyze.answers import PROMPT_WORDS, Answers
from emotion_llama.analyze.perceive import Percept
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.analyze.warnings import answer_warnings, input_states, perception_warnings
from emotion_llama.clip import Analysis, Face, Provenance, Valence
from emotion_llama.labels import VALENCE_SOURCE, canonical, is_known, valence
from emotion_llama.measurements import ACTION_UNITS, FaceMeasures
from emotion_llama.perception.compose import compose_reason
from emotion_llama.settings import AnalyzeSettings


def build_analysis(
    percept: Percept,
    settings: AnalyzeSettings,
    answers: Answers,
    provenance: Provenance,
    timings_s: Mapping[str, float],
) -> Analysis:
    """Put one result together."""
    pleasantness = valence(answers.probabilities)
    return Analysis(
        clip=percept.clip.clip,
        duration_s=percept.duration_s,
        emotion=answers.emotion,
        labels=answers.labels,
        valence=None if pleasantness is None else Valence(value=pleasantness, source=VALENCE_SOURCE),
        confidence=max(answers.probabilities.values(), default=None),
        probabilities=answers.probabilities,
        label_scores=answers.scores,
        order_sensitivity=answers.order_sensitivity,
        reasoning=_reasoning(percept, settings, answers),
        visual=answers.shown("visual"),
        audio=answers.shown("audio"),
        evidence=percept.observations,
        transcript=percept.transcript,
        peak_frame=percept.peak,
        faces=tuple(_faces(percept.faces)) if percept.faces is not None else (),
        action_units=_action_units(percept.faces),
        voice=percept.sound.voice if percept.sound is not None and "audio" not in settings.without else None,
        inputs=input_states(percept, settings, answers.present),
        warnings=tuple(_warnings(percept, settings, answers)),
        timings_s={name: round(seconds, 4) for name, seconds in timings_s.items()},
        raw={str(task): text for task, text in answers.texts.items()},
        prompts={str(task): text for task, text in answers.prompts.items()},
        provenance=provenance,
    )


def _reasoning(percept: Percept, settings: AnalyzeSettings, answers: Answers) -> str | None:
    """Give the model's reason; where it names none of the asked emotions, one composed from the measured clues.

    `raw` keeps what the model wrote, and a warning says which of the two this is.
    """
    text = answers.shown("reason")
    if text is None or answers.stated is not None or answers.emotion is None:
        return text
    clues = [o for o in percept.observations if o.channel != "scene"]
    return compose_reason(clues, answers.emotion, random.Random(settings.seed), percept.transcript.text)


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
    row = faces.action_units.intensity[faces.peak]
    return {f"AU{number:02d}": round(float(x), 2) for number, x in zip(ACTION_UNITS, row, strict=True)}


def _warnings(percept: Percept, settings: AnalyzeSettings, answers: Answers) -> list[str]:
    found = list(perception_warnings(percept, settings))
    if percept.transcript.text is not None and len(percept.transcript.text.split()) > PROMPT_WORDS:
        found.append(f"The model read only the first {PROMPT_WORDS} words; analyse shorter spans of a long recording.")
    if answers.zeros:
        found.append(
            f"Rows of zeros stand for {', '.join(answers.zeros)}, as in the released code; the layout aligned "
            "leaves out what a clip lacks."
        )
    if answers.emotion is None:
        found.append("The written answer does not end in one of the asked labels: it counts as none.")
    found += answer_warnings(
        settings.labels, answers.trained, answers.probabilities, answers.label_mass, answers.order_sensitivity
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
    return found


def _same(one: str, other: str | None) -> bool:
    if other is None or not (is_known(one) and is_known(other)):
        return False
    return canonical(one) == canonical(other)


def build_material(percept: Percept) -> ReportMaterial:
    """Gather what the HTML report draws."""
    faces, sample = percept.faces, None
    if faces is not None and faces.main is not None and faces.peak is not None:
        sample = faces.tracks[faces.main].samples[faces.peak]
    drawn = sample is not None and percept.peak is not None and percept.peak.time_s == sample.time_s
    return ReportMaterial(
        peak_rgb=percept.frame.rgb if percept.frame is not None else None,
        mesh_px=sample.mesh_px if sample is not None and drawn else None,
        box_px=sample.box.corners_px if sample is not None and drawn else None,
        action_units=faces.action_units if faces is not None else None,
        expressions=faces.expressions if faces is not None else None,
        trace=percept.sound.trace if percept.sound is not None else None,
        waveform=percept.waveform,
        duration_s=percept.duration_s,
    )

"""The one scoring of the test sides, from the cached features: truth and predictions as files that `evaluate` reads."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from accelerate import PartialState

from emotion_llama.analyze.calibration import Calibration
from emotion_llama.clip import Clip
from emotion_llama.errors import OutputError
from emotion_llama.manifest import write_manifest
from emotion_llama.train.clip_samples import closed_samples
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.examples import Example
from emotion_llama.train.validate import Answered, Ask, by_source

if TYPE_CHECKING:
    from emotion_llama.train.run import Material

FOLDER = "test"


def score_test(
    ask: Ask,
    material: Material,
    calibration: Calibration | None,
    out: Path,
    config: TrainConfig,
) -> dict[str, dict[str, Any]]:
    """Score every clip of each source's test side; writes `test/<source>.clips.jsonl` and `.predictions.jsonl`."""
    examples = [e for e in material.examples if e.side == "test"]
    samples = closed_samples(examples, material.groups, material.opinions, None, config.seed)
    if not samples:
        return {}
    orders = config.calibration.orders if config.calibration is not None else 4
    answers = ask(samples, orders)
    if PartialState().is_main_process:
        write_answers(answers, {e.id: e for e in examples}, calibration, out / FOLDER)
    return {
        source: {**scores, "labels": list(next(a.labels for a in answers if a.source == source))}
        for source, scores in by_source(answers, calibration).items()
    }


def write_answers(
    answers: Sequence[Answered], examples: Mapping[str, Example], calibration: Calibration | None, folder: Path
) -> None:
    """Write truth and predictions of each source. Raises `OutputError` if they cannot be written."""
    for source in sorted({answer.source for answer in answers}):
        mine = [answer for answer in answers if answer.source == source]
        write_manifest([_truth(examples[a.clip], a) for a in mine], folder / f"{source}.clips.jsonl")
        path = folder / f"{source}.predictions.jsonl"
        part = path.with_name(path.name + ".part")
        try:
            part.write_text("".join(_line(answer, calibration) + "\n" for answer in mine), encoding="utf-8")
            part.replace(path)
        except OSError as error:
            raise OutputError(f"{path}: cannot be written ({error}); free space") from error


def _truth(example: Example, answer: Answered) -> Clip:
    """The clip as the scorer needs it: identity, speaker, truth. It has no recording: its features were cached."""
    return Clip(
        clip=example.id,
        transcript=example.transcript or "",
        speaker=example.person,
        emotion=answer.labels[answer.right],
    )


def _line(answer: Answered, calibration: Calibration | None) -> str:
    chances = answer.probabilities(calibration)
    return json.dumps(
        {
            "clip": answer.clip,
            "emotion": max(chances, key=lambda label: chances[label]),
            "probabilities": chances,
            "order_sensitivity": answer.order_sensitivity,
        },
        ensure_ascii=False,
    )

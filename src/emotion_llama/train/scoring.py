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
from emotion_llama.metrics.confidence import null_ece
from emotion_llama.metrics.paired import paired_differences
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.train.baseline import Baseline
from emotion_llama.train.clip_samples import closed_samples
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.examples import Example
from emotion_llama.train.validate import Answered, Ask, order_spread, scores_of, statistics_of

if TYPE_CHECKING:
    from emotion_llama.train.material import Material

FOLDER = "test"
SCORES = ("war", "uar", "weighted_f1", "nll", "ece")
DRAWS = 2000

Chances = Mapping[str, float] | None
"""Chances of the labels, or no answer."""


def score_test(
    ask: Ask, material: Material, calibration: Calibration, out: Path, config: TrainConfig
) -> dict[str, dict[str, Any]]:
    """Score every clip of each wanted source's test side; writes `test/<source>.clips.jsonl` and `.predictions.jsonl`.

    Beside each score stand its interval, the language model without its heads, and logistic regression on the same
    features with the paired difference; the regression's answers lie in `test/<source>.baseline.jsonl`.
    """
    examples = [e for e in material.examples if e.side == "test" and _is_wanted(e.source, config.score_test)]
    samples = closed_samples(examples, material.groups, material.opinions, None, config.seed)
    if not samples:
        return {}
    answers = ask(samples, config.calibration.orders if config.calibration is not None else 4)
    if not PartialState().is_main_process:
        return {}
    people = {e.id: e for e in examples}
    write_answers(answers, people, calibration, out / FOLDER)
    baseline = Baseline(material.examples, material.groups, material.heads, config.seed)
    found = {}
    for source in dict.fromkeys(answer.source for answer in answers):
        mine = [answer for answer in answers if answer.source == source]
        beside = baseline.answers(mine)
        write_baseline(mine, beside, out / FOLDER)
        found[source] = compared(mine, beside, calibration, [people[one.clip].person for one in mine], config.seed)
    return found


def _is_wanted(source: str, scored: bool | tuple[str, ...]) -> bool:
    return scored if isinstance(scored, bool) else source in scored


def compared(
    answers: Sequence[Answered], beside: Sequence[Chances], calibration: Calibration, people: Sequence[str], seed: int
) -> dict[str, Any]:
    """Scores of one source with intervals, over label orders, without the heads, and above logistic regression.

    `null_ece`: median, 2.5 and 97.5 percentile of the ECE that a perfectly calibrated model has at this n.
    """
    alone = calibration.model_copy(update={"default_opinion_weight": {}, "opinion_weight": {}})
    draws: dict[str, Any] = {"n": len(answers), "groups": speaker_codes(people), "draws": DRAWS, "seed": seed}
    chances = [answer.probabilities(calibration) for answer in answers]
    table = [[one[label] for label in answers[0].labels] for one in chances]
    mine = statistics_of(chances, answers)
    bounds = intervals(mine, [], **draws)
    found: dict[str, Any] = {
        **scores_of(answers, calibration),
        "labels": list(answers[0].labels),
        "order_spread": order_spread(answers, calibration),
        "null_ece": list(null_ece(table, seed=seed)),
        "intervals": {name: [bounds[name].low, bounds[name].high] for name in SCORES},
        "without_heads": {name: value for name, value in scores_of(answers, alone).items() if name in SCORES},
    }
    told = [chances for chances in beside if chances is not None]
    if len(told) == len(answers):
        differences = paired_differences(statistics_of(told, answers), mine, **draws)
        found["baseline"] = {name: differences[name].a for name in SCORES}
        found["above_baseline"] = {
            name: [
                differences[name].difference.value,
                differences[name].difference.low,
                differences[name].difference.high,
            ]
            for name in SCORES
        }
    return found


def write_answers(
    answers: Sequence[Answered], examples: Mapping[str, Example], calibration: Calibration | None, folder: Path
) -> None:
    """Write truth and predictions of each source. Raises `OutputError` if they cannot be written."""
    for source in sorted({answer.source for answer in answers}):
        mine = [answer for answer in answers if answer.source == source]
        write_manifest([_truth(examples[a.clip], a) for a in mine], folder / f"{source}.clips.jsonl")
        _write(folder / f"{source}.predictions.jsonl", [_line(answer, calibration) for answer in mine])


def write_baseline(answers: Sequence[Answered], beside: Sequence[Chances], folder: Path) -> None:
    """Write the regression's answers to the questions of one source, where it has any."""
    pairs = zip(answers, beside, strict=True)
    lines = [_chances_line(answer.clip, chances) for answer, chances in pairs if chances is not None]
    if lines:
        _write(folder / f"{answers[0].source}.baseline.jsonl", lines)


def _write(path: Path, lines: Sequence[str]) -> None:
    part = path.with_name(path.name + ".part")
    try:
        part.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
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
    return _chances_line(answer.clip, answer.probabilities(calibration), order_sensitivity=answer.order_sensitivity)


def _chances_line(clip: str, chances: Mapping[str, float], **more: float) -> str:
    best = max(chances, key=lambda label: chances[label])
    return json.dumps({"clip": clip, "emotion": best, "probabilities": dict(chances), **more}, ensure_ascii=False)

"""VECBench: emotion and polarity of still images, with the confidence that a system states."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_llama.datasets.vecbench import GROUPS, Picture, group_of, read_vecbench
from emotion_llama.errors import UsageError
from emotion_llama.evaluate.records import Bin, Item, Prediction, Problem, Published, Scored
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.suite import Choice, Part, ScoreSettings, Suite
from emotion_llama.labels import translate
from emotion_llama.metrics.confidence import stated_reliability, stated_statistic
from emotion_llama.metrics.ranking import rank_statistic, risk_coverage
from emotion_llama.metrics.resample import intervals
from emotion_llama.metrics.statistic import Metric, RankStatistic, Scores, Statistic

SETS = "sets"
"""The variant with a part for each set: the form to run a model on, since each set has labels of its own."""

HEADLINE = ("war", "war_set_mean", "ece", "ece_vec", "auroc")


def read(path: Path, choice: Choice) -> Sequence[Part]:
    """Give a part for each group that occurs, or for each set with the variant "sets"."""
    pictures = read_vecbench(path)
    order = [name for sets in GROUPS.values() for name in sets] if choice.variant == SETS else list(GROUPS)
    named = [p.set_name if choice.variant == SETS else group_of(p.set_name) for p in pictures]
    return [
        _part(name, [p for p, own in zip(pictures, named, strict=True) if own == name], choice.variant == SETS)
        for name in order
        if name in named
    ]


def _part(name: str, pictures: Sequence[Picture], one_set: bool) -> Part:
    true: dict[str, tuple[str, ...]] = {}
    for set_name in {p.set_name for p in pictures}:
        true[set_name] = tuple(sorted({p.clip.emotion or "" for p in pictures if p.set_name == set_name}))
    items = tuple(
        Item(clip=p.clip, extra={"set": p.set_name, "candidates": list(p.candidates or true[p.set_name])})
        for p in pictures
    )
    # the labels of a group differ from set to set: its answers are read in each image's own candidates
    return Part(name, items, _offered(items) if one_set else (), score_stated)


def score_stated(
    items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
) -> Scored:
    """Score one label an image and the stated confidence (`confidence`, else the largest of `probabilities`).

    Beside the scores of `score_labels`: `war_set_mean` (mean accuracy of the sets, as the paper prints OOD VER),
    `ece` (15 bins of equal width, last closed), `ece_vec` and `ece_vec_dropped_rate` (the benchmark's 10 half-open
    bins and the share that falls into none), `brier_binary`, `auroc`, `aurc` over the images with a confidence, and
    `confidence_rate`, their share. An answer outside an image's candidates is invalid, its confidence that of a wrong
    answer. Source: wdqqdw/EmoCaliber, inference/evaluate_multi_task_conf_from_merged.py.
    """
    offered = _offered(items)
    answers, problems = _read_answers(items, predictions, closed=bool(labels))
    plain = [a.model_copy(update={"probabilities": None}) if a is not None else None for a in answers]
    base = score_labels(items, plain, offered, settings)
    right = np.array([a is not None and a.emotion == i.clip.emotion for a, i in zip(answers, items, strict=True)])
    stated = _confidences(predictions, problems)
    places = np.flatnonzero(~np.isnan(stated))
    found = _intervals([_set_statistic(items, right, ~np.isnan(stated))], [], settings)
    if len(places):
        c, k = stated[places], right[places]
        found |= _intervals([stated_statistic(c, k)], [rank_statistic(c, k)], settings)
    return _scored(base, found, items, problems, (stated[places], right[places]))


def _intervals(
    statistics: Sequence[Statistic], rank: Sequence[RankStatistic], settings: ScoreSettings
) -> dict[str, Metric]:
    n = len(statistics[0].cells)
    return intervals(statistics, rank, n=n, groups=None, draws=settings.draws, seed=settings.seed)


def _scored(
    base: Scored,
    found: dict[str, Metric],
    items: Sequence[Item],
    problems: list[Problem],
    stated: tuple[NDArray[np.float64], NDArray[np.bool_]],
) -> Scored:
    """Put the scores together; chance and majority are those of each set, not of all labels in one heap."""
    chance = float(np.mean([1 / len(item.extra["candidates"]) for item in items]))
    sets = [item.extra["set"] for item in items]
    common = Counter(zip(sets, (item.clip.emotion for item in items), strict=True))
    majority = sum(max(n for (own, _), n in common.items() if own == name) for name in set(sets)) / len(items)
    metrics = {
        name: metric.model_copy(update={"chance": None, "majority": None}) for name, metric in base.metrics.items()
    }
    metrics["war"] = metrics["war"].model_copy(update={"chance": chance, "majority": majority})
    confidence, right = stated
    notes = [note for note in base.notes if not note.startswith("No probabilities")]
    notes.append(
        f"Calibration is over the {len(right)} of {len(items)} images with a confidence. ece_vec only compares with "
        "the benchmark: a confidence of 1 falls into none of its bins (ece_vec_dropped_rate)."
    )
    every = metrics | found
    return base.model_copy(
        update={
            "metrics": every,
            "headline": tuple(name for name in HEADLINE if name in every and every[name].value is not None),
            "chance": chance,
            "majority": majority,
            "reliability": _bins(confidence, right),
            "risk_coverage": tuple(risk_coverage(confidence, right)),
            "notes": tuple(notes),
            "problems": (*base.problems, *problems),
        }
    )


def _bins(confidence: NDArray[np.float64], right: NDArray[np.bool_]) -> tuple[Bin, ...]:
    if not len(right):
        return ()
    rows = stated_reliability(confidence, right)
    return tuple(Bin(low=a, high=b, n=n, confidence=c, accuracy=r) for a, b, n, c, r in rows)


def _offered(items: Sequence[Item]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(label for item in items for label in item.extra["candidates"]))


def _read_answers(
    items: Sequence[Item], predictions: Sequence[Prediction | None], closed: bool
) -> tuple[list[Prediction | None], list[Problem]]:
    """Read each answer in its image's own candidates; one outside them becomes no label, and is named.

    `closed`: the answers were read in one set of labels before, and those without a label are named already.
    """
    answers: list[Prediction | None] = []
    problems: list[Problem] = []
    for item, prediction in zip(items, predictions, strict=True):
        if prediction is None:
            answers.append(None)
            continue
        said, candidates = prediction.emotion, item.extra["candidates"]
        label = _label(said, candidates) if said is not None else None
        if label is None and not (closed and said is None):
            problems.append(_no_label(item, prediction, candidates))
        answers.append(prediction.model_copy(update={"emotion": label, "said": prediction.said or said}))
    return answers, problems


def _no_label(item: Item, prediction: Prediction, candidates: Sequence[str]) -> Problem:
    name, line, said = item.clip.clip, prediction.line, prediction.emotion
    if said is None:
        message = f"line {line}: {name!r} was answered without a label"
        return Problem(kind="no-label", message=message, clip=name, line=line)
    message = f"line {line}: {name!r} was answered {said[:80]!r}, not one of {', '.join(candidates)}"
    return Problem(kind="unknown-label", message=message, clip=name, line=line)


def _label(said: str, candidates: Sequence[str]) -> str | None:
    plain = said.strip().lower()
    if plain in candidates:
        return plain
    try:
        return translate(plain, candidates)
    except UsageError:
        return None


def _confidences(predictions: Sequence[Prediction | None], problems: list[Problem]) -> NDArray[np.float64]:
    """Give the confidence of each answer, NaN where none was stated or what was stated is none (and named)."""
    found = np.full(len(predictions), np.nan)
    for row, prediction in enumerate(predictions):
        if prediction is None:
            continue
        value = prediction.confidence
        if value is None and prediction.probabilities:
            value = max(prediction.probabilities.values())
        if value is not None and not 0 <= value <= 1:
            message = f"line {prediction.line}: confidence of {prediction.clip!r} is {value}, not from 0 to 1: left out"
            problems.append(
                Problem(kind="bad-probabilities", message=message, clip=prediction.clip, line=prediction.line)
            )
        elif value is not None:
            found[row] = value
    return found


def _set_statistic(items: Sequence[Item], right: NDArray[np.bool_], stated: NDArray[np.bool_]) -> Statistic:
    """`war_set_mean` and `confidence_rate`; a draw without an image of some set has no `war_set_mean`."""
    names = sorted({item.extra["set"] for item in items})
    codes = np.array([names.index(item.extra["set"]) for item in items], np.int64)

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        table = counts.reshape(len(counts), len(names), 2)
        total = table.sum(axis=2)
        accuracy = np.divide(table[:, :, 1], total, out=np.full(total.shape, np.nan), where=total > 0)
        return {"war_set_mean": accuracy.mean(axis=1), "confidence_rate": sums[:, 0] / total.sum(axis=1)}

    return Statistic(codes * 2 + right, 2 * len(names), stated[:, None].astype(np.float32), finish)


def _published(system: str, source: str, group: str, **values: float) -> tuple[Published, ...]:
    return tuple(
        Published(system=system, metric=f"{group} {metric}", value=value, source=source)
        for metric, value in values.items()
    )


_README = "confirmed in the public repository of EmoCaliber"
_OURS = "figure handed down with this project and seen on a scraped leaderboard, not read in a paper"
_EMOCALIBER = ("EmoCaliber", _README)
_QWEN = ("Qwen2.5-VL", _README)
_EMOTION_LLAMA = ("Emotion-LLaMA", _OURS)

SUITE = Suite(
    name="vecbench",
    title="VECBench: emotion and polarity of still images, with stated confidence",
    needs=(
        "the test file (.jsonl with task, ground_truth, candidates and the image), or a folder with one file a set; "
        "to run a model also the images. Predictions: clip (image@set), emotion, confidence from 0 to 1"
    ),
    access="the public data set wudq/VECBench",
    licence="not confirmed; the six source sets have terms of their own",
    chance="1 / number of candidates: ID VER .108, ID VSA .5, OOD VER .145",
    labels=(),
    read=read,
    variants=("", SETS),
    words="none",
    published=(
        *_published(*_EMOCALIBER, "ID VER", war=0.5503, ece_vec=0.1363, brier_binary=0.2277, auroc=0.7090),
        *_published(*_EMOCALIBER, "ID VSA", war=0.8195, ece_vec=0.0476, brier_binary=0.1468, auroc=0.6609),
        *_published(*_EMOCALIBER, "OOD VER", war=0.5916, ece_vec=0.1217, brier_binary=0.2241, auroc=0.7217),
        *_published(*_EMOCALIBER, "OOD VER", war_set_mean=0.5037),
        *_published(*_QWEN, "ID VER", war=0.4073),
        *_published(*_QWEN, "ID VSA", war=0.7720),
        Published(
            system="Qwen2.5-VL",
            metric="OOD VER war_set_mean",
            value=0.4772,
            setting="taken as the mean of sets, as EmoCaliber's figure in the same table is by arithmetic",
            source=_README,
        ),
        *_published(*_EMOTION_LLAMA, "ID VER", ece_vec=0.6219),
        *_published(*_EMOTION_LLAMA, "ID VSA", ece_vec=0.2935),
    ),
    caution=(
        "Still images without sound: not what Emotion-LLaMA was built for. The benchmark's ECE drops every confidence "
        "of exactly 1, so a system that always says 1 gets 0. Its confidence is a number the system writes, not a "
        "probability. EmoCaliber's OOD VER accuracy is .5037 as the mean of three sets, .5916 over all images. To run "
        "a model, take the variant sets: each set has labels of its own."
    ),
)

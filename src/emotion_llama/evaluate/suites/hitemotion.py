"""HitEmotion: the tasks that lie in the user's folder, each a part."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from emotion_llama.datasets.hitemotion import TASKS, Question, Task, find_tasks, parse_facts, read_task
from emotion_llama.evaluate.records import Item, Prediction, Published, Scored
from emotion_llama.evaluate.scorers.labels import score_labels
from emotion_llama.evaluate.scorers.multilabel import score_exact_match_f1, score_multilabel
from emotion_llama.evaluate.suite import Choice, Part, Scorer, ScoreSettings, Suite

_SCORERS: dict[str, Scorer] = {
    "accuracy": score_labels,
    "micro-f1": score_multilabel,
    "joint": score_multilabel,
    "exact-match-f1": score_exact_match_f1,
}
_DROPPED = "The benchmark's own code leaves malformed answers out; here they are wrong, and war_answered is its way."
_FACTS = (
    "The benchmark's own code leaves malformed answers out; here they count as nothing said, and micro_f1_answered is "
    "its way."
)
_ASPECTS = "For MABSA the benchmark also leaves out targets that were not answered; here they count as missed."


def read(folder: Path, choice: Choice) -> Sequence[Part]:
    """Give a part for each task whose file is in the folder; raises `ManifestError` as the reader does."""
    return [_part(task, read_task(path, task)) for task, path in find_tasks(folder).items()]


def _part(task: Task, questions: Sequence[Question]) -> Part:
    items = tuple(
        Item(clip=q.clip, extra={"task": task.code, "question": q.prompt, "candidates": list(q.candidates)})
        for q in questions
    )
    notes = (
        [] if len(items) == task.n else [f"{task.code}: {task.n} items in the public file, {len(items)} in this one."]
    )
    if task.measure == "judge":
        return Part(task.code, items, (), _unjudged(task), judged="answers")
    if task.measure == "accuracy":
        labels, note = _labels(task, questions)
        return Part(task.code, items, labels, _noted(score_labels, [*notes, *note, _DROPPED]))
    notes += [_FACTS, _ASPECTS] if task.code == "MABSA" else [_FACTS]
    # the labels stay out of `Part.labels`: those are for one label a clip, and an answer here is a set
    return Part(task.code, items, (), _noted(_of_sets(task), notes))


def _labels(task: Task, questions: Sequence[Question]) -> tuple[tuple[str, ...], list[str]]:
    """Give the labels of a task (those that its prompts offer, in their order), and a note where some are missing."""
    offered = dict.fromkeys(label for q in questions for label in q.candidates)
    true = dict.fromkeys(q.clip.emotion or "" for q in questions)
    unread = sum(not q.candidates for q in questions)
    note = f"{task.code}: no list of labels was found in {unread} of {len(questions)} prompts; true labels stand in."
    return tuple(offered | true), [note] if unread else []


def _of_sets(task: Task) -> Scorer:
    """Score sets; an answer that came as text in the benchmark's form is read first."""

    def score(
        items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
    ) -> Scored:
        read_answers = [_read(prediction, task) for prediction in predictions]
        scored = _SCORERS[task.measure](items, read_answers, task.labels, settings)
        return (
            scored.model_copy(update={"headline": ("exact_match", "micro_f1")}) if task.measure == "joint" else scored
        )

    return score


def _read(prediction: Prediction | None, task: Task) -> Prediction | None:
    """Read the labels out of an answer in text: "{'techniques': ['Smears']}" as emotion or as the raw answer."""
    if prediction is None or prediction.labels is not None:
        return prediction
    texts = [prediction.emotion or "", *prediction.raw.values()]
    facts = next((facts for text in texts if (facts := parse_facts(text, task)) is not None), None)
    if facts is not None:
        return prediction.model_copy(update={"labels": facts})
    # a set cannot be one word: what was said stays no answer, and is named as such
    return prediction.model_copy(update={"emotion": None}) if task.fields else prediction


def _noted(score: Scorer, notes: Sequence[str]) -> Scorer:
    def noted(
        items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
    ) -> Scored:
        scored = score(items, predictions, labels, settings)
        return scored.model_copy(update={"notes": (*scored.notes, *notes)})

    return noted


def _unjudged(task: Task) -> Scorer:
    """Score nothing: the task's answers are free texts, compared by a language model."""

    def score(
        items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
    ) -> Scored:
        note = f"{task.code} is not scored: its answers are texts that a judge must compare; none was given."
        return Scored(n_asked=len(items), n_scored=0, metrics={}, notes=(note,))

    return score


def _published(task: str, metric: str, value: float, system: str, source: str) -> Published:
    return Published(system=system, metric=f"{task} {metric}", value=value, source=source)


_OURS = "figure handed down with this project, its origin not traced"
_SCRAPE = "a scraped leaderboard, not read in a paper"
_NOTE = "a machine-made summary of the paper, not read in it"

SUITE = Suite(
    name="hitemotion",
    title="HitEmotion: 24 tasks of perception, understanding and reasoning",
    needs=(
        "the benchmark's JSON files (data/without_prompt/level1 … level3, or FESD.json, DPTM.json, … in one folder); "
        "to run a model also the media folders beside them (CH-SIMS/, FilmStim/, …)"
    ),
    access=(
        "questions and answers: the public repository Eurekaleo/Emotional-Intelligence; media: the data set "
        "Eureka-Leo/Emotion.Intelligence, or each of the 24 sources"
    ),
    licence="not stated for the whole; the media keep the terms of their 24 sources",
    chance="FESD 1/3 (majority .5356); EER 1/7 (majority .156); DPTM best constant answer micro-F1 .5438",
    labels=(),
    read=read,
    words="given",
    published=(
        _published("FESD", "war", 0.3311, "Emotion-LLaMA (image only)", _OURS),
        _published("FESD", "war", 0.6178, "VideoLLaMA3-7B", _NOTE),
        _published("FESD", "war", 0.6344, "LLaVA-OneVision-7B", _NOTE),
        _published("FESD", "war", 0.4228, "R1-Omni", _SCRAPE),
        _published("DPTM", "micro_f1", 0.3954, "Emotion-LLaMA (image only)", _OURS),
        _published("DPTM", "micro_f1", 0.3754, "R1-Omni", _SCRAPE),
        _published("EER", "war", 0.4281, "Emotion-LLaMA (image only)", _OURS),
        _published("EER", "war", 0.3967, "R1-Omni", _SCRAPE),
    ),
    caution=(
        "Emotion-LLaMA's published figures here are of its first frame alone, without sound or face features, asked to "
        "end in positive, negative or neutral: they say nothing of the multimodal model. Its FESD .3311 is below the "
        "majority class (.5356), its DPTM .3954 below a constant answer (.5438). EER has 64 clips: 12 points either "
        "way. Published scores leave malformed answers out. A model run answers the tasks with one label; "
        "the others (sets, facts, texts) take a predictions file."
    ),
)
"""The suite; `TASKS` of the reader has all 24 parts."""

__all__ = ["SUITE", "TASKS", "read"]

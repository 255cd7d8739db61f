"""Scores that a judge gives: EMER's clue and label overlap (1–10), and answers in free text (0–1).

A clip that the judge could not rate has no number: it is named, counted in `judge_invalid_rate`, and left out of the
mean. A clip without an answer has nothing in common with its reference and gets the lowest score without being asked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Record
from emotion_llama.errors import EndpointError, ManifestError, UsageError
from emotion_llama.evaluate.judge.judge import Judge, Verdict, extract_labels, judge_answer, judge_problem
from emotion_llama.evaluate.judge.prompts import LOWEST, PROMPT_VERSION, Score, clue_prompt, label_prompt, read_score
from emotion_llama.evaluate.records import Item, Prediction, Problem, Scored
from emotion_llama.evaluate.suite import Scorer, ScoreSettings
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.metrics.statistic import Metric, Scores, Statistic

CLUE, LABEL, INVALID = "clue_overlap", "label_overlap", "judge_invalid_rate"
ANSWER = "judge_score"
_NO_ANSWER = Score(value=LOWEST, reason="no answer", fallback=False)


class JudgedClip(Record):
    """A judge's ratings of one clip, 1–10; `None` = it gave none. The words are what each label rating compared."""

    clip: str
    speaker: str | None
    answered: bool
    clue: Score | None
    label: Score | None
    true_words: tuple[str, ...] = ()
    answer_words: tuple[str, ...] = ()
    served_models: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()


class JudgeScores(Record):
    """One judge's scores: `metrics` clue_overlap, label_overlap, judge_invalid_rate. `note` says how they came about.

    `served_models` are the models that the server named: more than one means that it changed under the same name.
    """

    judge: str
    served_models: tuple[str, ...]
    prompt_version: str
    clips: tuple[JudgedClip, ...]
    metrics: dict[str, Metric]
    problems: tuple[Problem, ...]
    note: str


def judge_overlap(
    judge: Judge, items: Sequence[Item], predictions: Sequence[Prediction | None], settings: ScoreSettings
) -> JudgeScores:
    """Rate how far each answer's reasons agree with the reference text of its clip (`clip.reasoning`).

    Raises `UsageError` for no items, `ManifestError` for a clip without a reference, `EndpointError` if the judge
    cannot be reached or no clip at all could be rated.
    """
    _check(items)
    clips = judge.map(lambda pair: _judged(judge, *pair), list(zip(items, predictions, strict=True)))
    asked = [clip for clip in clips if clip.answered]
    _check_any_rated(
        judge, any(clip.clue or clip.label for clip in asked), [p for clip in asked for p in clip.problems]
    )
    invalid = [clip.clue is None or clip.label is None for clip in clips]
    columns = {CLUE: [_value(clip.clue) for clip in clips], LABEL: [_value(clip.label) for clip in clips]}
    speakers = [clip.speaker for clip in clips]
    return JudgeScores(
        judge=judge.name,
        served_models=tuple(sorted({name for clip in clips for name in clip.served_models})),
        prompt_version=PROMPT_VERSION,
        clips=tuple(clips),
        metrics=rate_metrics({**columns, INVALID: [float(one) for one in invalid]}, speakers, settings),
        problems=tuple(problem for clip in clips for problem in clip.problems),
        note=_note(judge, clips),
    )


def score_answers(judge: Judge) -> Scorer:
    """Give a scorer of answers in free text (HitEmotion's EI and LR): `judge_score` 0–1 and `judge_invalid_rate`.

    The question is `item.extra["question"]`, the reference answer `clip.reasoning`; the answer is the reasoning of the
    prediction, else what it said. No answer scores 0.
    """

    def score(
        items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
    ) -> Scored:
        _check(items)
        pairs = list(zip(items, predictions, strict=True))
        verdicts = judge.map(lambda pair: _answer_verdict(judge, *pair), pairs)
        problems = tuple(
            judge_problem(item, prediction, verdict.problem)
            for (item, prediction), verdict in zip(pairs, verdicts, strict=True)
            if verdict.value is None
        )
        values = [verdict.value for verdict in verdicts]
        answered = [bool(_text(prediction)) for prediction in predictions]
        rated = sum(a and value is not None for a, value in zip(answered, values, strict=True))
        _check_any_rated(judge, rated > 0, problems)
        columns: dict[str, Sequence[float | None]] = {
            ANSWER: values,
            INVALID: [float(value is None) for value in values],
        }
        note = (
            f"{ANSWER} is the opinion of {judge.name} ({PROMPT_VERSION}), its 1–10 as 0–1; it depends on the judge. "
            f"{len(answered) - sum(answered)} clips without an answer count 0."
        )
        return Scored(
            n_asked=len(items),
            n_scored=rated,
            metrics=rate_metrics(columns, [item.clip.speaker for item in items], settings),
            headline=(ANSWER, INVALID),
            settings={"judge": judge.name, "prompt_version": PROMPT_VERSION, "draws": settings.draws}
            | {"seed": settings.seed},
            notes=(note,),
            problems=problems,
        )

    return score


def rate_metrics(
    columns: Mapping[str, Sequence[float | None]], speakers: Sequence[str | None], settings: ScoreSettings
) -> dict[str, Metric]:
    """Give the mean of each column over the clips that have a value (n of the metric), with its interval."""
    names = tuple(columns)
    values = np.array([[np.nan if one is None else one for one in columns[name]] for name in names], np.float32).T
    known = ~np.isnan(values)
    n = len(values)
    both = np.concatenate([np.where(known, values, 0), known], axis=1).astype(np.float32)  # (n, 2M)

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        with np.errstate(invalid="ignore", divide="ignore"):
            means = sums[:, : len(names)] / sums[:, len(names) :]
        return {name: means[:, place] for place, name in enumerate(names)}

    statistic = Statistic(np.full(n, -1, np.int64), 1, both, finish)
    found = intervals([statistic], [], n=n, groups=speaker_codes(speakers), draws=settings.draws, seed=settings.seed)
    return {name: found[name].model_copy(update={"n": int(known[:, place].sum())}) for place, name in enumerate(names)}


def _check(items: Sequence[Item]) -> None:
    if not items:
        raise UsageError("expected at least one clip to judge, found none")
    for item in items:
        if not (item.clip.reasoning or "").strip():
            raise ManifestError(
                f"clip {item.clip.clip!r}: expected a reference text (reasoning) to judge by, found none"
            )


def _check_any_rated(judge: Judge, rated: bool, problems: Sequence[Problem]) -> None:
    """A judge that rates none of the answers is no judge: better no report than one of empty scores."""
    if problems and not rated:
        raise EndpointError(f"judge {judge.name}: no answer could be rated; {problems[0].message}")


def _judged(judge: Judge, item: Item, prediction: Prediction | None) -> JudgedClip:
    clip, reference = item.clip, item.clip.reasoning or ""
    text = ((prediction.reasoning if prediction else None) or "").strip()
    if not text:
        return JudgedClip(clip=clip.clip, speaker=clip.speaker, answered=False, clue=_NO_ANSWER, label=_NO_ANSWER)
    clue = judge.ask(clue_prompt(reference, text), read_score)
    truth, said = extract_labels(judge, reference), extract_labels(judge, text)
    label = _label_verdict(judge, truth, said)
    # a label rating that failed for want of words repeats what the words' own verdict says
    problems = dict.fromkeys(v.problem for v in (clue, truth, said, label) if v.value is None and v.problem)
    return JudgedClip(
        clip=clip.clip,
        speaker=clip.speaker,
        answered=True,
        clue=clue.value,
        label=label.value,
        true_words=truth.value or (),
        answer_words=said.value or (),
        served_models=tuple(sorted({v.served_model for v in (clue, truth, said, label) if v.served_model})),
        problems=tuple(judge_problem(item, prediction, what) for what in problems),
    )


def _label_verdict(judge: Judge, truth: Verdict[tuple[str, ...]], said: Verdict[tuple[str, ...]]) -> Verdict[Score]:
    if truth.value is None or said.value is None:
        return Verdict(None)
    if not truth.value:
        return Verdict(None, problem=f"label: {judge.name} finds no emotion word in the reference")
    if not said.value:
        return Verdict(Score(value=LOWEST, reason="no emotion word in the answer", fallback=False))
    return judge.ask(label_prompt(truth.value, said.value), read_score)


def _answer_verdict(judge: Judge, item: Item, prediction: Prediction | None) -> Verdict[float]:
    question, text = item.extra.get("question"), _text(prediction)
    if not isinstance(question, str):
        raise ManifestError(f'clip {item.clip.clip!r}: expected its question in extra["question"], found {question!r}')
    return judge_answer(judge, question, item.clip.reasoning or "", text) if text else Verdict(0.0)


def _text(prediction: Prediction | None) -> str:
    """Give an answer in free text: the reasoning, else what was said, else the raw text."""
    if prediction is None:
        return ""
    texts = (prediction.reasoning, prediction.said, prediction.emotion, *prediction.raw.values())
    return next((text.strip() for text in texts if text and text.strip()), "")


def _value(score: Score | None) -> float | None:
    return None if score is None else float(score.value)


def _note(judge: Judge, clips: Sequence[JudgedClip]) -> str:
    ratings = [score for clip in clips for score in (clip.clue, clip.label) if score is not None]
    served = sorted({name for clip in clips for name in clip.served_models} - {judge.name})
    silent = sum(not clip.answered for clip in clips)
    loose = sum(score.fallback for score in ratings)
    parts = [
        f"{CLUE} and {LABEL} are opinions of {judge.name} (prompts {PROMPT_VERSION}), 1–10; another judge gives other "
        "numbers, and the published ones came from a judge that has been retired."
    ]
    parts += [f"The server names the model {', '.join(served)}."] if served else []
    parts += [f"{silent} clips without reasons count {LOWEST}."] if silent else []
    parts += (
        [f"{loose} of {len(ratings)} ratings were no proper JSON: their first integer 1–10 was taken."] if loose else []
    )
    return " ".join(parts)

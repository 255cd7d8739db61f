"""A language model as a judge: questions with a form, answers kept on disk, nonsense never a number.

An answer that cannot be read is asked for again with the next seed; after `tries` such answers the verdict has no
value and says why. All answers, unreadable ones too, are stored (`judge_cache`), so a second run asks nothing and gives
the same verdicts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from emotion_llama.clip import Record
from emotion_llama.endpoint import Endpoint, EndpointSettings, in_order
from emotion_llama.errors import EndpointError, UsageError
from emotion_llama.evaluate.judge.cache import JudgeCache
from emotion_llama.evaluate.judge.prompts import (
    HIGHEST,
    LOWEST,
    PROMPT_VERSION,
    Prompt,
    answer_prompt,
    group_prompt,
    read_groups,
    read_score,
    read_words,
    words_prompt,
)
from emotion_llama.evaluate.records import Item, Prediction, Problem
from emotion_llama.evaluate.scorers.label_sets import GROUPS_KEY, said_words, true_words
from emotion_llama.metrics.grouping import Groups
from emotion_llama.metrics.label_sets import word_set

T = TypeVar("T")
R = TypeVar("R")

# these say something of one request (too long, refused text, a crash on it), others of the endpoint as a whole
_OF_ONE_REQUEST = (200, 400, 413, 422, 500)


@dataclass(frozen=True)
class Verdict(Generic[T]):
    """What a judge said to one question. `value` `None` = nothing usable; `problem` then says why."""

    value: T | None
    served_model: str = ""
    problem: str = ""


class Grouping(Record):
    """Words of one clip by meaning: `groups` hold every given word exactly once.

    `alone`: words the judge left out, now groups of their own; `unknown`: words it added, dropped; `repeated`: words it
    put into several groups, kept in the first.
    """

    groups: Groups
    alone: tuple[str, ...] = ()
    unknown: tuple[str, ...] = ()
    repeated: tuple[str, ...] = ()


class Judge:
    """A model behind an endpoint, with its stored answers. `workers`: questions that are under way at a time."""

    def __init__(self, endpoint: Endpoint, cache_dir: Path, *, tries: int = 3, workers: int = 4) -> None:
        if tries < 1 or workers < 1:
            raise UsageError(f"a judge needs at least one try and one worker, found {tries} and {workers}")
        self.endpoint = endpoint
        self.cache = JudgeCache(cache_dir)
        self.tries = tries
        self.workers = workers

    @property
    def name(self) -> str:
        """The model's name as it is asked for."""
        return self.endpoint.settings.model

    def ask(self, prompt: Prompt, read: Callable[[str], T | None]) -> Verdict[T]:
        """Ask until `read` makes sense of an answer, at most `tries` times; stored answers are not asked for.

        A request that the server refuses gives a verdict without value. Raises `EndpointError` if the endpoint as a
        whole fails (no connection, wrong key, unknown URL) or a stored answer is damaged.
        """
        said: list[str] = []
        for attempt in range(self.tries):
            seed = None if self.endpoint.settings.seed is None else self.endpoint.settings.seed + attempt
            try:
                record = self.cache.get_or_ask(
                    prompt.name,
                    self._request(prompt, seed, attempt),
                    lambda seed=seed: self.endpoint.complete(prompt.messages, json_schema=prompt.schema, seed=seed),  # type: ignore[misc]
                )
            except EndpointError as error:
                if error.status not in _OF_ONE_REQUEST:
                    raise
                return Verdict(None, problem=str(error))
            value = read(record.raw)
            if value is not None:
                return Verdict(value, record.served_model)
            said.append(record.raw)
        last = " ".join(said[-1].split())[:120]
        return Verdict(None, problem=f"{prompt.name}: {len(said)} answers of {self.name} make no sense, last {last!r}")

    def map(self, function: Callable[[T], R], things: Sequence[T]) -> list[R]:
        """Apply a function that asks this judge to many things, `workers` at a time, order kept."""
        return in_order(function, things, self.workers)

    def _request(self, prompt: Prompt, seed: int | None, attempt: int) -> dict[str, Any]:
        own = self.endpoint.settings
        return {
            "model": own.model,
            "prompt_version": PROMPT_VERSION,
            "messages": list(prompt.messages),
            "temperature": own.temperature,
            "seed": seed,
            "max_tokens": own.max_tokens,
            "extra": own.extra,
            "attempt": attempt,
        }


def judge_from(url: str, model: str, key_env: str, cache_dir: Path, **options: Any) -> Judge:
    """Make a judge from what the command line gives; `options` are other fields of `EndpointSettings`.

    With `model` "" the only model that the server offers is taken. Raises `UsageError` for settings that do not fit or
    several models, `EndpointError` if the server cannot be asked for its models.
    """
    settings = EndpointSettings.of(url=url, model=model or "?", key_env=key_env, **options)
    if not model:
        offered = Endpoint(settings).models()
        if len(offered) != 1:
            names = ", ".join(offered) or "none"
            raise UsageError(f"{settings.url} offers several models or none ({names}); name the judge's model")
        settings = settings.model_copy(update={"model": offered[0]})
    return Judge(Endpoint(settings), cache_dir)


def extract_labels(judge: Judge, text: str) -> Verdict[tuple[str, ...]]:
    """Give the emotion words of a description, most certain first; `()` if it names none."""
    return judge.ask(words_prompt(text), read_words)


def judge_answer(judge: Judge, question: str, gold: str, answer: str) -> Verdict[float]:
    """Rate an answer in free text: 0 (nothing agrees) to 1 (the same meaning), from the judge's 1–10."""
    verdict = judge.ask(answer_prompt(question, gold, answer), read_score)
    if verdict.value is None:
        return Verdict(None, verdict.served_model, verdict.problem)
    return Verdict((verdict.value.value - LOWEST) / (HIGHEST - LOWEST), verdict.served_model)


def group_labels(judge: Judge, words: Sequence[str]) -> Verdict[Grouping]:
    """Group words that mean the same, as MER2024's set scores want it. The order of the given words has no say.

    Words are normalised; fewer than two need no judge.
    """
    wanted = tuple(sorted(word_set(words)))
    if len(wanted) < 2:
        return Verdict(Grouping(groups=tuple((word,) for word in wanted)))
    verdict = judge.ask(group_prompt(wanted), read_groups)
    if verdict.value is None:
        return Verdict(None, verdict.served_model, verdict.problem)
    return Verdict(_partition(wanted, verdict.value), verdict.served_model)


def group_items(
    judge: Judge, items: Sequence[Item], predictions: Sequence[Prediction | None]
) -> tuple[tuple[Item, ...], tuple[Problem, ...]]:
    """Group the true and answered words of each clip, ready for `score_grouped`; groups that a clip has are kept.

    A clip whose groups could not be had stays without, and is named. Raises `ManifestError` for a clip without a truth.
    """

    def one(pair: tuple[Item, Prediction | None]) -> tuple[Item, list[Problem]]:
        item, prediction = pair
        if item.extra.get(GROUPS_KEY) is not None:
            return item, []
        verdict = group_labels(judge, [*true_words(item), *said_words(prediction)])
        problems = [judge_problem(item, prediction, what) for what in _faults(verdict)]
        if verdict.value is None:
            return item, problems
        return item.model_copy(update={"extra": {**item.extra, GROUPS_KEY: verdict.value.groups}}), problems

    found = judge.map(one, list(zip(items, predictions, strict=True)))
    return tuple(item for item, _ in found), tuple(problem for _, problems in found for problem in problems)


def judge_problem(item: Item, prediction: Prediction | None, what: str) -> Problem:
    """Name what a judge could not do for a clip, with the line of the prediction."""
    clip, line = item.clip.clip, prediction.line if prediction else None
    where = f"line {line}: {clip!r}" if line else repr(clip)
    return Problem(kind="judge", message=f"{where}: {what}", clip=clip, line=line)


def _faults(verdict: Verdict[Grouping]) -> list[str]:
    if verdict.value is None:
        return [verdict.problem]
    grouping = verdict.value
    parts = {"left out": grouping.alone, "added": grouping.unknown, "repeated": grouping.repeated}
    return [f"the judge {what} {', '.join(words)}" for what, words in parts.items() if words]


def _partition(wanted: Sequence[str], said: Sequence[Sequence[str]]) -> Grouping:
    left = dict.fromkeys(wanted)
    groups: list[tuple[str, ...]] = []
    unknown: dict[str, None] = {}
    repeated: dict[str, None] = {}
    for group in said:
        kept = []
        for word in group:
            if word in left:
                kept.append(word)
                del left[word]
            else:
                (repeated if word in wanted else unknown)[word] = None
        groups += [tuple(kept)] if kept else []
    alone = tuple(left)
    grouping = Grouping(groups=(*groups, *((word,) for word in alone)), alone=alone)
    return grouping.model_copy(update={"unknown": tuple(unknown), "repeated": tuple(repeated)})

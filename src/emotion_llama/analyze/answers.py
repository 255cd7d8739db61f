"""What the language model is asked about one clip, and what it answers."""

from __future__ import annotations

import logging
import random
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field

from emotion_llama.analyze.attribution import attribute
from emotion_llama.analyze.calibration import Calibration
from emotion_llama.analyze.perceive import Percept, Stopwatch
from emotion_llama.analyze.preset import TRAINED_LABELS
from emotion_llama.analyze.scoring import (
    OPEN_VOCABULARY,
    Inputs,
    LabelChances,
    blank_probabilities,
    score_labels,
    score_labels_together,
)
from emotion_llama.answer import parse_emotion, parse_last_word, parse_open
from emotion_llama.clip import Attribution, LabelScores, Modality, Task
from emotion_llama.model.score import ClipPrefix, ClipReader, label_orders
from emotion_llama.model.steps import Begun
from emotion_llama.model.together import Question
from emotion_llama.official.text import restore_sentences
from emotion_llama.perception.compose import (
    choose_clues,
    clue_phrases,
    compose_audio,
    compose_reason,
    compose_visual,
    reason_clues,
)
from emotion_llama.settings import AnalyzeSettings

log = logging.getLogger(__name__)

DRAFTS = 6
"""So many composed texts: with each the chance grows that one goes on as the model does."""


@dataclass(frozen=True)
class Answers:
    """Scores over the asked labels and the free texts by task, with the prompts behind them.

    `stated` is the emotion the reasoning text names. The prompt of `emotion` is that of the first label order.
    `trained`: labels the checkpoint was trained on. `zeros`: feature groups that were rows of zeros. `released`: the
    model is a converted release, which writes without capitals and full stops. `candidates`: the two likeliest labels
    where the model was not sure enough to give one. `gated`: inputs that cannot be trusted and were left out, and why.
    `language`: what the model writes; where another one is asked for, its text tasks were not asked.
    """

    emotion: str | None
    probabilities: dict[str, float]
    scores: LabelScores
    order_sensitivity: float
    label_mass: float
    labels: tuple[str, ...]
    texts: dict[Task, str]
    prompts: dict[Task, str]
    stated: str | None
    present: dict[Modality, bool] = field(default_factory=dict)
    trained: tuple[str, ...] = TRAINED_LABELS
    zeros: tuple[str, ...] = ()
    released: bool = False
    candidates: tuple[str, ...] = ()
    attribution: Attribution | None = None
    gated: dict[Modality, str] = field(default_factory=dict)
    language: str = "en"

    def shown(self, task: Task) -> str | None:
        """The text of a task as a person is to read it; `texts` holds it as it was written."""
        text = self.texts.get(task)
        return restore_sentences(text) if text is not None and self.released else text


@dataclass(frozen=True)
class Encoded:
    """A clip that the language model is to be asked about, with what is asked and the watch that times it."""

    reader: ClipReader
    calibration: Calibration
    percept: Percept
    inputs: Inputs
    settings: AnalyzeSettings
    watch: Stopwatch


@dataclass(frozen=True)
class Scored:
    """A clip that the language model has read and whose labels are scored: what its texts are asked from.

    `best`: the emotion that a reason is asked for. `written`: texts that are there already.
    """

    reader: ClipReader
    percept: Percept
    inputs: Inputs
    settings: AnalyzeSettings
    watch: Stopwatch
    scores: LabelChances
    unsure: bool
    best: str | None
    written: dict[Task, str]
    attribution: Attribution | None

    @property
    def likeliest(self) -> str:
        """The label that was scored best."""
        return max(self.scores.probabilities, key=lambda label: self.scores.probabilities[label])

    @property
    def tasks(self) -> tuple[Task, ...]:
        """What is asked."""
        return _asked_tasks(self.reader, self.settings, self.unsure)

    def questions(self) -> dict[Task, Question]:
        """What is to be written, by task; `emotion` only for the open set, where the words are the answer.

        The reason is asked for the label that was scored best, so that it explains the answer that is given.
        """
        best, most = self.best or self.likeliest, self.settings.max_new_tokens
        return {
            task: Question(
                task,
                (best,) if task == "reason" else self.settings.labels,
                clues_for(self.percept, task, best, self.reader.language),
                most,
                drafts_for(self.percept, task, best, self.reader.language),
            )
            for task in self.tasks
            if task != "emotion" or not self.settings.labels
        }


def score(clips: Sequence[Encoded]) -> list[Scored | Exception]:
    """Score the asked labels of several clips, and say what is to be written; a fault with one of them takes its place.

    Clips of which the same is asked are read side by side. All have readers of one model.
    """
    alike: dict[object, list[int]] = {}
    for place, clip in enumerate(clips):
        asked = clip.settings
        alike.setdefault((asked.layout, asked.labels, asked.label_orders, asked.seed, asked.phrasing), []).append(place)
    found: dict[int, Scored | Exception] = {}
    for places in alike.values():
        found |= zip(places, _scored([clips[place] for place in places]), strict=True)
    return [found[place] for place in range(len(clips))]


def _scored(clips: Sequence[Encoded]) -> list[Scored | Exception]:
    first = clips[0]
    try:
        with ExitStack() as timing:
            for clip in clips:
                timing.enter_context(clip.watch.time("score labels"))
            chances = score_labels_together(
                first.reader, first.calibration, [clip.inputs for clip in clips], first.settings
            )
    except Exception as error:
        if len(clips) == 1:
            return [error]
        log.warning("%d clips could not be read together, and are read one by one: %s", len(clips), error)
        return [found for clip in clips for found in _scored([clip])]  # whose fault it is shows now
    return [_with_texts(clip, one) for clip, one in zip(clips, chances, strict=True)]


def _with_texts(clip: Encoded, scored: LabelChances) -> Scored | Exception:
    """Say what is to be written.

    Where the model is not as sure as `settings` ask for, the answer gets no `emotion` but two `candidates`, and no
    reason is written: there is nothing to give reasons for. Nor are texts where another language than the model's is
    asked for.
    """
    reader, settings, watch = clip.reader, clip.settings, clip.watch
    asked = settings.labels or OPEN_VOCABULARY
    likeliest = max(scored.probabilities, key=lambda label: scored.probabilities[label])
    unsure = scored.probabilities[likeliest] < clip.calibration.least_confidence(settings, clip.inputs.present)
    try:
        with watch.time("generate"):
            written = _written(reader, scored.prefix, settings, asked)
        best = _best(settings, written, asked, likeliest)
        attribution = _attribution(clip, scored)
    except Exception as error:
        return error
    return Scored(reader, clip.percept, clip.inputs, settings, watch, scored, unsure, best, written, attribution)


def write(clips: Sequence[Scored]) -> list[Answers | Exception]:
    """Write the texts of several clips side by side; what goes wrong with one of them takes its place.

    All have readers of one model. Each clip's watch gets its texts while they are written.
    """
    failed: dict[int, Exception] = {}
    texts: list[dict[Task, str]] = [dict(clip.written) for clip in clips]

    def told(number: int, piece: str) -> bool:
        place, task = owners[number]
        try:
            clips[place].watch.written(task, piece)
        except Exception as error:  # whoever asked is gone
            failed.setdefault(place, error)
        return place not in failed

    with ExitStack() as timing:
        for clip in clips:
            timing.enter_context(clip.watch.time("generate"))
        owners, begun = _begun(clips, failed)
        written = clips[0].reader.write(begun, told) if begun else []
        for (place, task), text in zip(owners, written, strict=True):
            texts[place][task] = text
    return [failed.get(place) or _answers(clip, texts[place]) for place, clip in enumerate(clips)]


def _begun(clips: Sequence[Scored], failed: dict[int, Exception]) -> tuple[list[tuple[int, Task]], list[Begun]]:
    """Read the questions of all clips side by side; gives whose each is. `failed` gets what cannot be asked."""
    try:
        asked = [(place, task, one) for place, clip in enumerate(clips) for task, one in clip.questions().items()]
        read = clips[0].reader.begin_together([(clips[place].scores.prefix, one) for place, _, one in asked])
        return [(place, task) for place, task, _ in asked], read
    except Exception as error:
        if len(clips) > 1:
            log.warning("%d clips could not be asked together, and are asked one by one: %s", len(clips), error)
        alone = [_begun_alone(clip, place, failed) for place, clip in enumerate(clips)]
        return [one for owners, _ in alone for one in owners], [one for _, begun in alone for one in begun]


def _begun_alone(clip: Scored, place: int, failed: dict[int, Exception]) -> tuple[list[tuple[int, Task]], list[Begun]]:
    try:
        questions = clip.questions()
        read = clip.reader.begin_together([(clip.scores.prefix, one) for one in questions.values()])
    except Exception as error:
        failed[place] = error
        return [], []
    return [(place, task) for task in questions], read


def _answers(clip: Scored, texts: dict[Task, str]) -> Answers:
    settings, scored, chances = clip.settings, clip.scores, clip.scores.probabilities
    asked = settings.labels or OPEN_VOCABULARY
    ranked = sorted(chances, key=lambda label: -chances[label])
    return Answers(
        emotion=None if clip.unsure else clip.best,
        candidates=tuple(ranked[:2]) if clip.unsure else (),
        probabilities=chances,
        scores=LabelScores(raw=scored.raw, prior_corrected=scored.corrected),
        order_sensitivity=float(scored.likelihoods.order_sensitivity),
        label_mass=float(scored.likelihoods.label_mass),
        labels=parse_open(texts["emotion"]) if not settings.labels and "emotion" in texts else (),
        texts=texts,
        prompts=_prompts(clip),
        stated=parse_emotion(texts["reason"], asked) if "reason" in texts else None,
        zeros=tuple(name for name in scored.prefix.features if name not in clip.inputs.features),
        attribution=clip.attribution,
        language=clip.reader.language,
    )


def _asked_tasks(reader: ClipReader, settings: AnalyzeSettings, unsure: bool) -> tuple[Task, ...]:
    """Tasks that the model is asked. Its label is the same in every language; what it writes is in its own only."""
    foreign = reader.language != settings.language
    return tuple(x for x in settings.tasks if x == "emotion" or not (foreign or (x == "reason" and unsure)))


def _best(settings: AnalyzeSettings, written: Mapping[Task, str], asked: tuple[str, ...], likeliest: str) -> str | None:
    if settings.label_method == "likelihood":
        return likeliest
    best = parse_last_word(written["emotion"], asked)
    if best is None and settings.label_method == "generate-last-word-or-neutral" and "neutral" in asked:
        return "neutral"
    return best


def _attribution(clip: Encoded, scored: LabelChances) -> Attribution | None:
    """Where asked for: what each input contributed to the likeliest label, from every set of them alone."""
    reader, calibration, inputs, settings = clip.reader, clip.calibration, clip.inputs, clip.settings
    if not settings.attribution:
        return None

    def chances_of(some: tuple[Modality, ...]) -> dict[str, float]:
        if some == inputs.present:
            return scored.probabilities
        if not some:
            return blank_probabilities(reader, calibration, settings)
        return score_labels(reader, calibration, inputs.only(some), settings).probabilities

    with clip.watch.time("attribution"):
        likeliest = max(scored.probabilities, key=lambda label: scored.probabilities[label])
        return attribute(likeliest, inputs.present, chances_of)


def _written(
    reader: ClipReader, prefix: ClipPrefix, settings: AnalyzeSettings, asked: tuple[str, ...]
) -> dict[Task, str]:
    """Let the model write the label, where that is how it is to be read."""
    if settings.label_method == "likelihood":
        return {}
    return {"emotion": reader.answer(prefix, Question("emotion", asked, max_new_tokens=settings.max_new_tokens))}


def _prompts(clip: Scored) -> dict[Task, str]:
    """Give what the model was asked; a label is always scored, so `emotion` is always there."""
    settings, best, found = clip.settings, clip.best or clip.likeliest, {}
    for task in dict.fromkeys(("emotion", *clip.tasks)):
        scored_only = task == "emotion" and "emotion" not in clip.tasks
        labels = (settings.labels or OPEN_VOCABULARY) if scored_only else settings.labels
        if task == "reason":
            labels = (best,)
        if task == "emotion" and labels and settings.label_method == "likelihood":
            labels = label_orders(labels, settings.label_orders, settings.seed)[0]
        clues = clues_for(clip.percept, task, best, clip.reader.language)
        found[task] = clip.reader.prompt(clip.scores.prefix, task, labels, clues, settings.phrasing)
    return found


def drafts_for(percept: Percept, task: Task, emotion: str, code: str = "en") -> tuple[str, ...]:
    """Give texts that the answer may resemble: put together from the same clues, as those that models are taught with.

    They are guesses for writing fast; what is written does not depend on them.
    """
    composed = []
    for seed in range(DRAFTS):
        rng = random.Random(seed)
        if task == "reason":
            composed.append(compose_reason(percept.observations, emotion, rng, percept.transcript.text, code))
        elif task in ("visual", "audio"):
            compose = compose_visual if task == "visual" else compose_audio
            composed.append(compose(percept.observations, rng, code))
    return tuple(dict.fromkeys(composed))


def clues_for(percept: Percept, task: Task, emotion: str, code: str = "en") -> tuple[str, ...]:
    """Give the measured clues, in words, that a text task may use: those of its channel, or the most telling of all.

    Those for a reason are the ones that it is to name, in its order; each says whether it speaks for `emotion`. `code`:
    the language of the prompt.
    """
    if task == "emotion":
        return ()
    channels = {"reason": ("face", "voice", "words"), "visual": ("face", "scene"), "audio": ("voice", "words")}[task]
    observations = [o for o in percept.observations if o.channel in channels]
    if task == "reason":
        return clue_phrases(reason_clues(observations, emotion), emotion, code)
    return clue_phrases(choose_clues(observations), code=code)

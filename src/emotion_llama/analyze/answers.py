"""What the language model is asked about one clip, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass, field

from emotion_llama.analyze.calibration import Calibration, Opinions
from emotion_llama.analyze.perceive import Percept, Stopwatch, present_inputs
from emotion_llama.analyze.preset import TRAINED_LABELS
from emotion_llama.answer import parse_emotion, parse_last_word, parse_open
from emotion_llama.clip import LabelScores, Modality, Task
from emotion_llama.encoders.features import Features
from emotion_llama.labels import SYNONYMS
from emotion_llama.model.score import ClipPrefix, ClipReader, label_orders
from emotion_llama.official.text import restore_sentences
from emotion_llama.perception.compose import choose_clues, clue_phrases, reason_clues
from emotion_llama.settings import AnalyzeSettings

OPEN_VOCABULARY = tuple(SYNONYMS)
"""The words that are scored when no label set is asked for; the model's own words are listed beside them."""


PROMPT_WORDS = 250
"""The model reads this many words of a transcript: longer prompts than it was trained on help nobody."""


@dataclass(frozen=True)
class Answers:
    """Scores over the asked labels and the free texts by task, with the prompts behind them.

    `stated` is the emotion the reasoning text names. The prompt of `emotion` is that of the first label order.
    `trained`: labels the checkpoint was trained on. `zeros`: feature groups that were rows of zeros. `released`: the
    model is a converted release, which writes without capitals and full stops.
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

    def shown(self, task: Task) -> str | None:
        """The text of a task as a person is to read it; `texts` holds it as it was written."""
        text = self.texts.get(task)
        return restore_sentences(text) if text is not None and self.released else text


def ask(
    reader: ClipReader,
    calibration: Calibration,
    percept: Percept,
    features: Features,
    opinions: Opinions,
    settings: AnalyzeSettings,
    watch: Stopwatch,
) -> Answers:
    """Score the asked labels and generate the asked texts, all from one reading of the clip.

    `opinions` of the heads count beside the language model's scores as much as the calibration says.
    """
    asked = settings.labels or OPEN_VOCABULARY
    with watch.time("read clip"):
        prefix = reader.read(features, shortened(percept.transcript.text))
    with watch.time("score labels"):
        orders, seed, phrasing = settings.label_orders, settings.seed, settings.phrasing
        likelihoods = reader.score(prefix, asked, orders=orders, seed=seed, phrasing=phrasing)
        prior = reader.prior(asked, orders=orders, seed=seed, phrasing=phrasing)
    raw = dict(zip(asked, (float(x) for x in likelihoods.mean), strict=True))
    corrected = calibration.correct(raw, dict(zip(asked, (float(x) for x in prior.mean), strict=True)))
    present = [name for name, there in present_inputs(percept, settings).items() if there]
    probabilities = calibration.probabilities(corrected, present, opinions)
    likeliest = max(probabilities, key=lambda label: probabilities[label])
    with watch.time("generate"):
        written = _written(reader, prefix, settings, asked)
        best = likeliest if settings.label_method == "likelihood" else parse_last_word(written["emotion"], asked)
        if best is None and settings.label_method == "generate-last-word-or-neutral" and "neutral" in asked:
            best = "neutral"
        texts = written | _texts(reader, prefix, percept, settings, best or likeliest)
    return Answers(
        emotion=best,
        probabilities=probabilities,
        scores=LabelScores(raw=raw, prior_corrected=corrected),
        order_sensitivity=float(likelihoods.order_sensitivity),
        label_mass=float(likelihoods.label_mass),
        labels=parse_open(texts["emotion"]) if not settings.labels and "emotion" in texts else (),
        texts=texts,
        prompts=_prompts(reader, prefix, percept, settings, best or likeliest),
        stated=parse_emotion(texts["reason"], asked) if "reason" in texts else None,
        zeros=tuple(name for name in prefix.features if name not in features),
    )


def shortened(text: str | None) -> str | None:
    """Keep the first `PROMPT_WORDS` words of a transcript; `results` warns where words were left out."""
    if text is None or len(text.split()) <= PROMPT_WORDS:
        return text
    return " ".join(text.split()[:PROMPT_WORDS])


def _written(
    reader: ClipReader, prefix: ClipPrefix, settings: AnalyzeSettings, asked: tuple[str, ...]
) -> dict[Task, str]:
    """Let the model write the label, where that is how it is to be read."""
    if settings.label_method == "likelihood":
        return {}
    return {"emotion": reader.answer(prefix, "emotion", labels=asked, max_new_tokens=settings.max_new_tokens)}


def _texts(
    reader: ClipReader, prefix: ClipPrefix, percept: Percept, settings: AnalyzeSettings, best: str
) -> dict[Task, str]:
    """Generate the text tasks; `emotion` is generated only for the open set, where the words are the answer.

    The reason is asked for the label that was scored best, so that it explains the answer that is given.
    """
    texts: dict[Task, str] = {}
    for task in settings.tasks:
        if task == "emotion" and settings.labels:
            continue
        clues = clues_for(percept, task, best)
        texts[task] = reader.answer(
            prefix,
            task,
            labels=(best,) if task == "reason" else settings.labels,
            clues=clues,
            max_new_tokens=settings.max_new_tokens,
            seed=settings.seed,
        )
    return texts


def _prompts(
    reader: ClipReader, prefix: ClipPrefix, percept: Percept, settings: AnalyzeSettings, best: str
) -> dict[Task, str]:
    """Give what the model was asked; a label is always scored, so `emotion` is always there."""
    found: dict[Task, str] = {}
    for task in dict.fromkeys(("emotion", *settings.tasks)):
        scored_only = task == "emotion" and "emotion" not in settings.tasks
        labels = (settings.labels or OPEN_VOCABULARY) if scored_only else settings.labels
        if task == "reason":
            labels = (best,)
        if task == "emotion" and labels and settings.label_method == "likelihood":
            labels = label_orders(labels, settings.label_orders, settings.seed)[0]
        found[task] = reader.prompt(prefix, task, labels, clues_for(percept, task, best), settings.phrasing)
    return found


def clues_for(percept: Percept, task: Task, emotion: str) -> tuple[str, ...]:
    """Give the measured clues, in words, that a text task may use: those of its channel, or the most telling of all.

    Those for a reason are the ones that it is to name, in its order; each says whether it speaks for `emotion`.
    """
    if task == "emotion":
        return ()
    channels = {"reason": ("face", "voice", "words"), "visual": ("face", "scene"), "audio": ("voice", "words")}[task]
    observations = [o for o in percept.observations if o.channel in channels]
    if task == "reason":
        return clue_phrases(reason_clues(observations, emotion), emotion)
    return clue_phrases(choose_clues(observations))

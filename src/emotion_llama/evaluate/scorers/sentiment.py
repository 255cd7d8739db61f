"""Scorer of sentiment sets: free words, a label or a stated valence → the sign of the sentiment.

MER-UniBench lets a language model say whether a set of words is positive, negative or neutral. Here the mean valence of
the words decides, by the label table and, for words it does not hold, by our lexicon: the same every time, but not the
published procedure, which the notes say.
"""

from __future__ import annotations

from collections.abc import Sequence

from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Prediction, Problem, Scored
from emotion_llama.evaluate.scorers.label_sets import open_intervals, said_words
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.labels import VALENCE, VALENCE_SOURCE, canonical, is_known
from emotion_llama.metrics.sentiment import sign_statistic
from emotion_llama.metrics.statistic import Metric
from emotion_llama.metrics.wheel import WheelTables, own_tables

CHANCE = 0.5


def word_valence(word: str, tables: WheelTables) -> float | None:
    """Give the valence of a word, -1 to 1: by the label table, else by the lexicon; `None` = unknown."""
    if is_known(word):
        return VALENCE[canonical(word)]
    families = tables.reach(word)
    values = [VALENCE[canonical(name)] if is_known(name) else tables.valence.get(name) for name in families]
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def answered_valence(prediction: Prediction | None, tables: WheelTables) -> float | None:
    """Give the mean valence of the answered words, else the stated valence; `None` = neither says anything."""
    values = [word_valence(word, tables) for word in said_words(prediction)]
    known = [value for value in values if value is not None]
    if known:
        return round(sum(known) / len(known), 9)  # so that words that cancel out give exactly 0
    return prediction.valence if prediction is not None else None


def score_sentiment(
    items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
) -> Scored:
    """Score the sign of the sentiment: weighted F1 (headline) and accuracy over clips whose true valence is not 0.

    Clips of valence 0 are left out and counted in the settings. Raises `ManifestError` for a clip without a valence,
    `UsageError` if no clip is left.
    """
    pairs = [pair for pair in zip(items, predictions, strict=True) if _truth(pair[0]) != 0]
    if not pairs:
        raise UsageError(f"expected clips with a true valence other than 0, found none among {len(items)}")
    tables = own_tables()
    kept, truth = [item for item, _ in pairs], [_truth(item) for item, _ in pairs]
    said = [answered_valence(prediction, tables) for _, prediction in pairs]
    positive = sum(value > 0 for value in truth) / len(truth)
    majority = max(positive, 1 - positive)
    metrics = open_intervals(kept, [sign_statistic(truth, said)], settings)
    return Scored(
        n_asked=len(kept),
        n_scored=sum(value is not None for value in said),
        metrics=metrics | {"sign_accuracy": _guesses(metrics["sign_accuracy"], majority)},
        headline=("sign_weighted_f1", "sign_accuracy"),
        chance=CHANCE,
        majority=majority,
        class_counts={"positive": round(positive * len(truth)), "negative": round((1 - positive) * len(truth))},
        settings={
            "truth_zero_left_out": len(items) - len(kept),
            "valence_source": f"{VALENCE_SOURCE}, {tables.source}",
            "draws": settings.draws,
            "seed": settings.seed,
        },
        notes=(
            "the sign comes from the mean valence of the answered words, not from a language model as in MER-UniBench; "
            "a neutral answer counts as not positive, as there",
        ),
        problems=tuple(
            _no_sign(item, prediction)
            for (item, prediction), value in zip(pairs, said, strict=True)
            if prediction is not None and value is None
        ),
    )


def _guesses(metric: Metric, majority: float) -> Metric:
    return metric.model_copy(update={"chance": CHANCE, "majority": majority})


def _truth(item: Item) -> float:
    if item.clip.valence is None:
        raise ManifestError(f"clip {item.clip.clip!r}: expected a true valence (sentiment), found none")
    return item.clip.valence


def _no_sign(item: Item, prediction: Prediction) -> Problem:
    clip, line = item.clip.clip, prediction.line
    words = ", ".join(said_words(prediction))
    what = f"no valence is known for {words[:80]!r}" if words else "it has no labels, emotion or valence"
    return Problem(kind="no-label", message=f"{clip!r}: {what}; counted as wrong", clip=clip, line=line)

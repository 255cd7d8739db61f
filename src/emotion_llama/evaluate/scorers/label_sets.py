"""Scorers of free emotion words against true words: MER2024's grouping metric, and the sign of a sentiment.

An answer is `Prediction.labels`, or `Prediction.emotion` alone where there are none. A clip without an answer counts as
nothing said: it scores 0 and is named.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.evaluate.records import Item, Prediction, Problem, Scored
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.grouping import Groups, group_heads, grouped, is_groups, table_heads
from emotion_llama.metrics.label_sets import Words, set_scores, set_statistic, share_statistic, word_set
from emotion_llama.metrics.resample import intervals, speaker_codes
from emotion_llama.metrics.statistic import Metric, Statistic

GROUPS_KEY = "groups"
"""Where `Item.extra` holds the stored groups of synonyms of a clip."""


@dataclass(frozen=True)
class OpenAnswers:
    """True and answered words of each clip, and the answers that hold none."""

    truths: tuple[Words, ...]
    said: tuple[Words, ...]
    n_answered: int
    problems: tuple[Problem, ...]


def score_grouped(
    items: Sequence[Item], predictions: Sequence[Prediction | None], labels: Sequence[str], settings: ScoreSettings
) -> Scored:
    """Score free words as MER2024-OV does: synonyms made one by stored groups, then set accuracy, recall, their mean.

    The groups of a clip stand in `item.extra["groups"]`. Where no clip has groups, the synonyms of our label table
    take their place, which the notes say: that is not the MER2024 number. `group_coverage` is the share of answered
    words that stand in a group: low when the groups were made for another system's answers. Raises `UsageError` for
    no items, `ManifestError` for a clip without true labels or with groups that are none.
    """
    answers = read_open_answers(items, predictions)
    stored = [stored_groups(item) for item in items]
    by_table = all(groups is None for groups in stored)
    truths, said, covered = [], [], []
    for truth, words, groups in zip(answers.truths, answers.said, stored, strict=True):
        heads = table_heads(truth | words) if by_table else group_heads(groups or ())
        truths.append(grouped(truth, heads))
        said.append(grouped(words, heads))
        covered.append(sum(word in heads for word in words))
    statistics = [
        set_statistic(truths, said),
        share_statistic("group_coverage", covered, [len(words) for words in answers.said]),
    ]
    metrics = with_majority(open_intervals(items, statistics, settings), _majority(truths))
    source = "synonyms of the label table" if by_table else "stored groups of each clip"
    notes = (
        (
            "no stored groups: words were made one by the synonyms of our label table; "
            "not comparable with MER2024 figures",
        )
        if by_table
        else ()
    )
    return Scored(
        n_asked=len(items),
        n_scored=answers.n_answered,
        metrics=metrics,
        headline=("set_avg", "set_accuracy", "set_recall"),
        settings={"grouping": source, "draws": settings.draws, "seed": settings.seed},
        notes=notes,
        problems=(*answers.problems, *([] if by_table else _ungrouped(items, stored))),
    )


def read_open_answers(items: Sequence[Item], predictions: Sequence[Prediction | None]) -> OpenAnswers:
    """Give the words of each clip. Raises `UsageError` for no items, `ManifestError` for a clip without a truth."""
    if not items:
        raise UsageError("expected at least one clip to score, found none")
    if len(items) != len(predictions):
        raise UsageError(f"expected one answer or None a clip, found {len(predictions)} for {len(items)} clips")
    said = tuple(word_set(said_words(prediction)) for prediction in predictions)
    problems = tuple(
        _no_label(item, prediction)
        for item, prediction, words in zip(items, predictions, said, strict=True)
        if prediction is not None and not words  # whoever matched answers to clips names the missing ones
    )
    return OpenAnswers(tuple(map(true_words, items)), said, sum(map(bool, said)), problems)


def true_words(item: Item) -> Words:
    """Give the true words of a clip. Raises `ManifestError` if it has none."""
    clip = item.clip
    words = word_set(clip.labels or ((clip.emotion,) if clip.emotion else ()))
    if not words:
        raise ManifestError(f"clip {clip.clip!r}: expected labels (or an emotion) to score against, found none")
    return words


def said_words(prediction: Prediction | None) -> tuple[str, ...]:
    """Give the answered words: the labels, or the emotion where there are none."""
    if prediction is None:
        return ()
    return prediction.labels or ((prediction.emotion,) if prediction.emotion else ())


def stored_groups(item: Item) -> Groups | None:
    """Give the stored groups of a clip, `None` where it has none. Raises `ManifestError` if they are no groups."""
    groups = item.extra.get(GROUPS_KEY)
    if groups is None:
        return None
    if not is_groups(groups):
        raise ManifestError(
            f"clip {item.clip.clip!r}: expected groups as a list of lists of words, found {str(groups)[:80]!r}"
        )
    return tuple(tuple(group) for group in groups if group)


def open_intervals(
    items: Sequence[Item], statistics: Sequence[Statistic], settings: ScoreSettings
) -> dict[str, Metric]:
    """Give all scores with their intervals, speakers drawn first where they are known."""
    groups = speaker_codes([item.clip.speaker for item in items])
    return intervals(statistics, [], n=len(items), groups=groups, draws=settings.draws, seed=settings.seed)


def with_majority(metrics: dict[str, Metric], majority: Mapping[str, float | None]) -> dict[str, Metric]:
    """Put beside each metric what always naming the commonest true word reaches, where that is given."""
    return {
        name: metric.model_copy(update={"majority": majority[name]}) if name in majority else metric
        for name, metric in metrics.items()
    }


def commonest_word(truths: Sequence[Words]) -> str:
    """Give the word that stands in most true sets; of equals the alphabetically first."""
    counts = Counter(word for words in truths for word in words)
    return min(counts, key=lambda word: (-counts[word], word))


def _majority(truths: Sequence[Words]) -> dict[str, float | None]:
    word = frozenset([commonest_word(truths)])
    scores = [set_scores(truth, word) for truth in truths]
    accuracy, recall = (sum(side) / len(scores) for side in zip(*scores, strict=True))
    return {"set_accuracy": accuracy, "set_recall": recall, "set_avg": (accuracy + recall) / 2}


def _no_label(item: Item, prediction: Prediction) -> Problem:
    clip, line = item.clip.clip, prediction.line
    message = f"{clip!r} has neither labels nor an emotion: counted as nothing said"
    return Problem(kind="no-label", message=message, clip=clip, line=line)


def _ungrouped(items: Sequence[Item], stored: Sequence[Groups | None]) -> list[Problem]:
    return [
        Problem(
            kind="judge",
            message=f"{item.clip.clip!r} has no stored groups: its words were compared as they stand",
            clip=item.clip.clip,
        )
        for item, groups in zip(items, stored, strict=True)
        if groups is None
    ]

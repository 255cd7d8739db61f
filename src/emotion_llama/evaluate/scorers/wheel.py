"""Scorers by emotion wheels: free words against free words (`score_wheel`) or against one label (`score_hits`).

The tables default to our own lexicon; `functools.partial(score_wheel, tables=read_official(folder))` gives a scorer
with the official ones. Which tables were used, with their hash, stands in the settings of every score.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.records import Item, Prediction, Scored
from emotion_llama.evaluate.scorers.label_sets import (
    commonest_word,
    open_intervals,
    read_open_answers,
    with_majority,
)
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.label_sets import normalise
from emotion_llama.metrics.resample import point_scores
from emotion_llama.metrics.wheel import WheelTables, hit_statistic, own_tables, wheel_statistic, wheel_values

CANDIDATES_KEY = "candidates"
"""Where `Item.extra` holds the labels that a clip's data set knows."""

MAX_UNMAPPED = 50
_OWN_NOTE = "tables: our own lexicon (docs/wheel.md); not comparable with published EW figures"


def score_wheel(
    items: Sequence[Item],
    predictions: Sequence[Prediction | None],
    labels: Sequence[str],
    settings: ScoreSettings,
    tables: WheelTables | None = None,
) -> Scored:
    """Score free words by the emotion-wheel metric at two levels, with coverage and the strict variant.

    The settings hold the F of each wheel and the commonest words that no wheel holds. Raises `UsageError` for no items,
    `ManifestError` for a clip without true labels.
    """
    tables = tables or own_tables()
    answers = read_open_answers(items, predictions)
    found = open_intervals(items, [wheel_statistic(answers.truths, answers.said, tables)], settings)
    common = frozenset([commonest_word(answers.truths)])
    guess = wheel_values(answers.truths, [common] * len(items), tables)
    guess = {name: value for name, value in guess.items() if name.startswith("ew_")}
    unmapped = Counter(
        word for words in (*answers.truths, *answers.said) for word in words if not _is_mapped(word, tables)
    )
    return Scored(
        n_asked=len(items),
        n_scored=answers.n_answered,
        metrics=with_majority({name: metric for name, metric in found.items() if ":" not in name}, guess),
        headline=("ew_f1_level1", "ew_f1_level2", "truth_coverage", "prediction_coverage"),
        settings={
            **table_settings(tables, settings),
            "wheels": {name: metric.value for name, metric in found.items() if ":" in name},
            "unmapped_words": dict(unmapped.most_common(MAX_UNMAPPED)),
        },
        notes=_notes(tables),
        problems=answers.problems,
    )


def score_hits(
    items: Sequence[Item],
    predictions: Sequence[Prediction | None],
    labels: Sequence[str],
    settings: ScoreSettings,
    tables: WheelTables | None = None,
) -> Scored:
    """Score free words against one true label: MER-UniBench's hit rate and its companion that looks at set size.

    Candidate labels are `labels`, else `item.extra["candidates"]`, else the true labels that occur. Raises `UsageError`
    for no items, `ManifestError` for a clip without one true label.
    """
    tables = tables or own_tables()
    truths = [_one_label(item) for item in items]
    answers = read_open_answers(items, predictions)
    asked = {*labels, *(label for item in items for label in item.extra.get(CANDIDATES_KEY, ()))}
    candidates = sorted({normalise(label) for label in asked} or set(truths))
    metrics = open_intervals(items, [hit_statistic(truths, answers.said, candidates, tables)], settings)
    guesses = _guesses(truths, candidates, tables)
    lost = sorted({truth for truth in truths if not _is_mapped(truth, tables)})
    notes = (f"labels that no wheel holds, so that their clips are left out: {', '.join(lost)}",) if lost else ()
    return Scored(
        n_asked=len(items),
        n_scored=answers.n_answered,
        metrics=metrics | {"hit_rate": metrics["hit_rate"].model_copy(update=guesses)},
        headline=("hit_rate", "mscore"),
        chance=guesses["chance"],
        majority=guesses["majority"],
        class_counts=dict(Counter(truths)),
        settings={**table_settings(tables, settings), "candidates": candidates},
        notes=(*_notes(tables), *notes),
        problems=answers.problems,
    )


def table_settings(tables: WheelTables, settings: ScoreSettings) -> dict[str, Any]:
    """Give what a report must say about the tables and the draws."""
    return {
        "wheel_tables": tables.source,
        "wheel_tables_sha256": tables.sha256,
        "draws": settings.draws,
        "seed": settings.seed,
    }


def _guesses(truths: Sequence[str], candidates: Sequence[str], tables: WheelTables) -> dict[str, float | None]:
    """Hit rate of naming one candidate by chance, and of always naming the commonest."""
    counts = Counter(truths)
    rates = []
    for label in dict.fromkeys((counts.most_common(1)[0][0], *candidates)):
        statistic = hit_statistic(truths, [frozenset([label])] * len(truths), candidates, tables)
        value = float(point_scores(statistic)["hit_rate"][0])
        rates.append((label, None if np.isnan(value) else value))
    majority = rates[0][1]
    asked = [value for label, value in rates if label in candidates and value is not None]
    return {"chance": sum(asked) / len(asked) if asked else None, "majority": majority}


def _notes(tables: WheelTables) -> tuple[str, ...]:
    return (_OWN_NOTE,) if tables is own_tables() else ()


def _is_mapped(word: str, tables: WheelTables) -> bool:
    return any(tables.sector(word, wheel, 1) is not None for wheel in tables.wheels)


def _one_label(item: Item) -> str:
    label = item.clip.emotion or (item.clip.labels[0] if item.clip.labels and len(item.clip.labels) == 1 else None)
    if not label:
        raise ManifestError(
            f"clip {item.clip.clip!r}: expected one true emotion for the hit rate, found none or several"
        )
    return normalise(label)

"""The emotion-wheel metric (EW) of MER2025 and MER2026, with its coverage and a strict variant.

For a wheel w and a level l each word of the truth and of the answer becomes a sector of the wheel (`WheelTables`); then

    P = mean over clips of |G∩P| / |P|      R = mean of |G∩P| / |G|      F = 2PR / (P + R), of the means
    EW(l) = mean of F over the wheels

As published, words that no table knows are dropped, clips whose truth is thereby empty are left out for that wheel, and
an answer that is thereby empty scores 0. So much can vanish that the shares are given beside: `truth_coverage`,
`prediction_coverage` (words that were mapped, mean over wheels) and `samples_kept`. The strict variant (`…_strict`)
drops nothing: an unknown word is a sector of its own, met only by itself.

Source: MERTools, MER2026_Track2/my_affectgpt/evaluation/wheel.py; the hit rate is MER-UniBench's (AffectGPT, 2025).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import UsageError
from emotion_llama.metrics.label_sets import Words, harmonic_mean, ratio, set_scores
from emotion_llama.metrics.resample import point_scores
from emotion_llama.metrics.statistic import Scores, Statistic
from emotion_llama.metrics.wheel_tables import LEVELS, WheelTables, own_tables, read_official

__all__ = ["LEVELS", "WheelTables", "hit_statistic", "own_tables", "read_official", "wheel_statistic", "wheel_values"]

_UNKNOWN = "\0"  # marks a strict sector, so that an unknown word never meets a sector of the same name
_VARIANTS = ("", "_strict")


def wheel_statistic(truths: Sequence[Words], predictions: Sequence[Words], tables: WheelTables) -> Statistic:
    """Give the scores of the emotion-wheel metric.

    `ew_f1_level1, ew_precision_level1, ew_recall_level1`, the same for level 2 and with `_strict`; `truth_coverage`,
    `prediction_coverage`, `samples_kept`; and the F of each wheel after a colon (`ew_f1_level1:<wheel>`).
    A wheel in which no clip is kept makes the plain scores NaN (not defined). Raises `UsageError` for unequal lengths.
    """
    _check(truths, predictions)
    wheels = tuple(tables.wheels)
    columns = np.concatenate(
        [_overlap_columns(truths, predictions, sectors) for sectors in _all_sectors(truths, predictions, tables)]
        + [_coverage_columns(side, tables) for side in (truths, predictions)],
        axis=1,
    )
    return Statistic(
        np.zeros(len(truths), np.int64), 1, columns, lambda counts, sums: _scores(counts[:, 0], sums, wheels)
    )


def wheel_values(truths: Sequence[Words], predictions: Sequence[Words], tables: WheelTables) -> dict[str, float | None]:
    """Give the scores of `wheel_statistic` on the clips as they are, without intervals; `None` = not defined."""
    scores = point_scores(wheel_statistic(truths, predictions, tables))
    return {name: None if np.isnan(value[0]) else float(value[0]) for name, value in scores.items()}


def hit_statistic(
    truths: Sequence[str], predictions: Sequence[Words], candidates: Iterable[str], tables: WheelTables
) -> Statistic:
    """Give `hit_rate, mscore, samples_kept` of one true label a clip against free words, mean over wheels at level 1.

    A hit: the truth's sector is among the answer's. `mscore` divides a hit by the number of answered sectors that
    belong to `candidates`, so that naming everything does not pay. A clip whose truth a wheel does not hold is left
    out for that wheel. Raises `UsageError` for unequal lengths.
    """
    _check(truths, predictions)
    blocks = []
    for wheel in tables.wheels:
        sectors = _sectors(_vocabulary([frozenset((*truths, *candidates)), *predictions]), tables, wheel, 1)
        possible = {sectors[label] for label in candidates} - {None}
        blocks.append(
            [
                _hit(sectors[truth], _map(said, sectors), possible)
                for truth, said in zip(truths, predictions, strict=True)
            ]
        )
    columns = np.array(blocks, np.float32).transpose(1, 0, 2).reshape(len(truths), -1)

    def finish(counts: NDArray[np.float64], sums: NDArray[np.float64]) -> Scores:
        hits, scores, kept = np.moveaxis(sums.reshape(len(sums), -1, 3), 2, 0)
        return {
            "hit_rate": ratio(hits, kept).mean(axis=1),
            "mscore": ratio(scores, kept).mean(axis=1),
            "samples_kept": ratio(kept, counts[:, :1]).mean(axis=1),
        }

    return Statistic(np.zeros(len(truths), np.int64), 1, columns, finish)


def _hit(truth: str | None, said: Words, possible: set[str | None]) -> tuple[float, float, float]:
    if truth is None:
        return 0.0, 0.0, 0.0
    hit = float(truth in said)
    return hit, hit / len(said & possible) if hit else 0.0, 1.0


def _all_sectors(
    truths: Sequence[Words], predictions: Sequence[Words], tables: WheelTables
) -> list[dict[str, str | None]]:
    """Word → sector for each level and wheel, in this order."""
    words = _vocabulary([*truths, *predictions])
    return [_sectors(words, tables, wheel, level) for level in LEVELS for wheel in tables.wheels]


def _sectors(words: Words, tables: WheelTables, wheel: str, level: int) -> dict[str, str | None]:
    return {word: tables.sector(word, wheel, level) for word in words}


def _vocabulary(sets: Iterable[Words]) -> Words:
    return frozenset().union(*sets)


def _map(words: Words, sectors: dict[str, str | None], strict: bool = False) -> Words:
    mapped = (sectors[word] if sectors[word] is not None or not strict else _UNKNOWN + word for word in words)
    return frozenset(sector for sector in mapped if sector is not None)


def _overlap_columns(
    truths: Sequence[Words], predictions: Sequence[Words], sectors: dict[str, str | None]
) -> NDArray[np.float32]:
    """(n, 5): precision, recall, kept; strict precision and recall."""
    rows = []
    for truth, said in zip(truths, predictions, strict=True):
        mapped = _map(truth, sectors)
        plain = set_scores(mapped, _map(said, sectors))
        strict = set_scores(_map(truth, sectors, strict=True), _map(said, sectors, strict=True))
        rows.append((*plain, bool(mapped), *strict))
    return np.array(rows, np.float32).reshape(len(truths), 5)


def _coverage_columns(sets: Sequence[Words], tables: WheelTables) -> NDArray[np.float32]:
    """(n, 2): words, and words that were mapped (mean over wheels)."""
    share = {
        word: sum(tables.sector(word, wheel, 1) is not None for wheel in tables.wheels) / len(tables.wheels)
        for word in _vocabulary(sets)
    }
    rows = [(len(words), sum(share[word] for word in words)) for words in sets]
    return np.array(rows, np.float32).reshape(len(sets), 2)


def _scores(n: NDArray[np.float64], sums: NDArray[np.float64], wheels: Sequence[str]) -> Scores:
    overlap = sums[:, :-4].reshape(len(sums), len(LEVELS), len(wheels), 5)
    kept = overlap[..., 2]
    scores: Scores = {}
    for variant, first, below in zip(_VARIANTS, (0, 3), (kept, n[:, None, None]), strict=True):
        precision, recall = (ratio(overlap[..., first + part], below) for part in (0, 1))
        f1 = harmonic_mean(precision, recall)
        for row, level in enumerate(LEVELS):
            for name, values in (("f1", f1), ("precision", precision), ("recall", recall)):
                scores[f"ew_{name}_level{level}{variant}"] = values[:, row].mean(axis=1)
            if not variant:
                scores |= {f"ew_f1_level{level}:{wheel}": f1[:, row, place] for place, wheel in enumerate(wheels)}
    scores["truth_coverage"] = ratio(sums[:, -3], sums[:, -4])
    scores["prediction_coverage"] = ratio(sums[:, -1], sums[:, -2])
    scores["samples_kept"] = ratio(kept[:, 0], n[:, None]).mean(axis=1)
    return scores


def _check(truths: Sequence[object], predictions: Sequence[object]) -> None:
    if len(truths) != len(predictions):
        raise UsageError(f"expected one answered set a truth, found {len(predictions)} for {len(truths)}")

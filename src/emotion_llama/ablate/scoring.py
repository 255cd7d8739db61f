"""Scores of cells: the mean over seeds, its interval over people, and the paired difference to the baseline.

A draw of the bootstrap takes speakers and clips once for all seeds and averages the seeds inside, so that the interval
says how far the score of this recipe may lie elsewhere for other people; the spread over seeds stands beside it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
from numpy.typing import NDArray

from emotion_llama.ablate.answers import Answered, common_clips
from emotion_llama.ablate.config import Scoring
from emotion_llama.ablate.record import CellMetric, CellScores, Compared, Spread
from emotion_llama.errors import ManifestError
from emotion_llama.evaluate.scorers.label_confidence import score_confidence
from emotion_llama.evaluate.scorers.label_table import tabulate
from emotion_llama.evaluate.suite import ScoreSettings
from emotion_llama.metrics.classes import class_statistic, guess_scores
from emotion_llama.metrics.paired import paired_differences
from emotion_llama.metrics.resample import intervals, point_scores, speaker_codes
from emotion_llama.metrics.statistic import Metric, Scores, Statistic

NOT_GIVEN = Metric(value=None, low=None, high=None, n=0)


def score_cell(cell: str, source: str, seeds: Mapping[int, Answered], scoring: Scoring) -> CellScores:
    """Score what the seeds of one cell answered on one source; seeds that were asked fewer clips are left out.

    Raises `ManifestError` if the truth of a clip differs between seeds.
    """
    kept, notes = same_clips(seeds)
    first = next(iter(kept.values()))
    clips = list(first.rows)
    for other in kept.values():
        common_clips(first, other)  # raises where the truth differs
    found = {seed: label_statistics(answered, clips) for seed, answered in kept.items()}
    codes = _speakers(first, clips)
    scores = intervals(
        [seed_mean(list(found.values()), scoring.metrics)],
        [],
        n=len(clips),
        groups=codes,
        draws=scoring.draws,
        seed=scoring.seed,
    )
    own = {seed: _points(listed) for seed, listed in found.items()}
    folds = {fold: _fold_points(kept, fold) for fold in first.folds}
    guesses = _guesses(first, clips)
    return CellScores(
        cell=cell,
        source=source,
        labels=first.labels,
        n=len(clips),
        speakers=None if codes is None else len(np.unique(codes)),
        seeds=tuple(kept),
        folds=first.folds,
        metrics={
            name: _cell_metric(name, scores.get(name, NOT_GIVEN).model_copy(update=guesses.get(name, {})), own, folds)
            for name in scoring.metrics
        },
        notes=(*notes, *(problem for answered in kept.values() for problem in answered.problems)),
    )


def compare(baseline: Mapping[int, Answered], cell: Mapping[int, Answered], scoring: Scoring) -> Compared | None:
    """Give cell − baseline on the clips and seeds that both have; `None` if they share none, or labels differ."""
    a, _ = same_clips(baseline)
    b, _ = same_clips(cell)
    seeds = tuple(seed for seed in a if seed in b)
    if not seeds or a[seeds[0]].labels != b[seeds[0]].labels:
        return None
    clips = common_clips(a[seeds[0]], b[seeds[0]])
    if not clips:
        return None
    first, second = (
        seed_mean([label_statistics(side[seed], clips) for seed in seeds], scoring.metrics) for side in (a, b)
    )
    codes = _speakers(a[seeds[0]], clips)
    found = paired_differences([first], [second], n=len(clips), groups=codes, draws=scoring.draws, seed=scoring.seed)
    return Compared(n=len(clips), seeds=seeds, metrics=found)


def same_clips(seeds: Mapping[int, Answered]) -> tuple[dict[int, Answered], list[str]]:
    """Keep the seeds with the most clips, and say which are left out: a fold of theirs may be missing.

    Raises `ManifestError` for as many, but other, clips or other labels.
    """
    most = max(len(answered.rows) for answered in seeds.values())
    kept = {seed: answered for seed, answered in seeds.items() if len(answered.rows) == most}
    first_seed, first = next(iter(kept.items()))
    for seed, answered in kept.items():
        if answered.labels != first.labels or answered.rows.keys() != first.rows.keys():
            other = next((clip for clip in answered.rows if clip not in first.rows), None)
            what = f"clip {other!r}" if other else f"labels {', '.join(answered.labels)}"
            raise ManifestError(
                f"seed {seed} was tested on other clips or labels than seed {first_seed} ({what}); a mean over seeds "
                "needs the same test side: let the split not depend on the seed, or finish all folds"
            )
    notes = [
        f"seed {seed} is left out: it was asked {len(answered.rows)} clips, the others {most}"
        for seed, answered in seeds.items()
        if seed not in kept
    ]
    return kept, notes


def label_statistics(answered: Answered, clips: Sequence[str]) -> list[Statistic]:
    """The statistics that `evaluate` makes of one label a clip: classes, and confidence where it was given."""
    rows = [answered.rows[clip] for clip in clips]
    table = tabulate([row.item for row in rows], [row.prediction for row in rows], answered.labels)
    classes = class_statistic(table.truth, table.predicted, len(answered.labels), over="present")
    confidence, _, _ = score_confidence(table, ScoreSettings())
    return [classes, *confidence]


def seed_mean(seeds: Sequence[Sequence[Statistic]], names: Iterable[str]) -> Statistic:
    """One statistic whose scores are the means of the seeds' scores; only `names` that every seed has.

    Row i of every statistic is the same clip. Cells become columns of ones, so that one draw serves all seeds.
    """
    every = [one for listed in seeds for one in listed]
    n = len(every[0].cells)
    columns = np.concatenate([part for one in every for part in (_ones(one), one.columns)], axis=1)
    inflated = frozenset[str]().union(*(one.inflated for one in every))
    finish = partial(_finish, [list(listed) for listed in seeds], tuple(names))
    return Statistic(np.full(n, -1, np.int64), 0, columns, finish, inflated)


def _ones(statistic: Statistic) -> NDArray[np.float32]:
    """(n, n_cells): 1 in the cell of each clip."""
    found = np.zeros((len(statistic.cells), statistic.n_cells), np.float32)
    inside = np.flatnonzero(statistic.cells >= 0)
    found[inside, statistic.cells[inside]] = 1.0
    return found


def _finish(
    seeds: Sequence[Sequence[Statistic]],
    names: Sequence[str],
    _counts: NDArray[np.float64],
    sums: NDArray[np.float64],
) -> Scores:
    at, found = 0, list[Scores]()
    for listed in seeds:
        scores: Scores = {}
        for one in listed:
            middle, end = at + one.n_cells, at + one.n_cells + one.columns.shape[1]
            scores |= one.finish(sums[:, at:middle], sums[:, middle:end])
            at = end
        found.append(scores)
    shared = [name for name in names if all(name in scores for scores in found)]
    return {name: np.mean([scores[name] for scores in found], axis=0) for name in shared}


def _speakers(answered: Answered, clips: Sequence[str]) -> NDArray[np.int64] | None:
    return speaker_codes([answered.rows[clip].item.clip.speaker for clip in clips])


def _points(listed: Sequence[Statistic]) -> dict[str, float]:
    return {name: float(value[0]) for one in listed for name, value in point_scores(one).items()}


def _fold_points(seeds: Mapping[int, Answered], fold: int) -> dict[str, float]:
    """Each score of one fold's clips alone, mean over seeds."""
    points = [_points(label_statistics(answered, answered.of_fold(fold))) for answered in seeds.values()]
    return {name: statistics.fmean(one[name] for one in points) for name in points[0] if all(name in p for p in points)}


def _guesses(answered: Answered, clips: Sequence[str]) -> dict[str, dict[str, float]]:
    rows = [answered.rows[clip] for clip in clips]
    table = tabulate([row.item for row in rows], [row.prediction for row in rows], answered.labels)
    chance, majority = guess_scores(np.bincount(table.truth, minlength=len(answered.labels)))
    return {name: {"chance": value, "majority": majority[name]} for name, value in chance.items()}


def _cell_metric(
    name: str, score: Metric, seeds: Mapping[int, Mapping[str, float]], folds: Mapping[int, Mapping[str, float]]
) -> CellMetric:
    by_seed = {seed: _defined(points.get(name)) for seed, points in seeds.items()}
    by_fold = {fold: _defined(points.get(name)) for fold, points in folds.items()}
    return CellMetric(
        score=score,
        seeds=by_seed,
        over_seeds=spread(by_seed.values()),
        folds=by_fold,
        over_folds=spread(by_fold.values()) if by_fold else None,
    )


def spread(values: Iterable[float | None]) -> Spread:
    """Mean and standard deviation of the values that are defined."""
    known = [value for value in values if value is not None]
    return Spread(
        mean=statistics.fmean(known) if known else None,
        sd=statistics.stdev(known) if len(known) > 1 else None,
        n=len(known),
    )


def _defined(value: float | None) -> float | None:
    return None if value is None or math.isnan(value) else value

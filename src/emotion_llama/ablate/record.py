"""`ablation.json`: every training and every score of an ablation, with what it rests on."""

from __future__ import annotations

from typing import Any, Literal

from emotion_llama.ablate.outcome import BestStep, Failure, State
from emotion_llama.clip import Record
from emotion_llama.metrics.paired import Difference
from emotion_llama.metrics.statistic import Metric


class Spread(Record):
    """Mean and standard deviation (n − 1 below) of some values; `sd` `None` with fewer than two."""

    mean: float | None
    sd: float | None
    n: int


class CellMetric(Record):
    """One score of one cell on one source.

    `score`: the mean over seeds, its 95 % interval over people (or clips) and the number of clips. `over_seeds`:
    spread of the seeds' own scores, which are in `seeds`. With folds, `folds` has each fold's mean over seeds and
    `over_folds` their spread; `score` is that of all folds' answers together.
    """

    score: Metric
    seeds: dict[int, float | None]
    over_seeds: Spread
    folds: dict[int, float | None] = {}
    over_folds: Spread | None = None


class Compared(Record):
    """A cell against the baseline (cell − baseline) on the `n` clips and the seeds that both have."""

    n: int
    seeds: tuple[int, ...]
    metrics: dict[str, Difference]


class CellScores(Record):
    """The scores of one cell on one test source. `speakers` `None` = not known, or each clip is by another."""

    cell: str
    source: str
    labels: tuple[str, ...]
    n: int
    speakers: int | None
    seeds: tuple[int, ...]
    folds: tuple[int, ...] = ()
    metrics: dict[str, CellMetric]
    compared: Compared | None = None
    notes: tuple[str, ...] = ()


class TrainingRow(Record):
    """One training: what it was called with and how far it is. `best` is the kept checkpoint's validation score."""

    cell: str
    stage: str
    fold: int | None
    seed: int
    key: str
    folder: str
    state: State
    base: str
    overrides: tuple[str, ...]
    seconds: float | None = None
    best: BestStep | None = None
    git_commit: str | None = None
    adapter_sha256: str | None = None
    failure: Failure | None = None


class AblationReport(Record):
    """The whole ablation. `validation` has each cell's validation score of the kept checkpoints: choose by that one."""

    schema_version: Literal["1"] = "1"
    name: str
    title: str
    baseline: str | None
    cells: dict[str, tuple[str, ...]]
    trainings: tuple[TrainingRow, ...]
    validation: dict[str, dict[str, Spread]]
    scores: tuple[CellScores, ...]
    notes: tuple[str, ...] = ()
    settings: dict[str, Any]
    provenance: dict[str, Any]

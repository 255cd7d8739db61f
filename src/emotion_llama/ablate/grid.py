"""An ablation's file → cells, and the trainings behind them: each with its overrides, its key and its folder."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from itertools import product
from pathlib import Path
from typing import Any

import yaml

from emotion_llama.ablate.config import FOLD, PREVIOUS, Ablation, Folds, NamedCell, Overrides, Stage, read_values
from emotion_llama.errors import UsageError

KEY_VERSION = 1
"""Changes when what a key is made of changes its meaning."""


@dataclass(frozen=True)
class Training:
    """One process `train`: what it is called with, and where its results lie.

    `key` stands for the configuration, its overrides and the training it starts from, not for the seed: two trainings
    with the same key and seed are one. `folder` ends in `NAME-KEY/seed-N`. `fold` `None` = not one of several folds.
    """

    cell: str
    seed: int
    fold: int | None
    stage: str
    base: Path
    overrides: Overrides
    key: str
    folder: Path
    previous: Training | None

    @property
    def name(self) -> str:
        """What a person calls it."""
        fold = "" if self.fold is None else f", fold {self.fold}"
        stage = f", stage {self.stage}" if self.stage else ""
        return f"{self.cell}{fold}{stage}, seed {self.seed}"

    @property
    def chain(self) -> list[Training]:
        """The trainings it needs, and itself at the end."""
        return [*(self.previous.chain if self.previous else []), self]


@dataclass(frozen=True)
class Cell:
    """One row of the table: what it changes, and the trainings that are scored, one for each fold and seed."""

    name: str
    overrides: Overrides
    stages: tuple[str, ...]
    trainings: tuple[Training, ...]


@dataclass(frozen=True)
class _Line:
    """What the trainings of one cell and fold share."""

    cell: str
    fold: int | None
    stages: tuple[str, ...]
    overrides: Overrides

    def shown(self, stage: str) -> str:
        """What a training's folder is called, before its key."""
        fold = "" if self.fold is None else f"-fold-{self.fold}"
        return self.cell + fold + ("" if stage == self.stages[-1] else f".{stage}")


def make_cells(ablation: Ablation, extra: Overrides = ()) -> list[Cell]:
    """Give the cells with their trainings, in the order of the file; `extra` overrides hold for every training.

    Raises `UsageError` for two cells of one name, a baseline that is no cell, a configuration that cannot be read, or
    a stage that does not start from the one before.
    """
    named = list(_named_cells(ablation))
    names = [cell.name for cell in named]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UsageError(f"{ablation.name}: cells of one name: {', '.join(twice)}; rename values of the axes")
    if ablation.baseline is not None and ablation.baseline not in names:
        raise UsageError(f"{ablation.name}: baseline {ablation.baseline!r} is no cell; cells: {', '.join(names)}")
    trainings = _Trainings(ablation, extra)
    return [Cell(cell.name, cell.overrides, cell.stages, tuple(trainings.of(cell))) for cell in named]


def choose(cells: Sequence[Cell], patterns: Sequence[str]) -> list[Cell]:
    """Keep the cells whose name is, or matches (`*`), one of `patterns`; all without a pattern.

    Raises `UsageError` for a pattern that matches none.
    """
    for pattern in patterns:
        if not any(fnmatchcase(cell.name, pattern) or cell.name == pattern for cell in cells):
            raise UsageError(f"--only {pattern}: no such cell; cells: {', '.join(cell.name for cell in cells)}")
    return [c for c in cells if not patterns or any(fnmatchcase(c.name, p) or c.name == p for p in patterns)]


def needed(cells: Iterable[Cell]) -> list[Training]:
    """Give every training behind the cells once, each after the one it starts from."""
    return list(dict.fromkeys(one for cell in cells for training in cell.trainings for one in training.chain))


def _named_cells(ablation: Ablation) -> Iterator[NamedCell]:
    """The cross product of the grid and the axes; an axis of folds is no part of a cell's name."""
    axes = [list(axis.items()) for axis in ablation.axes.values() if not isinstance(axis, Folds)]
    whole = NamedCell(name=ablation.name)
    for first in ablation.grid or (whole,):
        for values in product(*axes):
            names = [] if first is whole and values else [first.name]
            names += [name for name, _ in values]
            overrides = (*first.overrides, *(override for _, added in values for override in added))
            yield NamedCell(name="+".join(names), overrides=overrides, stages=first.stages)


class _Trainings:
    """Makes the trainings of cells; those of one key and seed are one object."""

    def __init__(self, ablation: Ablation, extra: Overrides) -> None:
        self._ablation, self._extra = ablation, extra
        self._made: dict[tuple[str, int], Training] = {}

    def of(self, cell: NamedCell) -> Iterator[Training]:
        """The trainings of a cell that are scored, fold by fold and seed by seed."""
        axes = self._ablation.axes.values()
        folds = next((axis for axis in axes if isinstance(axis, Folds)), None)
        for fold in range(folds.count) if folds else (None,):
            own = () if folds is None else tuple(o.replace(FOLD, str(fold)) for o in folds.overrides)
            line = _Line(cell.name, fold, cell.stages or ("",), (*self._ablation.overrides, *cell.overrides, *own))
            for seed in self._ablation.seeds:
                training = self._training(line, seed, line.stages[0], None)
                for stage in line.stages[1:]:
                    training = self._training(line, seed, stage, training)
                yield training

    def _training(self, line: _Line, seed: int, stage: str, previous: Training | None) -> Training:
        settings = self._ablation.stages[stage] if stage else Stage()
        base, data = settings.base or self._ablation.base, self._ablation.data
        root = () if data is None else (f"data.root={data}",)
        overrides = _resolved((*root, *line.overrides, *settings.overrides, *self._extra, _scoring(self._ablation)))
        if (previous is not None) != any(PREVIOUS in override for override in overrides):
            what = f"needs an override such as model.init={PREVIOUS}" if previous else f"is first, but names {PREVIOUS}"
            raise UsageError(f"{self._ablation.name}: cell {line.cell!r}: stage {stage or 'train'!r} {what}")
        key = _key(read_values(base), overrides, previous.key if previous else None)
        if (key, seed) not in self._made:
            folder = _folder(self._ablation.out, line.shown(stage), key) / f"seed-{seed}"
            start = "" if previous is None else str(previous.folder)
            overrides = tuple(override.replace(PREVIOUS, start) for override in overrides)
            made = Training(line.cell, seed, line.fold, stage, base, overrides, key, folder, previous)
            self._made[key, seed] = made
        return self._made[key, seed]


def _scoring(ablation: Ablation) -> str:
    """The override of every training that scores what is compared: without test answers there is nothing to compare."""
    return f"score_test=[{', '.join(ablation.score.sources)}]" if ablation.score.sources else "score_test=true"


def _resolved(overrides: Overrides) -> Overrides:
    """One override a key: the last counts, in its place."""
    last = {override.partition("=")[0]: place for place, override in enumerate(overrides)}
    return tuple(overrides[place] for place in sorted(last.values()))


def _key(base: dict[str, Any], overrides: Overrides, previous: str | None) -> str:
    """A hash of what a training is; comments and spelling of the files do not enter it."""
    values = [(key, yaml.safe_load(value)) for key, _, value in (override.partition("=") for override in overrides)]
    text = json.dumps([KEY_VERSION, base, values, previous], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:10]


def _folder(out: Path, name: str, key: str) -> Path:
    """The folder of a key where it already lies, whatever its cell was called then; else a new one."""
    there = sorted(out.glob(f"*-{key}"))
    return there[0] if there else out / f"{re.sub(r'[^A-Za-z0-9.+_-]+', '-', name)}-{key}"

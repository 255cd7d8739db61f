"""The file of one ablation: which trainings, which seeds, which scores."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import yaml
from pydantic import ConfigDict, Discriminator, Field, Tag, field_validator, model_validator

from emotion_llama.errors import UsageError
from emotion_llama.settings import Settings

Score = Literal["war", "uar", "weighted_f1", "macro_f1", "invalid_rate", "nll", "ece", "ece_class", "brier"]
Overrides = tuple[str, ...]
"""Settings of a training that differ from its configuration: `key.in.dots=YAML value`, as `train` takes them."""

FOLD = "{fold}"
PREVIOUS = "{previous}"
OWN_KEYS = ("out", "seed")
"""Set for each training by the ablation itself."""

_OVERRIDE = re.compile(r"[A-Za-z_][\w-]*(?:\.[\w-]+)*=.*", re.DOTALL)


class Folds(Settings):
    """An axis of `count` trainings that together answer every clip once; their answers make one score.

    `{fold}` in `overrides` becomes 0 to `count` - 1.
    """

    kind: Literal["folds"]
    count: int = Field(ge=2)
    overrides: Overrides

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_overrides(self.overrides)
        if not any(FOLD in override for override in self.overrides):
            raise ValueError(f"an axis of kind folds needs {FOLD} in its overrides, such as data.fold={FOLD}")
        return self


class Stage(Settings):
    """One training of a chain. `base` `None` = the ablation's. `{previous}` is the folder of the training before."""

    base: Path | None = None
    overrides: Overrides = ()

    @field_validator("overrides")
    @classmethod
    def _check(cls, overrides: Overrides) -> Overrides:
        return check_overrides(overrides)


class NamedCell(Settings):
    """One cell of a grid by name: its overrides, and the stages it goes through (`()` = one training)."""

    model_config = ConfigDict(coerce_numbers_to_str=True)

    name: str = Field(min_length=1)
    overrides: Overrides = ()
    stages: tuple[str, ...] = ()

    @field_validator("overrides")
    @classmethod
    def _check(cls, overrides: Overrides) -> Overrides:
        return check_overrides(overrides)


class Scoring(Settings):
    """What is scored: test sources (`()` = all that the trainings scored), scores, bootstrap draws and their seed."""

    sources: tuple[str, ...] = ()
    metrics: tuple[Score, ...] = Field(default=("war", "uar", "weighted_f1", "nll", "ece"), min_length=1)
    draws: int = Field(default=10_000, ge=100)
    seed: int = 0


def _axis_kind(value: Any) -> str:
    return "folds" if isinstance(value, Folds) or (isinstance(value, dict) and "kind" in value) else "values"


Axis = Annotated[
    Annotated[dict[str, Overrides], Tag("values")] | Annotated[Folds, Tag("folds")], Discriminator(_axis_kind)
]


class Ablation(Settings):
    """One ablation; paths are relative to the folder the command is given in.

    The cells are the cross product of `axes` (name → value's name → overrides) and the `grid`; either may be left out.
    `data` becomes `data.root=…` of every training. `overrides` hold for all cells. `jobs` trainings run at a time, each
    with `threads` threads (`None` = the cores shared out) and, with `gpus`, one of these devices. `baseline` is the
    cell that the others are compared with, clip by clip. `title` stands above table and figure.
    """

    model_config = ConfigDict(coerce_numbers_to_str=True)

    name: str = Field(min_length=1)
    title: str = ""
    base: Path
    data: Path | None = None
    out: Path
    seeds: tuple[int, ...] = Field(default=(0, 1, 2), min_length=1)
    overrides: Overrides = ()
    axes: dict[str, Axis] = {}
    grid: tuple[NamedCell, ...] = ()
    stages: dict[str, Stage] = {}
    score: Scoring = Scoring()
    jobs: int = Field(default=1, ge=1)
    threads: int | None = Field(default=None, ge=1)
    gpus: tuple[str, ...] = ()
    baseline: str | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        check_overrides(self.overrides)
        for axis in self.axes.values():
            if not isinstance(axis, Folds):
                for overrides in axis.values():
                    check_overrides(overrides)
        if sum(isinstance(axis, Folds) for axis in self.axes.values()) > 1:
            raise ValueError("axes: only one axis may be of kind folds")
        if not all(self.axes.values()):
            raise ValueError("axes: every axis needs at least one value")
        _check_different("seeds", self.seeds)
        _check_different("grid", [cell.name for cell in self.grid])
        unknown = {name for cell in self.grid for name in cell.stages} - self.stages.keys()
        if unknown:
            known = ", ".join(self.stages) or "none"
            raise ValueError(f"grid: stage {', '.join(sorted(unknown))} is not among the stages ({known})")
        return self


def check_overrides(overrides: Overrides) -> Overrides:
    """Give the overrides back. Raises `ValueError` for one that is no `key=value`, or sets what the ablation sets."""
    for override in overrides:
        if not _OVERRIDE.fullmatch(override):
            raise ValueError(f"expected key=value such as schedule.steps=50, found {override!r}")
        key, _, value = override.partition("=")
        try:
            yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ValueError(
                f"{override!r}: its value is not readable as YAML; close what is open, or quote it"
            ) from error
        if key in OWN_KEYS:
            raise ValueError(f"{override!r}: the ablation gives every training its own {' and '.join(OWN_KEYS)}")
    return overrides


def read_values(path: Path) -> dict[str, Any]:
    """Read a training configuration as plain values. Raises `UsageError` naming the file."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"training configuration {path}: {error}; base is relative to the current folder") from error
    if not isinstance(values, dict):
        raise UsageError(
            f"training configuration {path}: expected settings (key: value), found {type(values).__name__}"
        )
    return values


def _check_different(what: str, values: Iterable[object]) -> None:
    listed = list(values)
    twice = sorted({str(value) for value in listed if listed.count(value) > 1})
    if twice:
        raise ValueError(f"{what}: {', '.join(twice)} stands there more than once")

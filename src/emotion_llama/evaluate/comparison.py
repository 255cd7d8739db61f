"""What a comparison of runs is: systems side by side, paired differences, and the clips where they differ."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from emotion_llama.clip import Record
from emotion_llama.evaluate.records import Problem, Published, Side
from emotion_llama.metrics.statistic import Metric


class ComparedSystem(Record):
    """One run: the name shown, where its report lies, its scores, and how many clips entered them."""

    name: str
    path: str
    n: int
    metrics: dict[str, Metric]


class PairedDifference(Record):
    """B − A on the same clips, with the same draws for both.

    `difference` carries the interval; `p_bootstrap` and `p_permutation` are two-sided, `None` = not computed.
    """

    a: str
    b: str
    metric: str
    a_value: float | None
    b_value: float | None
    difference: Metric
    p_bootstrap: float | None = None
    p_permutation: float | None = None


class Disagreement(Record):
    """McNemar's table of two systems: `n01` clips only B answers rightly, `n10` only A; `p` exact and two-sided."""

    a: str
    b: str
    n01: int
    n10: int
    p: float


class DifferingClip(Record):
    """A clip that the systems answer differently; an answer `None` = no valid label.

    `probabilities`: system → label → probability, of the systems that gave them.
    """

    clip: str
    truth: str | None
    answers: dict[str, str | None]
    probabilities: dict[str, dict[str, float]] = {}


class Comparison(Record):
    """`compare.json`. `headline` names the scores shown first and ranked.

    `n_differing` counts the clips that at least two systems answer differently; `clips` lists some of them. `selected`
    is the system chosen by `selected_by`, if one was asked to be chosen.
    """

    title: str
    suite: str
    side: Side
    systems: tuple[ComparedSystem, ...]
    headline: tuple[str, ...] = ()
    differences: tuple[PairedDifference, ...] = ()
    mcnemar: tuple[Disagreement, ...] = ()
    clips: tuple[DifferingClip, ...] = ()
    n_clips: int = 0
    n_differing: int = 0
    published: tuple[Published, ...] = ()
    selected: str | None = None
    selected_by: str | None = None
    problems: tuple[Problem, ...] = ()
    notes: tuple[str, ...] = ()
    settings: dict[str, Any] = Field(default_factory=dict)
    provenance: dict[str, Any] = Field(default_factory=dict)

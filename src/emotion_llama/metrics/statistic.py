"""What a score is made of: sums over clips, so that one resampling serves every score at once.

Nearly every score of the field (WAR, UAR, F1, ECE, Brier, set recall, …) is a function of sums over clips: how many
clips fell into each cell of a table, and what each clip adds to some columns. Resampling clips then only changes the
weights of the sums. The few that need an order of the clips (AUROC, AURC) are `RankStatistic`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Record

Scores = dict[str, NDArray[np.float64]]
"""Name → one value a draw, (D,). NaN = not defined in this draw (for instance no clip of a class)."""


class Metric(Record):
    """One score with its 95 % bootstrap interval, and what a guesser gets.

    `value` `None` = not defined on these clips. `chance` is the score of guessing all classes equally often, `majority`
    that of always naming the commonest class; `None` where neither has a meaning. `n` clips entered the score.
    """

    value: float | None
    low: float | None
    high: float | None
    chance: float | None = None
    majority: float | None = None
    n: int | None = None


@dataclass(frozen=True)
class Statistic:
    """Scores that are functions of sums over `n` clips.

    `cells`: the cell of a table that each clip falls into, -1 for none; `columns`: numbers that each clip adds.
    `finish` turns cell counts (D, n_cells) and column sums (D, M) of D draws into scores, each (D,). `inflated` names
    scores that resampling itself raises, such as sums of absolute gaps: see `resample.summarise`.
    """

    cells: NDArray[np.int64]  # (n,)
    n_cells: int
    columns: NDArray[np.float32]  # (n, M)
    finish: Callable[[NDArray[np.float64], NDArray[np.float64]], Scores]
    inflated: frozenset[str] = frozenset()


@dataclass(frozen=True)
class RankStatistic:
    """Scores that depend on the order of the clips. `finish` takes how often each clip was drawn, (n,)."""

    n: int
    finish: Callable[[NDArray[np.float64]], dict[str, float]]

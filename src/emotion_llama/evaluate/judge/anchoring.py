"""A judge anchored on the published EMER scores: a line from this judge's means to those of the retired judge.

The answers of six systems are public, and so are the scores that gpt-3.5-turbo-16k-0613 gave them (table 1 of the
paper). Judging the same answers anew and fitting a line shows how this judge's numbers relate to the published ones.
Six points make a weak line: an anchored value always comes with its error and a caution.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Record
from emotion_llama.errors import UsageError

PUBLISHED: MappingProxyType[str, tuple[float, float]] = MappingProxyType(
    {
        "VideoChat-Text": (6.42, 3.94),
        "Video-LLaMA": (6.64, 4.89),
        "Video-ChatGPT": (6.95, 5.74),
        "PandaGPT": (7.14, 5.51),
        "VideoChat-Embed": (7.15, 5.65),
        "Valley": (7.24, 5.77),
    }
)
"""System → published (clue overlap, label overlap): table 1 of arXiv 2406.11161, as its repository's README has it."""
FEWEST_SYSTEMS = 3
SCALE = (1.0, 10.0)

Aspect = Literal["clue", "label"]
_ASPECTS: tuple[Aspect, ...] = ("clue", "label")
# two-sided 95 % points of Student's t by degrees of freedom; more than six systems are not published
_T_95 = {1: 12.706, 2: 4.303, 3: 3.182, 4: 2.776}


class Line(Record):
    """Published = intercept + slope · judged, least squares over `n` systems.

    `r` is Pearson's correlation (`None` if the published values are equal), `residual_sd` has n − 2 degrees of
    freedom, `low` and `high` are the range of judged means that the line was fitted on, `mean` and `spread` their mean
    and sum of squares about it.
    """

    slope: float
    intercept: float
    r: float | None
    residual_sd: float
    n: int
    low: float
    high: float
    mean: float
    spread: float


class Anchored(Record):
    """A mean on the published scale. `error` is the standard error of a new system's value, `low`–`high` 95 %.

    `cautions` says what keeps the value from being one of the published numbers; never empty.
    """

    value: float
    error: float
    low: float
    high: float
    cautions: tuple[str, ...]


class Anchor(Record):
    """The lines of both aspects for one judge, and the systems they were fitted on."""

    clue: Line
    label: Line
    systems: tuple[str, ...]

    def value(self, aspect: Aspect, mean: float) -> Anchored:
        """Carry a judge's mean over to the published scale; a value off the scale is flagged, never cut."""
        line = self.clue if aspect == "clue" else self.label
        value = line.intercept + line.slope * mean
        error = line.residual_sd * math.sqrt(1 + 1 / line.n + (mean - line.mean) ** 2 / line.spread)
        reach = _T_95[line.n - 2] * error
        return Anchored(
            value=value, error=error, low=value - reach, high=value + reach, cautions=_cautions(line, mean, value)
        )


def fit_anchor(judge_means: Mapping[str, tuple[float, float]]) -> Anchor:
    """Fit both lines from system → this judge's (clue, label) means of its public answers.

    Raises `UsageError` for an unknown system, fewer than three, a mean off the scale, or means that are all equal.
    """
    for system, means in judge_means.items():
        _check(system, means)
    if len(judge_means) < FEWEST_SYSTEMS:
        found = ", ".join(judge_means) or "none"
        raise UsageError(f"an anchor needs at least {FEWEST_SYSTEMS} of {', '.join(PUBLISHED)}; found {found}")
    judged = np.array(list(judge_means.values()), np.float64)
    published = np.array([PUBLISHED[system] for system in judge_means], np.float64)
    lines = {aspect: _line(aspect, judged[:, i], published[:, i]) for i, aspect in enumerate(_ASPECTS)}
    return Anchor(clue=lines["clue"], label=lines["label"], systems=tuple(judge_means))


def _check(system: str, means: tuple[float, float]) -> None:
    if system not in PUBLISHED:
        near = get_close_matches(system, PUBLISHED, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise UsageError(f"no published score of {system!r} to anchor on; known are {', '.join(PUBLISHED)}{hint}")
    if len(means) != 2 or not all(SCALE[0] <= mean <= SCALE[1] for mean in means):
        raise UsageError(f"{system}: expected clue and label means between 1 and 10, found {means}")


def _line(aspect: Aspect, judged: NDArray[np.float64], published: NDArray[np.float64]) -> Line:
    mean = float(judged.mean())
    spread = float(((judged - mean) ** 2).sum())
    if spread < 1e-12:
        raise UsageError(f"{aspect}: this judge gives all {len(judged)} systems {mean:.3f}; no line can be fitted")
    slope = float((judged - mean) @ (published - published.mean()) / spread)
    intercept = float(published.mean()) - slope * mean
    residuals = published - intercept - slope * judged
    return Line(
        slope=slope,
        intercept=intercept,
        r=float(np.corrcoef(judged, published)[0, 1]) if np.ptp(published) > 0 else None,
        residual_sd=math.sqrt(float(residuals @ residuals) / (len(judged) - 2)),
        n=len(judged),
        low=float(judged.min()),
        high=float(judged.max()),
        mean=mean,
        spread=spread,
    )


def _cautions(line: Line, mean: float, value: float) -> tuple[str, ...]:
    found = [f"an estimate from {line.n} systems, not one of the published scores"]
    if line.slope <= 0:
        found.append("this judge does not rank the systems as the published scores do; do not use the value")
    if not line.low <= mean <= line.high:
        found.append(
            f"the judged mean {mean:.2f} lies outside {line.low:.2f} to {line.high:.2f}, where the line was fitted"
        )
    if not SCALE[0] <= value <= SCALE[1]:
        found.append(f"the value {value:.2f} lies off the scale of {SCALE[0]:g} to {SCALE[1]:g}")
    return tuple(found)

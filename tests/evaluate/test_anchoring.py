"""Anchoring: the line against scipy's regression, and what it refuses or flags."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import linregress, t

from emotion_llama.errors import UsageError
from emotion_llama.evaluate.judge.anchoring import _T_95, PUBLISHED, fit_anchor
from emotion_llama.evaluate.suites.emer import SUITE

JUDGED = {
    "VideoChat-Text": (4.1, 2.9),
    "Video-LLaMA": (4.6, 3.8),
    "Video-ChatGPT": (5.2, 4.9),
    "PandaGPT": (5.0, 4.4),
    "VideoChat-Embed": (5.5, 4.6),
    "Valley": (5.6, 5.1),
}


def test_the_published_scores_are_those_of_the_suite() -> None:
    shown = {(row.system, row.metric): row.value for row in SUITE.published}
    for system, (clue, label) in PUBLISHED.items():
        assert shown[system, "clue_overlap"] == clue
        assert shown[system, "label_overlap"] == label


@pytest.mark.parametrize(("aspect", "place"), [("clue", 0), ("label", 1)])
@pytest.mark.parametrize("n", [3, 6])
def test_the_line_is_that_of_scipy(aspect: str, place: int, n: int) -> None:
    chosen = dict(list(JUDGED.items())[:n])
    x = np.array([means[place] for means in chosen.values()])
    y = np.array([PUBLISHED[system][place] for system in chosen])
    theirs = linregress(x, y)
    anchor = fit_anchor(chosen)
    line = anchor.clue if aspect == "clue" else anchor.label
    assert (line.slope, line.intercept, line.r) == pytest.approx((theirs.slope, theirs.intercept, theirs.rvalue))
    assert line.n == n
    assert line.residual_sd == pytest.approx(np.sqrt(((y - theirs.intercept - theirs.slope * x) ** 2).sum() / (n - 2)))
    # the error of the line's slope, from which that of a new value follows
    assert theirs.stderr == pytest.approx(line.residual_sd / np.sqrt(line.spread))


def test_a_value_comes_with_its_error_and_a_caution() -> None:
    anchor = fit_anchor(JUDGED)
    line, found = anchor.clue, anchor.value("clue", 5.3)
    assert found.value == pytest.approx(line.intercept + line.slope * 5.3)
    assert found.error > line.residual_sd
    assert found.high - found.value == pytest.approx(float(t.ppf(0.975, 4)) * found.error, rel=1e-3)
    assert found.cautions == ("an estimate from 6 systems, not one of the published scores",)


def test_the_tabled_points_are_those_of_the_t_distribution() -> None:
    for freedom, point in _T_95.items():
        assert point == pytest.approx(float(t.ppf(0.975, freedom)), abs=5e-4)


def test_values_off_the_fitted_range_and_off_the_scale_are_flagged_not_cut() -> None:
    anchor = fit_anchor(JUDGED)
    found = anchor.value("label", 9.9)
    assert found.value > 9
    assert any("lies outside 2.90 to 5.10" in caution for caution in found.cautions)
    steep = fit_anchor({name: (5 + clue / 100, 5 + label / 100) for name, (clue, label) in JUDGED.items()})
    assert any("off the scale" in caution for caution in steep.value("clue", 9.0).cautions)


def test_an_exact_judge_gives_the_published_scores_back() -> None:
    anchor = fit_anchor(PUBLISHED)
    assert anchor.value("clue", 7.83).value == pytest.approx(7.83)
    assert anchor.value("label", 6.25).error == pytest.approx(0, abs=1e-6)


def test_a_judge_that_ranks_the_other_way_is_flagged() -> None:
    anchor = fit_anchor({name: (10 - clue, 10 - label) for name, (clue, label) in JUDGED.items()})
    assert any("do not use the value" in caution for caution in anchor.value("clue", 5.0).cautions)


def test_fewer_than_three_systems_are_refused() -> None:
    with pytest.raises(UsageError, match=r"at least 3 of .*found VideoChat-Text, Video-LLaMA"):
        fit_anchor(dict(list(JUDGED.items())[:2]))


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"Valey": (5.0, 5.0)}, "did you mean 'Valley'"),
        ({"Valley": (0.5, 5.0)}, "Valley: expected .* between 1 and 10"),
        ({"Valley": (5.0, float("nan"))}, "Valley: expected .* between 1 and 10"),
    ],
)
def test_what_cannot_be_fitted_is_named(changed: dict[str, tuple[float, float]], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        fit_anchor({**JUDGED, **changed})


def test_a_judge_without_differences_is_refused() -> None:
    with pytest.raises(UsageError, match=r"clue: this judge gives all 6 systems 5\.000"):
        fit_anchor({system: (5.0, 4.0 + place) for place, system in enumerate(PUBLISHED)})

"""Tiers hold what was measured, in order, without overlap, and nothing is lost on the way."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from emotion_llama.analyze.analyzer import Result
from emotion_llama.analyze.tiers import Interval, Tier, apart, movements, tiers_of
from emotion_llama.measurements import ACTION_UNITS


def named(tiers: tuple[Tier, ...]) -> dict[str, list[tuple[object, ...]]]:
    return {
        tier.name: [(one.start_s, one.end_s, one.text) for one in tier.intervals]
        + [(one.time_s, one.text) for one in tier.points]
        for tier in tiers
    }


def test_tiers_of_a_clip_without_a_timeline(result: Result) -> None:
    tiers = tiers_of(result)
    assert tiers.end_s == 4.0
    assert named(tiers.interval_tiers) == {
        "emotion": [(0.0, 4.0, "happy 0.70")],
        "words": [(0.2, 0.3, "I"), (0.3, 0.5, "told"), (0.5, 0.7, "you"), (0.7, 1.0, "so")],
        "transcript": [(0.2, 1.0, "I told you so."), (2.4, 3.0, "Fine!")],
        "AU04": [(2.95, 3.05, "1.2")],
        "AU12": [(0.95, 2.05, "3.0")],
    }
    assert named(tiers.point_tiers) == {
        "apex": [(1.5, "AU12 3.0"), (3.0, "AU04 1.2")], "peak frame": [(1.25, "peak frame 7")],
    }  # fmt: skip


def test_tiers_of_several_people_over_time(timed_result: Result) -> None:
    tiers = tiers_of(timed_result)
    found = named(tiers.interval_tiers)
    assert found["emotion person 1"] == [(0.0, 2.0, "angry 0.82"), (2.0, 3.5, "neutral 0.60")]
    assert found["emotion person 2"] == [(0.0, 2.2, "happy 0.70")] and "emotion" not in found
    assert found["AU04 person 1"] == [(1.0, 1.4, "1.5")]
    assert found["AU12 person 2"] == [(0.5, 1.4, "2.5"), (1.4, 1.8, "1.0")], "movements that overlap are cut apart"
    assert named(tiers.point_tiers)["apex"][0] == (1.0, "AU12 person 2 2.5")


def test_the_tiers_are_those_of_the_recording_not_of_the_span(result: Result) -> None:
    material = replace(result.material, start_s=3.0, recording_s=60.0)
    tiers = tiers_of(replace(result, material=material))
    assert tiers.end_s == 60.0 and named(tiers.interval_tiers)["emotion"] == [(3.0, 7.0, "happy 0.70")]


def test_nothing_to_see_or_hear(bare_result: Result) -> None:
    tiers = tiers_of(bare_result)
    assert named(tiers.interval_tiers) == {
        "emotion": [(0.0, 5.0, "no emotion could be named")], "words": [], "transcript": [],
    }  # fmt: skip
    assert named(tiers.point_tiers) == {"apex": [], "peak frame": []}


def test_unsure_samples_and_units_that_are_not_measured_do_not_move(result: Result) -> None:
    series = result.material.action_units
    assert series is not None
    unsure = replace(series, confidence=np.full_like(series.confidence, 0.4))
    assert movements(unsure) == ()
    assert {move.unit for move in movements(replace(series, measured=(4,)))} == {"AU04"}


def test_a_gap_in_time_ends_a_movement(result: Result) -> None:
    series = result.material.action_units
    assert series is not None
    late = series.time_s.copy()
    late[15:] += 5
    found = [move for move in movements(replace(series, time_s=late)) if move.unit == "AU12"]
    assert [(round(move.onset_s, 3), round(move.offset_s, 3)) for move in found] == [(0.95, 1.45), (6.45, 7.05)]


def test_a_still_picture_moves_for_an_instant(result: Result) -> None:
    series = result.material.action_units
    assert series is not None
    one = replace(series, time_s=series.time_s[:1], intensity=series.intensity[15:16], confidence=series.confidence[:1])
    (move,) = movements(one)
    assert (move.onset_s, move.apex_s) == (0.0, 0.0) and move.offset_s > 0


def test_units_follow_the_order_of_columns(result: Result) -> None:
    series = result.material.action_units
    assert series is not None
    everything = replace(series, intensity=np.full_like(series.intensity, 2))
    assert [move.unit for move in movements(everything)] == [f"AU{unit:02d}" for unit in ACTION_UNITS]


@pytest.mark.parametrize(
    ("given_intervals", "kept"),
    [
        ([(0, 2, "a"), (1, 3, "b")], [(0, 1, "a"), (1, 3, "b")]),
        ([(1, 3, "b"), (0, 1, "a")], [(0, 1, "a"), (1, 3, "b")]),
        ([(1, 1, "a")], [(1, 1.001, "a")]),
        ([(1, 2, "a"), (1, 3, "b")], [(1, 3, "a b")]),
        ([(-1, 1, "a"), (9, 12, "b"), (20, 30, "c")], [(0, 1, "a"), (9, 9.999, "b"), (9.999, 10, "c")]),
        ([(10, 11, "a"), (10, 11, "b")], [(9.999, 10, "a b")]),
        ([(1, 2, " \n"), (3, 4, "x\ny")], [(3, 4, "x y")]),
    ],
)
def test_intervals_are_kept_apart(
    given_intervals: list[tuple[float, float, str]], kept: list[tuple[float, float, str]]
) -> None:
    found = apart([Interval(*one) for one in given_intervals], 10.0)
    assert [(one.start_s, one.end_s, one.text) for one in found] == kept


@settings(max_examples=100, deadline=None)
@example(found=[(0.0, 2.0, "a")], end_s=0.2935)
@given(
    st.lists(st.tuples(st.floats(-1, 12), st.floats(-1, 2), st.sampled_from("abc")), max_size=12), st.floats(0.001, 10)
)
def test_any_intervals_end_up_in_order_and_all_texts_stay(found: list[tuple[float, float, str]], end_s: float) -> None:
    kept = apart([Interval(start, start + length, text) for start, length, text in found], end_s)
    times = [time_s for one in kept for time_s in (one.start_s, one.end_s)]
    assert times == sorted(times) and all(one.end_s - one.start_s > 0.0009 for one in kept)
    assert not times or (times[0] >= 0 and times[-1] <= max(0.001, end_s + 1e-9))
    assert sorted("".join(one.text for one in kept).replace(" ", "")) == sorted(text for _, _, text in found)

"""Windows begin and end on cuts and in pauses, cover everything, and none is longer than asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
import pytest

from emotion_llama.analyze.timeline.plan import Span, WindowPlan, nearest_pause_s

Spans = Sequence[tuple[float, float]]


def planned(end_s: float, cuts_s: Sequence[float] = (), speech_s: Spans = (), block_s: float = 30.0) -> list[Span]:
    plan, found, known_s = WindowPlan(6.0, 3.0, 0.0), [], 0.0
    while known_s < end_s:
        known_s = min(known_s + block_s, end_s)
        seen = [cut for cut in cuts_s if cut < known_s]
        found += plan.take(known_s, known_s >= end_s, seen, [s for s in speech_s if s[0] < known_s])
    return found


def test_without_cuts_and_speech_a_window_begins_every_step() -> None:
    spans = planned(20.0)
    assert [(s.start_s, s.end_s) for s in spans] == [(0, 6), (3, 9), (6, 12), (9, 15), (12, 18), (15, 20)]


@pytest.mark.parametrize("length_s", [0.2, 1.0, 5.9, 6.0, 6.2, 9.0])
def test_a_recording_shorter_than_a_window_is_one_and_nothing_is_left_over(length_s: float) -> None:
    spans = planned(length_s)
    assert spans[0].start_s == 0 and spans[-1].end_s == pytest.approx(length_s)
    assert len(spans) == (1 if length_s < 6.5 else 2)


def test_no_window_runs_across_a_cut_of_a_long_shot() -> None:
    cuts_s = (7.3, 20.0, 41.5)
    spans = planned(60.0, cuts_s)
    assert not [s for s in spans for cut in cuts_s if s.start_s < cut < s.end_s]
    assert set(cuts_s) <= {s.start_s for s in spans} and set(cuts_s) <= {s.end_s for s in spans}


def test_cuts_every_second_do_not_make_a_window_of_each() -> None:
    spans = planned(60.0, np.arange(1.0, 60.0).tolist())
    assert len(spans) <= 31
    assert all(2.0 <= s.end_s - s.start_s <= 6.0 for s in spans[:-1])


def test_windows_end_in_the_pause_that_is_near() -> None:
    spans = planned(12.0, speech_s=[(0.0, 5.5), (5.9, 12.0)])
    assert spans[0].end_s == 5.9
    assert planned(12.0, speech_s=[(0.0, 12.0)])[0].end_s == 6.0  # nobody pauses


@pytest.mark.parametrize("seed", range(20))
def test_whatever_the_recording_is_like_all_of_it_is_covered(seed: int) -> None:
    rng = np.random.default_rng(seed)
    end_s = float(rng.uniform(1, 200))
    cuts_s = sorted(rng.uniform(0, end_s, rng.integers(0, 60)).tolist())
    edges = np.sort(rng.uniform(0, end_s, 2 * rng.integers(0, 60)))
    spans = planned(end_s, cuts_s, [(float(a), float(b)) for a, b in edges.reshape(-1, 2)], float(rng.uniform(3, 40)))
    assert spans[0].start_s == 0 and spans[-1].end_s == pytest.approx(end_s)
    assert all(one.start_s < other.start_s <= one.end_s and one.end_s <= other.end_s for one, other in pairwise(spans))
    assert all(0 < s.end_s - s.start_s <= 6.5 for s in spans)


def test_the_nearest_pause() -> None:
    speech = [(0.0, 4.0), (4.4, 9.0)]
    assert nearest_pause_s(4.2, 3.0, 5.0, speech) == 4.2  # nobody speaks there
    assert nearest_pause_s(5.0, 3.9, 5.0, speech) == 4.4
    assert nearest_pause_s(7.0, 6.0, 7.0, speech) == 7.0  # none is near

"""Under every kind of trouble the robust rule finds the apex, and the table of the benchmark is not an empty one."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType


def test_the_robust_rule_finds_the_apex_in_nearly_all(script: Callable[[str], ModuleType]) -> None:
    benchmark = script("peak_frame")
    for troubles in benchmark.CONDITIONS:
        robust, plain = benchmark.shares(200, troubles)
        assert robust >= 0.95, troubles
        assert plain < robust or not troubles, troubles


def test_a_sequence_has_its_apex_where_it_says(script: Callable[[str], ModuleType]) -> None:
    import numpy as np

    benchmark = script("peak_frame")
    for seed in range(10):
        made = benchmark.acted(np.random.default_rng(seed), ())
        assert abs(int(made.series.intensity.sum(axis=1).argmax()) - made.apex) <= 2 and made.speech_s == []

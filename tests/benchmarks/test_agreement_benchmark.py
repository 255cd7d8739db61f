"""How far two ways of running the language model are apart: counted, and shown as it was stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

STORED = Path(__file__).resolve().parents[2] / "docs" / "agreement.json"


def test_differences_and_labels_are_counted(script: Callable[[str], ModuleType]) -> None:
    agreement = script("agreement")
    exact = np.array([[0.9, 0.1], [0.52, 0.48], [0.2, 0.8], [0.6, 0.4]])
    found = np.array([[0.8, 0.2], [0.48, 0.52], [0.2, 0.8], [0.4, 0.6]])
    one = agreement.compared(exact, found, (4.0, 8.0))
    assert (one.same_label, one.clear, one.same_clear_label) == (0.5, 3, pytest.approx(2 / 3))
    assert one.mean_difference == pytest.approx((0.1 + 0.04 + 0 + 0.2) / 4)
    assert one.largest_difference == pytest.approx(0.2) and (one.clips_s, one.clips_one_order_s) == (4.0, 8.0)
    assert agreement.compared(exact[1:2], found[1:2], (1.0, 1.0)).same_clear_label is None, "no clear one"


def test_clips_are_taken_from_all_of_a_folder(script: Callable[[str], ModuleType]) -> None:
    evenly = script("agreement").evenly
    assert evenly(list(range(11)), 3) == [0, 5, 10] and evenly([1, 2], 9) == [1, 2]


def test_what_is_stored_keeps_what_is_promised(script: Callable[[str], ModuleType]) -> None:
    """Same weights: the same to four digits in float32, near in bfloat16; in 8 bits the same labels."""
    found = script("agreement").Agreements.model_validate(json.loads(STORED.read_text(encoding="utf-8")))
    assert sum(found.clips.values()) >= 90 and len(found.groups) >= 2
    names = next(iter(found.groups.values()))
    for name in (one for one in names if not one.startswith("int4")):
        ways = {inputs: ways[name] for inputs, ways in found.groups.items()}
        assert all(way.same_clear_label is None or way.same_clear_label >= 0.99 for way in ways.values()), name
        clips = sum(found.clips[inputs] * way.mean_difference for inputs, way in ways.items())
        assert clips / sum(found.clips.values()) < 0.01, name
        if "float32" in name and not name.startswith("int"):
            assert max(way.largest_difference for way in ways.values()) < 1e-4, name

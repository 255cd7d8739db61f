"""The benchmarks of a person's baseline and of the gate: paired differences, and damages that do what they say."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from emotion_llama.clip import Clip
from emotion_llama.media.types import Frame, Waveform


@pytest.fixture(scope="module")
def baseline(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("baseline")


@pytest.fixture(scope="module")
def gating(script: Callable[[str], ModuleType]) -> ModuleType:
    return script("gating")


def test_clips_are_drawn_evenly_and_views_of_one_moment_are_known(baseline: ModuleType) -> None:
    clips = [
        Clip(clip=f"03-01-0{e}-01-01-0{r}-04.flac", emotion=word) for e, word in ((1, "a"), (2, "b")) for r in range(5)
    ]
    assert [clip.emotion for clip in baseline.evenly(clips, 4)] == ["a", "b", "a", "b"]
    assert len(baseline.evenly(clips, 99)) == 10
    view = Clip(clip="crop/01-01-01-01-01-00-04.mp4")
    assert baseline.take(view) == baseline.take(clips[0]) != baseline.take(clips[1])


def test_paired_scores_of_a_baseline(baseline: ModuleType) -> None:
    values = np.array([[[0.0, 2.0], [1.0, 1.0]], [[1.0, 1.0], [1.0, 0.5]]] * 10)
    found = baseline.scores(values, ["a"] * 10 + ["b"] * 10)
    assert found["n"] == 20 and found["people"] == 2
    assert found["accuracy"]["without"] == 0.5 and found["accuracy"]["beside"] == 1.0
    value, low, high = found["accuracy"]["difference"]
    assert value == 0.5 and 0 < low < value < high < 1
    assert found["nll"]["difference"][0] == pytest.approx(-0.75)


def test_paired_scores_of_the_gate(gating: ModuleType) -> None:
    answers = [
        {"gated": ["audio"], "right": [False, True], "nll": [3.0, 1.0]},
        {"gated": [], "right": [True, True], "nll": [1.0, 1.0]},
    ]
    found = gating.scores(answers * 10)
    assert found["left out"] == {"video": 0, "audio": 10} and found["accuracy"]["difference"][0] == 0.5
    assert found["nll"]["difference"][0] == -1.0 and found["nll"]["difference"][2] < 0


def test_damage_changes_what_it_names_and_nothing_else(gating: ModuleType, tmp_path: Path) -> None:
    rgb = np.random.default_rng(0).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    tone = (0.1 * np.sin(np.arange(16_000) / 9)).astype(np.float32)
    for name, damage in gating.DAMAGES.items():
        (seen,) = damage.frames([Frame(rgb, 0, 0.0)])
        heard = damage.sound(Waveform(tone))
        assert np.array_equal(seen.rgb, rgb) == (not name.startswith("face")), name
        assert np.array_equal(heard.samples, tone) == (not name.startswith("voice")), name
    clipped = gating.DAMAGES["voice clipped (30 dB too loud)"].sound(Waveform(tone)).samples
    assert np.abs(clipped).max() == 1.0 and (np.abs(clipped) == 1.0).mean() > 0.5

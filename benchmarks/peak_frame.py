"""How often the peak frame is found within two frames of a known apex: the robust rule, and the paper's plain sum.

Made sequences of 4 s at 15 frames a second: three action units rise to one apex; blinks, an open mouth that speaks and
frames in which the mesh slipped are laid over them, one kind at a time and all together.

    python benchmarks/peak_frame.py
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from emotion_llama.measurements import ACTION_UNITS, ActionUnitSeries
from emotion_llama.perception.peak_frame import choose_peak, plain_peak

FRAMES, RATE_HZ, REACH = 60, 15.0, 2
TROUBLES = ("blinks", "speech", "slips")
CONDITIONS = ((), *((trouble,) for trouble in TROUBLES), TROUBLES)


@dataclass(frozen=True)
class Acted:
    """One made sequence: action units, mesh scores (F,), stretches of speech, and the frame of the apex."""

    series: ActionUnitSeries
    scores: NDArray[np.float32]
    speech_s: list[tuple[float, float]]
    apex: int


def bump(centre: float, width: float, height: float) -> NDArray[np.float64]:
    """A bell over the frames."""
    return np.asarray(height * np.exp(-(((np.arange(FRAMES) - centre) / width) ** 2)))


def acted(rng: np.random.Generator, troubles: Collection[str] = TROUBLES) -> Acted:
    """A sequence with one known apex, noise, and the troubles asked for."""
    apex = int(rng.integers(12, FRAMES - 12))
    intensity = np.abs(rng.normal(0, 0.08, (FRAMES, len(ACTION_UNITS))))
    for unit in rng.choice([1, 2, 4, 6, 9, 10, 12, 15], size=3, replace=False):
        intensity[:, ACTION_UNITS.index(int(unit))] += bump(apex, 6, rng.uniform(1.5, 3.0))
    if "blinks" in troubles:
        for _ in range(2):
            intensity[:, ACTION_UNITS.index(45)] += bump(rng.uniform(0, FRAMES), 1.0, 5.0)
    if "speech" in troubles:
        for unit in (25, 26):
            wave = np.clip(np.sin(np.arange(FRAMES) * rng.uniform(0.8, 1.4) + rng.uniform(0, 6)), 0, None)
            intensity[:, ACTION_UNITS.index(unit)] += rng.uniform(1.5, 3.5) * wave
    scores = np.ones(FRAMES, dtype=np.float32)
    if "slips" in troubles:
        slip = int(rng.integers(0, FRAMES))
        scores[slip] = 0.2
        intensity[slip] += 2.0
    series = ActionUnitSeries(
        (np.arange(FRAMES) / RATE_HZ).astype(np.float32),
        np.clip(intensity, 0, 5).astype(np.float32),
        np.tile(scores[:, None] * np.float32(0.8), (1, len(ACTION_UNITS))),
        np.zeros((FRAMES, 3), np.float32),
        "own",
    )
    return Acted(series, scores, [(0.0, FRAMES / RATE_HZ)] if "speech" in troubles else [], apex)


def shares(count: int, troubles: Collection[str], seed: int = 0) -> tuple[float, float]:
    """Share of `count` sequences in which the robust rule and the plain sum find the apex."""
    rng = np.random.default_rng(seed)
    robust = plain = 0
    for _ in range(count):
        made = acted(rng, troubles)
        robust += abs(choose_peak(made.series, made.scores, made.speech_s) - made.apex) <= REACH
        plain += abs(plain_peak(made.series) - made.apex) <= REACH
    return robust / count, plain / count


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000, help="sequences a condition")
    parser.add_argument("--json", type=Path, help="also save the numbers there")
    options = parser.parse_args()
    table = Table("laid over it", "n", f"robust rule, within {REACH} frames", "plain sum")
    rows = []
    for troubles in CONDITIONS:
        robust, plain = shares(options.count, troubles)
        name = ", ".join(troubles) or "noise alone"
        table.add_row(name, str(options.count), f"{robust:.1%}", f"{plain:.1%}")
        rows.append({"condition": name, "n": options.count, "robust": robust, "plain": plain})
    Console().print(table)
    if options.json is not None:
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

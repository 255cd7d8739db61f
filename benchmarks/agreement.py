"""Do faster ways of running the language model give the same probabilities? Each against the plain way in float32.

    python benchmarks/agreement.py [CLIP_OR_FOLDER …] [--count 50] [--rounds 3] [--json docs/agreement.json]

Recordings, or lists of them (without any: cuts of the sample recordings), are looked at and encoded once. Then each
way scores the labels of every clip, one by one and eight together, with 4 label orders and with one. What is compared
is what a user gets: calibrated probabilities, the heads' opinions in them. The ways are timed in turn, round after
round.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from statistics import median

import numpy as np
from numpy.typing import NDArray
from rich.progress import track

from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.calibration import Calibration
from emotion_llama.analyze.inputs import find_clips
from emotion_llama.analyze.preset import load_preset
from emotion_llama.analyze.scoring import Inputs, score_labels_together
from emotion_llama.bench.clips import asked_of
from emotion_llama.bench.figures import Machine, Part
from emotion_llama.bench.machine import describe
from emotion_llama.bench.run import ways_of
from emotion_llama.bench.samples import cuts
from emotion_llama.bench.timing import in_turn, timed
from emotion_llama.clip import Clip
from emotion_llama.model.score import ClipReader
from emotion_llama.settings import AnalyzeSettings

CLEAR = 0.05
"""Where the two likeliest labels are further apart than this, rounding must not change the answer."""

ORDERS = (4, 1)
TOGETHER = 8

Way = tuple[ClipReader, int]
"""A reader, and how many clips it reads together."""


class Agreement(Part):
    """One way against the plain way in float32, over all clips.

    `same_label`: share with the same likeliest label; `same_clear_label`: among the `clear` clips, whose two likeliest
    labels are further apart than .05. `mean_difference`, `largest_difference`: of a probability, over clips and labels.
    `clips_s`: median clips a second from encoded features, with 4 label orders; `clips_one_order_s` with one.
    """

    same_label: float
    clear: int
    same_clear_label: float | None
    mean_difference: float
    largest_difference: float
    clips_s: float
    clips_one_order_s: float


class Agreements(Machine):
    """All of one run. `groups`: ways by name, for the clips of each set of inputs (number of them in `clips`)."""

    clips: dict[str, int]
    labels: int
    groups: dict[str, dict[str, Agreement]]


def compared(exact: NDArray[np.float64], found: NDArray[np.float64], clips_s: Sequence[float]) -> Agreement:
    """Compare probabilities (clips, labels)."""
    top = np.sort(exact, 1)
    clear, same = top[:, -1] - top[:, -2] > CLEAR, exact.argmax(1) == found.argmax(1)
    difference = np.abs(found - exact)
    return Agreement(
        same_label=float(same.mean()),
        clear=int(clear.sum()),
        same_clear_label=float(same[clear].mean()) if clear.any() else None,
        mean_difference=float(difference.mean()),
        largest_difference=float(difference.max()),
        clips_s=clips_s[0],
        clips_one_order_s=clips_s[1],
    )


def chances(
    way: Way, calibration: Calibration, inputs: Sequence[Inputs], orders: int = ORDERS[0]
) -> NDArray[np.float64]:
    """Give the probabilities (clips, labels) of clips that are encoded."""
    (reader, together), settings = way, AnalyzeSettings(tasks=("emotion",), label_orders=orders)
    found = [
        one.probabilities
        for batch in (inputs[place : place + together] for place in range(0, len(inputs), together))
        for one in score_labels_together(reader, calibration, batch, settings)
    ]
    return np.array([[one[label] for label in settings.labels] for one in found], np.float64)


def measure(
    ways: dict[str, Way], calibration: Calibration, inputs: Sequence[Inputs], rounds: int
) -> dict[str, Agreement]:
    """Compare all ways with the first one."""
    found = {name: chances(way, calibration, inputs) for name, way in ways.items()}  # warms them up, too
    timed_clips = inputs[:16]
    sides = []
    for way in ways.values():
        for orders in ORDERS:
            chances(way, calibration, timed_clips[:1], orders)  # the prior of these orders
            sides.append(
                lambda r=way, o=orders: timed(lambda: chances(r, calibration, timed_clips, o), "cpu")  # type: ignore[misc]
            )
    spent_s = [len(timed_clips) / median(each) for each in in_turn(sides, rounds)]
    exact = next(iter(found.values()))
    return {name: compared(exact, found[name], spent_s[2 * n : 2 * n + 2]) for n, name in enumerate(ways)}


def evenly(clips: Sequence[Clip], count: int) -> list[Clip]:
    """At most so many of them, spread over all."""
    return [clips[round(place)] for place in np.linspace(0, len(clips) - 1, min(count, len(clips)))]


def main() -> None:
    """Measure, show, and write JSON where asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", nargs="*", help="recordings, or folders of them")
    parser.add_argument("--count", type=int, default=50, help="most of each folder")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--json", type=Path)
    asked = parser.parse_args()
    clips = [clip for folder in asked.clips for clip in evenly(find_clips([folder], None), asked.count)]
    clips = clips or cuts(min(asked.count, 40))
    preset = load_preset(asked.model, device="cpu", dtype="auto", threads=None)
    machine = describe(preset, quick=False)
    model = EmotionLlama(replace(preset, keep_features=False))
    groups: dict[str, list[Inputs]] = {}
    for clip in track(clips, "clips"):
        inputs = asked_of(model, clip)[1]
        groups.setdefault(", ".join(inputs.present), []).append(inputs)
    ways: dict[str, Way] = {}
    for dtype in dict.fromkeys(("float32", machine.dtype)):
        one = load_preset(asked.model, device="cpu", dtype=dtype, threads=None)
        for name, reader in ways_of(one.load_reader(), one).items():
            if dtype != machine.dtype and name.startswith("int"):
                continue  # nobody would
            ways |= {f"{name}, {dtype}": (reader, 1), f"{name}, {dtype}, {TOGETHER} together": (reader, TOGETHER)}
    found = Agreements(
        **machine.model_dump(),
        clips={name: len(some) for name, some in groups.items()},
        labels=len(AnalyzeSettings().labels),
        groups={name: measure(ways, model.calibration, some, asked.rounds) for name, some in groups.items()},
    )
    rows = [(group, name, way) for group, of_ways in found.groups.items() for name, way in of_ways.items()]
    for group, name, way in rows:
        print(
            f"{group} ({found.clips[group]} clips), {name}: same label {way.same_label:.3f}, of {way.clear} clear ones "
            f"{way.same_clear_label}, mean |Δp| "
            f"{way.mean_difference:.5f}, largest {way.largest_difference:.4f}, clips/s {way.clips_s:.2f}, one order "
            f"{way.clips_one_order_s:.2f}"
        )
    if asked.json:
        asked.json.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

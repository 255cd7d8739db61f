"""How well windows, smoothing and stretches follow a course of emotion that is known.

Acted clips of one held-out man (RAVDESS, Actor_05, 60 face clips) are joined to a film: each emotion comes in runs of
`--run` clips, in an order drawn with the seed, so that it is known at every moment what is acted. Printed is the share
of the film's time in which each of these says so: the window whose middle is nearest, alone; the same, smoothed; the
stretch. It is the same face all the time: no cut tells windows where one clip ends and the next begins.

    EMOTION_LLAMA_DATA=… python benchmarks/timeline_accuracy.py --run 3
"""

from __future__ import annotations

import argparse
import csv
import importlib.util
import json
import os
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import emotion_llama as el
from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.timeline.run import open_watcher, window_scorer
from emotion_llama.analyze.timeline.smoothing import Scored, Smoother
from emotion_llama.analyze.timeline.stretches import stretches_of
from emotion_llama.clip import Clip
from emotion_llama.labels import LABEL_SETS
from emotion_llama.media import DecodeNotes, probe
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import Stretch, Window

GRID_S = 0.1
Segment = tuple[float, float, str]
"""From when to when what is acted."""


def ordered(rows: Sequence[dict[str, str]], run: int, seed: int) -> list[dict[str, str]]:
    """Clips in runs of one emotion; neighbouring runs differ."""
    rng = np.random.default_rng(seed)
    runs: list[list[dict[str, str]]] = []
    for emotion in sorted({row["emotion"] for row in rows}):
        mine = [row for row in rows if row["emotion"] == emotion]
        mine = [mine[place] for place in rng.permutation(len(mine))]
        runs += [mine[start : start + run] for start in range(0, len(mine), run)]
    while True:
        drawn = [runs[place] for place in rng.permutation(len(runs))]
        if all(a[0]["emotion"] != b[0]["emotion"] for a, b in pairwise(drawn)):
            return [row for one in drawn for row in one]


def make_film(path: Path, folder: Path, rows: Sequence[dict[str, str]]) -> list[Segment]:
    """Join clips; gives what is acted when."""
    spec = importlib.util.spec_from_file_location("timeline_benchmark", Path(__file__).with_name("timeline.py"))
    assert spec is not None and spec.loader is not None
    joining: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(joining)
    bounds_s = joining.join(path, [folder / row["file"] for row in rows], size=(224, 224))
    return [(a, b, row["emotion"]) for a, b, row in zip(bounds_s, bounds_s[1:], rows, strict=False)]


def windows_of(model: EmotionLlama, path: Path, settings: AnalyzeSettings) -> list[Scored]:
    """The windows of a film, each as scored on its own."""
    clip = Clip(clip=path.name, path=path)
    watcher = open_watcher(model, clip, probe(path), settings, (DecodeNotes(), DecodeNotes()))
    return list(watcher.windows(window_scorer(model, settings, None)))


def says(windows: Sequence[Window], time_s: float) -> str | None:
    """The likeliest label of the window whose middle is nearest."""
    near = min(windows, key=lambda window: abs((window.start_s + window.end_s) / 2 - time_s))
    return max(near.probabilities, key=lambda label: near.probabilities[label]) if near.probabilities else None


def holds(stretches: Sequence[Stretch], time_s: float) -> str | None:
    """The emotion of the stretch at a time."""
    return next((one.emotion for one in stretches if one.start_s <= time_s < one.end_s), None)


def shares(scored: Sequence[Scored], acted: Sequence[Segment]) -> dict[str, float]:
    """Share of time that each is right."""
    smoother = Smoother()
    smooth = [window for one in scored for window in smoother.add(one)] + smoother.finish()
    alone = [one.window for one in scored]
    stretches = stretches_of(smooth)
    right: Counter[str] = Counter()
    times = np.arange(GRID_S / 2, acted[-1][1], GRID_S)
    for time_s in times:
        truth = next(emotion for start_s, end_s, emotion in acted if start_s <= time_s < end_s)
        right["windows alone"] += says(alone, time_s) == truth
        right["smoothed windows"] += says(smooth, time_s) == truth
        right["stretches"] += holds(stretches, time_s) == truth
    return {name: count / len(times) for name, count in right.items()} | {
        "number of windows": len(alone), "number of stretches": len(stretches),
    }  # fmt: skip


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("EMOTION_LLAMA_DATA", "data")))
    parser.add_argument("--run", type=int, default=3, help="clips of one emotion in a row")
    parser.add_argument("--windows", default="6:3,4:2", help="window:step in seconds, commas between")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path, help="also save the numbers there")
    options = parser.parse_args()
    folder = options.data / "ravdess_av"
    if not (folder / "manifest.csv").is_file():
        raise SystemExit(f"{folder}: expected ravdess_av with manifest.csv there; name the research data with --data")
    with (folder / "manifest.csv").open(encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["view"] == "crop"]
    model, found = el.load("nano"), []
    with tempfile.TemporaryDirectory() as place:
        film = Path(place) / "film.mp4"
        acted = make_film(film, folder, ordered(rows, options.run, options.seed))
        for text in options.windows.split(","):
            window_s, step_s = map(float, text.split(":"))
            settings = AnalyzeSettings(labels=LABEL_SETS["ravdess8"], window_s=window_s, step_s=step_s)
            found.append({"window_s": window_s, "step_s": step_s, **shares(windows_of(model, film, settings), acted)})
    table = Table("window, step (s)", *list(found[0])[2:])
    for row in found:
        numbers = [value for name, value in row.items() if not name.endswith("_s")]
        table.add_row(f"{row['window_s']:g}, {row['step_s']:g}", *(f"{n:.1%}" if n < 1 else f"{n:g}" for n in numbers))
    lasts: Counter[str] = Counter()
    for start_s, end_s, emotion in acted:
        lasts[emotion] += end_s - start_s
    majority = max(lasts.values()) / acted[-1][1]
    Console().print(table)
    print(f"{len(rows)} clips, {acted[-1][1]:.0f} s; one label all the time: {majority:.1%}; blind guess: 12.5%")
    if options.json is not None:
        record = {"clips": len(rows), "length_s": acted[-1][1], "run": options.run, "seed": options.seed, "rows": found}
        options.json.write_text(json.dumps(record | {"majority": majority}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

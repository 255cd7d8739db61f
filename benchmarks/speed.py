"""Time the shipped `nano`: `make bench`.

Cold and warm analysis of the sample clip and of a folder of 20 different cuts of the sample clips: seconds a part,
real-time factor (analysis time ÷ clip length), clips a second, peak memory; label scoring with a shared prefix against
scoring every label of every order from scratch, in the same run; the start of the command line. Prints tables and, with
--json FILE, saves them.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median

from rich.console import Console
from rich.table import Table

import emotion_llama as el
from emotion_llama import assets
from emotion_llama.analyze.analyzer import EmotionLlama, Looked, Result
from emotion_llama.analyze.features import encode
from emotion_llama.analyze.perceive import Stopwatch, perceive
from emotion_llama.analyze.pipeline import Pipeline
from emotion_llama.clip import Clip
from emotion_llama.settings import AnalyzeSettings

CLIP_S = 3.5
CUTS = 20
BATCH_SIZE = 4
EMOTION = AnalyzeSettings(tasks=("emotion",))
REASON = AnalyzeSettings(tasks=("emotion", "reason"))


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Median seconds of `repeats` calls."""
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return median(times)


def cuts() -> list[Clip]:
    """Give 20 different 3.5 s spans of the sample clips."""
    speech = assets.path("sample-speech") / "obama_speech.mp4"
    tears = assets.path("sample-tears") / "WolfgangLanger_Pexels.mp4"
    found = []
    for path, last_s in ((speech, 5.0), (tears, 16.0)):
        for number in range(CUTS // 2):
            start_s = round(last_s * number / (CUTS // 2 - 1), 3)
            found.append(
                Clip(clip=f"{path.name}@{start_s}", path=path, start_s=start_s, end_s=round(start_s + CLIP_S, 3))
            )
    return found


def peak_rss_mb() -> float:
    """Largest resident memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def stages(results: Sequence[Result]) -> dict[str, float]:
    """Median seconds of each part."""
    names = {name for result in results for name in result.analysis.timings_s}
    return {
        name: round(median(r.analysis.timings_s.get(name, 0.0) for r in results), 4)
        for name in sorted(names, key=lambda n: -max(r.analysis.timings_s.get(n, 0.0) for r in results))
    }


def scoring(model: EmotionLlama, clip: Clip, repeats: int) -> dict[str, float]:
    """Label scoring: shared prefix against every label of every order from scratch."""
    watch = Stopwatch()
    percept = perceive(clip, EMOTION, model.parts, watch)
    features = encode(percept, model.parts, True, watch)
    reader, text = model.reader, percept.transcript.text

    def shared() -> object:
        return reader.score(reader.read(features, text), EMOTION.labels, orders=EMOTION.label_orders)

    def scratch() -> object:
        return reader.score_from_scratch(reader.read(features, text), EMOTION.labels, orders=EMOTION.label_orders)

    shared()
    fast, slow = seconds(shared, repeats), seconds(scratch, max(1, repeats // 2))
    return {"shared_prefix_s": fast, "from_scratch_s": slow, "ratio": slow / fast}


def together(model: EmotionLlama, clips: Sequence[Clip]) -> dict[str, float]:
    """A folder with reasons: clip after clip, against side by side as `analyze DIR` does it; seconds and ratio."""
    pipeline: Pipeline[Clip, Looked | Result, Result] = Pipeline(
        [lambda clip: model.look(clip, REASON)],
        lambda found: model.answer_together([looked for _, looked in found]),
        BATCH_SIZE,
    )
    one_by_one_s = seconds(lambda: [model.examine(clip, REASON) for clip in clips], 1)
    side_by_side_s = seconds(lambda: list(pipeline.results(clips)), 1)
    return {
        "clips": len(clips),
        "one_by_one_s": one_by_one_s,
        "side_by_side_s": side_by_side_s,
        "ratio": one_by_one_s / side_by_side_s,
    }


def measure(repeats: int) -> dict[str, object]:
    """Run everything; the keys are those printed."""
    clip = cuts()[0]
    start = time.perf_counter()
    model = el.load("nano", keep_features=False)
    first = model.examine(clip, REASON)
    cold_s = time.perf_counter() - start
    emotion_s = seconds(lambda: model.examine(clip, EMOTION), repeats)
    folder = cuts()
    reason = [model.examine(c, REASON) for c in folder[::3]]
    # the slowest, because the length of the written reason decides: some clips get two words, others three sentences
    reason_s = max(r.analysis.timings_s["total"] for r in reason)
    folder_s = seconds(lambda: [model.examine(c, EMOTION) for c in folder], 1)
    help_s = seconds(
        lambda: subprocess.run([sys.executable, "-m", "emotion_llama", "--help"], check=True, capture_output=True), 5
    )
    return {
        "machine": f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}",
        "clip_s": CLIP_S,
        "dtype": first.analysis.provenance.dtype,
        "cold_first_clip_s": cold_s,
        "warm_emotion_s": emotion_s,
        "rtf_emotion": emotion_s / CLIP_S,
        "warm_reason_s": reason_s,
        "rtf_reason": reason_s / CLIP_S,
        "folder_clips": len(folder),
        "folder_clips_per_s": len(folder) / folder_s,
        "folder_rtf": folder_s / (len(folder) * CLIP_S),
        "folder_with_reasons": together(model, folder[:12]),
        "label_scoring": scoring(model, clip, repeats),
        "help_s": help_s,
        "peak_rss_mb": peak_rss_mb(),
        "stages_s": stages(reason),
    }


def show(result: dict[str, object]) -> None:
    """Print the table."""
    console = Console(width=100)
    table = Table("measure", "value", title="emotion-llama nano")
    for key, value in result.items():
        if isinstance(value, dict):
            for name, part in value.items():
                table.add_row(f"{key}: {name}", f"{part:.3f}")
        else:
            table.add_row(key, f"{value:.3f}" if isinstance(value, float) else str(value))
    console.print(table)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    result = measure(arguments.repeats)
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

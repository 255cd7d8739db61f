"""Time the scoring of a predictions file: `python benchmarks/scoring.py`.

Writes a made-up manifest and predictions file of 8 classes (some answers invalid, some missing, probabilities that are
too sure) into a temporary folder, scores them with the command line, and prints seconds and peak memory of that process
against the budget: 100,000 predictions with all intervals in 60 s and 1 GB on two cores. Then times the metrics alone.
Exits with 1 if the command is over the budget, with 2 if it wrote no report. --json FILE saves the numbers.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from emotion_llama.labels import LABEL_SETS
from emotion_llama.metrics.classes import class_statistic
from emotion_llama.metrics.confidence import confidence_statistic, top
from emotion_llama.metrics.ranking import rank_statistic
from emotion_llama.metrics.resample import intervals, speaker_codes

LABELS = LABEL_SETS["ravdess8"]
BUDGET_S = 60.0
BUDGET_MB = 1000.0
INVALID = 0.02
MISSING = 0.01


@dataclass(frozen=True)
class Made:
    """Made-up answers: probabilities (n, 8), truth (n,), predicted (n,): 8 is invalid, 9 missing; speakers or none."""

    probabilities: NDArray[np.float64]
    truth: NDArray[np.int64]
    predicted: NDArray[np.int64]
    speakers: tuple[str | None, ...]


def make(n: int, speakers: int, seed: int = 0) -> Made:
    """Make n answers; `speakers` 0 = not known."""
    rng, k = np.random.default_rng(seed), len(LABELS)
    weights = np.exp(1.5 * rng.normal(size=(n, k)))
    p = weights / weights.sum(axis=1, keepdims=True)
    truth = (rng.random(n)[:, None] > p.cumsum(axis=1)).sum(axis=1).clip(0, k - 1)
    sharp = p**1.5 / (p**1.5).sum(axis=1, keepdims=True)
    fate = rng.random(n)
    predicted = np.select([fate < MISSING, fate < MISSING + INVALID], [k + 1, k], default=sharp.argmax(axis=1))
    names = tuple(f"s{code}" for code in rng.integers(0, speakers, n)) if speakers else (None,) * n
    return Made(sharp, truth, predicted, names)


def write(made: Made, folder: Path, slices: bool) -> tuple[Path, Path]:
    """Write manifest.csv and predictions.jsonl; `slices` adds the columns sex and age."""
    manifest, predictions = folder / "manifest.csv", folder / "predictions.jsonl"
    with manifest.open("w", newline="", encoding="utf-8") as rows, predictions.open("w", encoding="utf-8") as lines:
        table = csv.writer(rows, lineterminator="\n")
        table.writerow(("clip", "path", "transcript", "emotion", "speaker", *(("sex", "age") if slices else ())))
        for number, (p, truth, said) in enumerate(zip(made.probabilities, made.truth, made.predicted, strict=True)):
            name = f"clip{number:06d}"
            groups = ("female" if number % 2 else "male", 18 + number % 60) if slices else ()
            table.writerow((name, "", "words", LABELS[truth], made.speakers[number] or "", *groups))
            if said <= len(LABELS):
                lines.write(json.dumps({"clip": name, **_answer(p, said)}) + "\n")
    return manifest, predictions


def _answer(probabilities: NDArray[np.float64], said: int) -> dict[str, object]:
    """What a predictions file says of one clip; an invalid answer names no label."""
    if said == len(LABELS):
        return {"emotion": None}
    return {"emotion": LABELS[said], "probabilities": dict(zip(LABELS, probabilities.round(6).tolist(), strict=True))}


def measure(command: Sequence[str]) -> dict[str, float | int | str]:
    """Run a command; give its seconds, peak memory in MB, exit code and the end of what it said on stderr.

    The memory is the largest of all children so far, and a child starts from its parent's: run it first, from a
    small process.
    """
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    wall_s = time.perf_counter() - start
    # ru_maxrss is in KiB on Linux and in bytes on macOS
    unit = 1e6 if sys.platform == "darwin" else 1e3 / 1.024
    peak_mb = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / unit
    return {"wall_s": wall_s, "peak_mb": peak_mb, "exit_code": done.returncode, "stderr": done.stderr[-2000:]}


def command_line(manifest: Path, predictions: Path, out: Path) -> list[str]:
    """The command that is measured."""
    paths = ["--data", str(manifest), "--predictions", str(predictions), "--out", str(out)]
    return [sys.executable, "-m", "emotion_llama", "evaluate", "custom", "--labels", "ravdess8", *paths]


def problem(out: Path, n: int) -> str:
    """What is wrong with the report in `out`, "" if it holds what was asked with its intervals."""
    try:
        report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        return f"no report: {error}"
    if report["n_asked"] != n:
        return f"the report asked {report['n_asked']} clips, not {n}"
    bare = [
        name for name in ("war", "uar", "ece", "brier", "auroc") if report["metrics"].get(name, {}).get("low") is None
    ]
    return f"no interval for {', '.join(bare)}" if bare else ""


def time_metrics(made: Made, draws: int) -> dict[str, float]:
    """Seconds of the metrics alone, in this process: building the statistics, and all intervals."""
    start = time.perf_counter()
    confidence, correct = top(made.probabilities, made.truth)
    statistics = [
        class_statistic(made.truth, made.predicted, len(LABELS), over="present"),
        confidence_statistic(made.probabilities, made.truth),
    ]
    rank = [rank_statistic(confidence, correct)]
    built = time.perf_counter()
    groups = speaker_codes(made.speakers)
    intervals(statistics, rank, n=len(made.truth), groups=groups, draws=draws, seed=0)
    return {"statistics_s": built - start, "intervals_s": time.perf_counter() - built}


def over_budget(result: dict[str, float | int | str]) -> list[str]:
    """Name what the command took too much of."""
    limits = {"wall_s": BUDGET_S, "peak_mb": BUDGET_MB}
    return [f"{name} {result[name]:.1f} > {limit:.0f}" for name, limit in limits.items() if float(result[name]) > limit]


def show(result: dict[str, float | int | str]) -> None:
    """Print the table."""
    table = Table("measure", "value", title="scoring a predictions file")
    for name, value in result.items():
        if name == "stderr":
            continue
        table.add_row(name, f"{value:.2f}" if isinstance(value, float) else str(value))
    Console(width=100).print(table)


def main() -> int:
    """Measure, print, and say whether the budget was kept."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=100_000, help="clips")
    parser.add_argument("--speakers", type=int, default=0, help="speakers; 0 = not known")
    parser.add_argument("--slices", action="store_true", help="sex and age columns, so that slices are scored too")
    parser.add_argument("--draws", type=int, default=10_000, help="bootstrap draws of the metrics alone")
    parser.add_argument("--json", type=Path, help="save the numbers")
    arguments = parser.parse_args()
    made = make(arguments.n, arguments.speakers)
    with tempfile.TemporaryDirectory() as folder:
        manifest, predictions = write(made, Path(folder), arguments.slices)
        out = Path(folder) / "out"
        measured = measure(command_line(manifest, predictions, out))
        wrong = problem(out, arguments.n)
    machine = f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
    settings = {"n": arguments.n, "speakers": arguments.speakers, "slices": arguments.slices}
    result = {"machine": machine, **settings, **measured, **time_metrics(made, arguments.draws)}
    over = over_budget(result)
    show(result)
    if arguments.json:
        verdict = {"problem": wrong, "over_budget": over}
        arguments.json.write_text(json.dumps({**result, **verdict}, indent=2) + "\n", encoding="utf-8")
    if wrong:
        print(f"{measured['stderr']}\n{wrong}", file=sys.stderr)
    elif over:
        print(f"over the budget: {', '.join(over)}", file=sys.stderr)
    return 2 if wrong else int(bool(over))


if __name__ == "__main__":
    sys.exit(main())

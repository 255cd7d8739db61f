"""Time whole analyses of a folder, however they are spread: `python benchmarks/spread.py --clips 16`.

So many cuts of the sample recordings (3.5 s each) go through one process clip by clip, two worker processes, one
process that answers four at once, two workers that look while one model answers, and Ray with two workers; each in a
process of its own, nothing kept of a recording. Clips a second in all (starting and loading included) and in steady
state (from the fourth result on), both also divided by those of the first way. With `--kill` a Ray worker is killed in
the middle of another run, and what it lost or did twice is counted. `--json docs/spread-speed.json` saves the figures.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict
from rich.console import Console
from rich.table import Table

from emotion_llama.analyze.folder import ANALYSES, FolderRun, run_folder
from emotion_llama.bench.figures import Machine
from emotion_llama.bench.samples import CLIP_S, cuts
from emotion_llama.clip import TASKS
from emotion_llama.scale.spread import as_engine
from emotion_llama.settings import AnalyzeSettings

STEADY_FROM = 4
"""Results before this one are not of the steady state: models are loaded until then."""

LOOK_S = 0.02
WAYS: tuple[tuple[str, dict[str, Any]], ...] = (
    ("plain", {}),
    ("--jobs 2", {"jobs": 2}),
    ("--batch-size 4", {"batch_size": 4}),
    ("--jobs 2 --batch-size 4", {"jobs": 2, "batch_size": 4}),
    ("--engine ray --jobs 2", {"jobs": 2, "engine": "ray"}),
)
KILLED: tuple[str, dict[str, Any]] = ("--engine ray --jobs 2, a worker killed", {"jobs": 2, "engine": "ray"})


class Way(BaseModel):
    """One way through the folder. `ratio`, `steady_ratio`: clips a second ÷ those of `plain`.

    `lost`: clips without a line; `doubled`: with more than one; `failed`: whose line is a failure. `largest_difference`
    of a probability from that of `plain`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str
    wall_s: float
    first_result_s: float
    clips_a_second: float
    steady_clips_a_second: float
    ratio: float
    steady_ratio: float
    killed: bool
    lost: int
    doubled: int
    failed: int
    largest_difference: float


class SpreadSpeed(BaseModel):
    """What was measured, where, and on what."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: Machine
    clips: int
    clip_s: float
    tasks: tuple[str, ...]
    ways: tuple[Way, ...]


def load_unkept(run: FolderRun, threads: int | None) -> Any:
    """Load the model; features of a recording are not kept for the next way."""
    from emotion_llama.analyze.analyzer import load

    return load(run.model, device=run.device, threads=threads, keep_features=False)


def timed(words: Sequence[str], out: Path, kill: bool = False) -> list[float]:
    """Run one way in a process of its own; gives the seconds at which each result was written, and the end last."""
    start = time.monotonic()
    told = out.with_suffix(".log")
    with told.open("w", encoding="utf-8") as log:
        process = subprocess.Popen([sys.executable, __file__, *words, "--out", str(out)], stderr=log)
    times: list[float] = []
    while process.poll() is None:
        written = _written(out / ANALYSES)
        times += [time.monotonic() - start] * (written - len(times))
        if kill and written >= STEADY_FROM:
            os.kill(next(ray_workers(process.pid)), signal.SIGKILL)
            kill = False
        time.sleep(LOOK_S)
    end = time.monotonic() - start
    if process.returncode or kill:
        raise SystemExit(f"{' '.join(words)}: ended with {process.returncode}:\n{told.read_text(encoding='utf-8')}")
    return [*times, *[end] * (_written(out / ANALYSES) - len(times)), end]


def _written(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.is_file() else 0


def ray_workers(pid: int) -> Iterator[int]:
    """Process ids of the Ray workers that are below a process."""
    parents, names = {}, {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parents[int(folder.name)] = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            names[int(folder.name)] = (folder / "cmdline").read_bytes()
        except (OSError, IndexError):
            continue  # it has just ended
    below = {pid}
    for _ in range(4):  # driver, raylet, worker
        below |= {one for one, parent in parents.items() if parent in below}
    return (one for one in sorted(below) if names.get(one, b"").startswith(b"ray::RayWorker"))


def way(name: str, times: Sequence[float], out: Path, clips: int, plain: Way | None, killed: bool) -> Way:
    """Put the figures of one way together; `plain`: the first way, `None` for itself."""
    *results, end = times
    rows = [json.loads(line) for line in (out / ANALYSES).read_text(encoding="utf-8").splitlines()]
    counts = Counter(row["clip"] for row in rows)
    first = {row["clip"]: row for row in _rows(out.parent / "0")}
    in_all, steady = clips / end, (len(results) - STEADY_FROM) / (results[-1] - results[STEADY_FROM - 1])
    return Way(
        name=name,
        wall_s=round(end, 2),
        first_result_s=round(results[0], 2),
        clips_a_second=round(in_all, 3),
        steady_clips_a_second=round(steady, 3),
        ratio=round(in_all / (plain.clips_a_second if plain else in_all), 3),
        steady_ratio=round(steady / (plain.steady_clips_a_second if plain else steady), 3),
        killed=killed,
        lost=clips - len(counts),
        doubled=sum(count > 1 for count in counts.values()),
        failed=sum("error" in row for row in rows),
        largest_difference=max(difference(row, first[row["clip"]]) for row in rows),
    )


def _rows(out: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (out / ANALYSES).read_text(encoding="utf-8").splitlines()]


def difference(one: dict[str, Any], other: dict[str, Any]) -> float:
    """The largest difference of a probability; 1 where only one is a failure."""
    if "error" in one or "error" in other:
        return float(("error" in one) != ("error" in other))
    return max(abs(one["probabilities"][label] - other["probabilities"][label]) for label in other["probabilities"])


def measure(clips: int, tasks: Sequence[str], kill: bool, words: str = "") -> SpreadSpeed:
    """Take the ways one after the other: `plain`, and those with some words in their names."""
    from emotion_llama.analyze.preset import load_preset
    from emotion_llama.bench.machine import describe

    where = describe(load_preset("nano", device="cpu", dtype="auto", threads=None), quick=clips < 20)
    found: list[Way] = []
    with tempfile.TemporaryDirectory() as folder:
        ways = [WAYS[0], *(one for one in WAYS[1:] if words in one[0])]
        for number, (name, how) in enumerate((*ways, *((KILLED,) if kill else ()))):
            out, killed = Path(folder) / str(number), kill and number == len(ways)
            command = ["--clips", str(clips), "--tasks", ",".join(tasks), "--way", json.dumps(how)]
            times = timed(command, out, killed)
            found.append(way(name, times, out, clips, found[0] if found else None, killed))
            Console(stderr=True).print(f"{name}: {found[-1].steady_clips_a_second} clips a second")
    return SpreadSpeed(machine=where, clips=clips, clip_s=CLIP_S, tasks=tuple(tasks), ways=tuple(found))


def show(found: SpreadSpeed) -> None:
    """Print what was measured."""
    table = Table(
        "", "seconds", "clips/s", "ratio", "steady clips/s", "steady ratio", "lost", "doubled", "failed", "Δp"
    )
    for one in found.ways:
        numbers = (one.wall_s, one.clips_a_second, one.ratio, one.steady_clips_a_second, one.steady_ratio)
        table.add_row(
            one.name, *map(str, (*numbers, one.lost, one.doubled, one.failed)), f"{one.largest_difference:.1g}"
        )
    Console(width=140).print(table)


def main() -> int:
    """Run as the module says; gives 1 where a clip was lost, doubled or failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", type=int, default=16)
    parser.add_argument("--tasks", default="emotion,reason", help="what is asked, with commas")
    parser.add_argument("--ways", default="", help="beside plain only those whose names have these words: ray")
    parser.add_argument("--kill", action="store_true", help="kill a Ray worker in the middle of one more run")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--way", help=argparse.SUPPRESS)  # one way, in the process that is timed
    parser.add_argument("--out", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    tasks = [task for task in TASKS if task in options.tasks.split(",")]
    if options.way is not None:
        how = json.loads(options.way)
        how["engine"] = as_engine(how.get("engine", "local"))
        run = FolderRun(options.out, AnalyzeSettings(tasks=tuple(tasks)), device="cpu", **how)
        return run_folder(cuts(options.clips), run, load_unkept)
    if options.clips < 2 * STEADY_FROM:
        parser.error(f"--clips: at least {2 * STEADY_FROM}, for a steady state")
    found = measure(options.clips, tasks, options.kill, options.ways)
    show(found)
    if options.json is not None:
        options.json.write_text(found.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return int(any(one.lost or one.doubled or one.failed for one in found.ways))


if __name__ == "__main__":
    sys.exit(main())

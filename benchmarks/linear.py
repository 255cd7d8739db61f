"""Does the cost of a folder grow with its clips and no faster? `python benchmarks/linear.py --clips 20,200,2000`.

Makes different clips of 1 s of the faces and the speech of the sample recordings. For each number so many of them are
analysed as `emotion-llama analyze DIR --task emotion` does, in a process of its own, nothing kept from clip to clip:
clips a second once the first five are done (they pay for loading), seconds of the processor a clip (others at work on
the machine disturb them less), and the largest memory of the process. Beside different runs on one machine stands the
same inside each run: its first 200 clips (half of a shorter run) against its last.

Prints how far it is; --json FILE is written again every twenty clips, so that a run that is stopped loses nothing.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median

from build import make_clips
from pydantic import NonNegativeInt, PositiveFloat, PositiveInt
from rich.console import Console
from rich.table import Table

from emotion_llama.analyze.analyzer import EmotionLlama, load
from emotion_llama.analyze.folder import ANALYSES, FolderRun, run_folder
from emotion_llama.analyze.preset import load_preset
from emotion_llama.analyze.writers import ClipFailure, read_jsonl
from emotion_llama.bench.figures import Machine, Part
from emotion_llama.bench.machine import describe
from emotion_llama.clip import Clip
from emotion_llama.settings import AnalyzeSettings

CLIP_S = 1.0
WARM = 5
"""Clips that load what the others use: they do not count."""

EDGE = 200
"""Clips at the beginning and at the end of a run that are compared; of a shorter run each half."""

SAVE_EVERY = 20
LOOK_S = 0.05


class LinearRun(Part):
    """One folder. Figures are of the clips after the first `WARM`; the edges are `edge_clips` at either end of them.

    `edge_ratio`: median seconds a clip at the end ÷ at the beginning. `cpu_clip_s`: seconds of the processor a clip, of
    all threads; `edge_cpu_ratio`: at the end ÷ at the beginning. `peak_mb`: largest resident memory of the process
    (10^6 bytes), `edge_peak_mb`: the same when the beginning was done. `done` is less than `clips` in a stopped run.
    """

    clips: PositiveInt
    done: PositiveInt
    failed: NonNegativeInt
    seconds: PositiveFloat
    clips_per_s: PositiveFloat
    edge_clips: PositiveInt
    first_clips_per_s: PositiveFloat
    last_clips_per_s: PositiveFloat
    edge_ratio: PositiveFloat
    cpu_clip_s: PositiveFloat
    edge_cpu_ratio: PositiveFloat
    edge_peak_mb: PositiveFloat
    peak_mb: PositiveFloat


class LinearSpeed(Part):
    """All folders. `speed_ratio`: slowest ÷ fastest clips a second; the others: largest ÷ smallest of all folders."""

    machine: Machine
    clip_s: PositiveFloat
    warm_clips: PositiveInt
    runs: tuple[LinearRun, ...]
    speed_ratio: PositiveFloat | None
    cpu_ratio: PositiveFloat | None
    peak_ratio: PositiveFloat | None

    @classmethod
    def of(cls, machine: Machine, runs: Sequence[LinearRun]) -> LinearSpeed:
        """Put runs side by side; a stopped one is shown and not compared."""
        whole = [run for run in runs if run.done == run.clips]
        speeds, peaks = [run.clips_per_s for run in whole], [run.peak_mb for run in whole]
        cpus = [run.cpu_clip_s for run in whole]
        return cls(
            machine=machine,
            clip_s=CLIP_S,
            warm_clips=WARM,
            runs=tuple(runs),
            speed_ratio=min(speeds) / max(speeds) if len(whole) > 1 else None,
            cpu_ratio=max(cpus) / min(cpus) if len(whole) > 1 else None,
            peak_ratio=max(peaks) / min(peaks) if len(whole) > 1 else None,
        )


@dataclass(frozen=True)
class Used:
    """What a process has used so far: memory at the most, in MB, and seconds of the processor."""

    peak_mb: float = 0.0
    cpu_s: float = 0.0


class Course:
    """When each clip of a run was done (seconds from its start), and what the process had used by then."""

    def __init__(self) -> None:
        self.ends_s: list[float] = []
        self.used: list[Used] = []

    def add(self, count: int, end_s: float, used: Used) -> None:
        """So many clips more are done."""
        self.ends_s += [end_s] * count
        self.used += [used] * count

    def rate(self, first: int, last: int) -> float:
        """Clips a second of the clips `first` (at least 1) to `last`, counted from 0, without `last` itself."""
        return (last - first) / max(self.ends_s[last - 1] - self.ends_s[first - 1], 1e-9)

    def cpu_s(self, first: int, last: int) -> float:
        """Seconds of the processor a clip, of the same clips."""
        return max(self.used[last - 1].cpu_s - self.used[first - 1].cpu_s, 1e-9) / (last - first)

    def clip_s(self, first: int, last: int) -> float:
        """Median seconds from one clip's end to the next, of the same clips."""
        times = self.ends_s[first - 1 : last]
        return max(median(b - a for a, b in pairwise(times)), 1e-9)

    def run(self, clips: int, failed: int) -> LinearRun | None:
        """Give the figures so far; `None` while there are too few clips for any."""
        done = len(self.ends_s)
        edge = min(EDGE, (done - WARM) // 2)
        if edge < 1:
            return None
        return LinearRun(
            clips=clips,
            done=done,
            failed=failed,
            seconds=self.ends_s[-1],
            clips_per_s=self.rate(WARM, done),
            edge_clips=edge,
            first_clips_per_s=self.rate(WARM, WARM + edge),
            last_clips_per_s=self.rate(done - edge, done),
            edge_ratio=self.clip_s(done - edge, done) / self.clip_s(WARM, WARM + edge),
            cpu_clip_s=self.cpu_s(WARM, done),
            edge_cpu_ratio=self.cpu_s(done - edge, done) / self.cpu_s(WARM, WARM + edge),
            edge_peak_mb=self.used[WARM + edge - 1].peak_mb,
            peak_mb=self.used[-1].peak_mb,
        )


def analyse(folder: Path, count: int, out: Path) -> int:
    """Analyse the first clips of a folder by the command's own code: what the process of a run does."""
    clips = [Clip(clip=path.name, path=path) for path in sorted(folder.iterdir())[:count]]
    return run_folder(clips, FolderRun(out, AnalyzeSettings(tasks=("emotion",))), _load)


def _load(run: FolderRun, threads: int | None) -> EmotionLlama:
    return load(run.model, device=run.device, threads=threads, keep_features=False)


def used_by(pid: int) -> Used | None:
    """What a process has used so far; `None` once it has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        ticks = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[11:13]
    except OSError:
        return None
    peaks_mb = [int(line.split()[1]) * 1024 / 1e6 for line in lines if line.startswith("VmHWM:")]
    return Used(peaks_mb[0], sum(map(int, ticks)) / os.sysconf("SC_CLK_TCK")) if peaks_mb else None


def watched(command: Sequence[str], results: Path, log: Path) -> Iterator[Course]:
    """Start a process that appends one line a clip to `results`; give its course whenever more clips are done.

    It ends with this one. Raises `SystemExit` with what it said last where it failed as a whole.
    """
    course, read, used = Course(), 0, Used()
    with log.open("w", encoding="utf-8") as told:
        start_s = time.monotonic()
        process = subprocess.Popen(command, stdout=told, stderr=told)
        try:
            ended = False
            while not ended:
                ended = process.poll() is not None  # before reading: nothing written at the very end is missed
                used = used_by(process.pid) or used
                new = results.read_bytes()[read:] if results.is_file() else b""
                if lines := new.count(b"\n"):
                    read += new.rfind(b"\n") + 1
                    course.add(lines, time.monotonic() - start_s, used)
                    yield course
                time.sleep(LOOK_S)
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()
    if process.returncode not in (0, 1):  # 1: some clips failed, which the results say
        raise SystemExit(f"a run ended with {process.returncode}: {log.read_text(encoding='utf-8')[-2000:]}")


def measure(clips: Path, count: int, out: Path, save: Callable[[LinearRun], None], console: Console) -> LinearRun:
    """Analyse so many clips and say how far it is; `save` gets the figures now and then."""
    command = [sys.executable, __file__, "--analyse", str(clips), str(count), str(out)]
    course, told = Course(), 0
    for course in watched(command, out / ANALYSES, out.with_suffix(".log")):
        done = len(course.ends_s)
        if done // SAVE_EVERY > told and (found := course.run(count, 0)) is not None:
            told = done // SAVE_EVERY
            console.print(
                f"{count} clips: {done} done, {found.clips_per_s:.3f} a second, "
                f"{found.cpu_clip_s:.2f} s of the processor a clip, {found.peak_mb:.0f} MB"
            )
            save(found)
    failed = sum(isinstance(row, ClipFailure) for row in read_jsonl(out / ANALYSES))
    run = course.run(count, failed)
    if run is None:
        raise SystemExit(f"{count} clips are too few: give at least {WARM + 2}")
    return run


def show(found: LinearSpeed, console: Console) -> None:
    """Print the table."""
    heads = ("clips/s", "first", "last", "last ÷ first, s", "CPU s a clip", "last ÷ first", "peak MB", "at first")
    table = Table("clips", "failed", *heads)
    for run in found.runs:
        numbers = (run.clips_per_s, run.first_clips_per_s, run.last_clips_per_s, run.edge_ratio)
        numbers += (run.cpu_clip_s, run.edge_cpu_ratio)
        memory = (f"{run.peak_mb:.0f}", f"{run.edge_peak_mb:.0f}")
        table.add_row(f"{run.done}/{run.clips}", str(run.failed), *(f"{one:.3f}" for one in numbers), *memory)
    console.print(table)
    if found.speed_ratio is not None:
        console.print(
            f"slowest ÷ fastest: {found.speed_ratio:.3f}; largest ÷ smallest processor time a clip: "
            f"{found.cpu_ratio:.3f}, peak: {found.peak_ratio:.3f}"
        )


def measure_all(counts: Sequence[int], json: Path | None, console: Console) -> LinearSpeed:
    """Measure a folder of each size."""
    machine = describe(load_preset("nano", device="auto", dtype="auto", threads=None), quick=False)
    runs: list[LinearRun] = []

    def save(now: LinearRun | None = None) -> LinearSpeed:
        found = LinearSpeed.of(machine, [*runs, *([] if now is None else [now])])
        if json is not None:
            part = json.with_name(json.name + ".part")
            part.write_text(found.model_dump_json(indent=1) + "\n", encoding="utf-8")
            part.replace(json)
        return found

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        console.print(f"making {max(counts)} clips")
        make_clips(folder / "clips", max(counts))
        for count in counts:
            out = folder / f"out-{len(runs)}"
            runs.append(measure(folder / "clips", count, out, save, console))
            save()
    return save()


def main() -> int:
    """Parse, measure, print; `--analyse` is what the process of one run is started with."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--clips", default="20,200,2000", help="numbers of clips, commas between")
    parser.add_argument("--json", type=Path, help="also save the figures there")
    parser.add_argument("--analyse", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.analyse:
        folder, count, out = options.analyse
        return analyse(Path(folder), int(count), Path(out))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))  # so that the run's own process ends too
    console = Console()
    show(measure_all([int(text) for text in options.clips.split(",")], options.json, console), console)
    return 0


if __name__ == "__main__":
    sys.exit(main())

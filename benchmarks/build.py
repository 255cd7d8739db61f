"""Time the builder of data sets, and see that its memory does not grow: `python benchmarks/build.py --data DIR`.

--data DIR builds one data set of all clips below DIR with the shipped settings, in one command and offline: seconds of
recording a second, clips in the set, clips rejected by step and reason, peak memory of all its processes together.
--memory 200,2000 makes so many different clips of 1 s, of the faces and the speech of the sample recordings, builds a
data set of each number, and gives the peaks and their ratio.

Prints tables and, with --json FILE, puts what was measured beside what the file holds already.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from emotion_llama import assets
from emotion_llama.build.entry import read_entries, read_rejected
from emotion_llama.build.stats.rejects import count_rejects
from emotion_llama.errors import MediaError
from emotion_llama.media import SAMPLE_RATE_HZ, iter_frames, list_media, probe, read_waveform

LOOK_S = 0.2
"""So often the memory of all processes is read."""

WIDTH, HEIGHT, RATE_HZ = 320, 240, 12
PIECES = 5  # of the sound of one clip


class TreeMemory:
    """Resident memory of a process and all below it, in MB: the largest sum seen, and each process's own largest."""

    def __init__(self, pid: int) -> None:
        self.peak_mb = 0.0
        self.own_mb: dict[int, float] = {}
        self._pid = pid

    def look(self) -> None:
        """Read it once; pages that processes share count in each of them."""
        children: defaultdict[int, list[int]] = defaultdict(list)
        for path in Path("/proc").glob("[0-9]*/stat"):
            try:
                parent = int(path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()[1])
            except (OSError, IndexError):
                continue  # it has just ended
            children[parent].append(int(path.parent.name))
        total_mb, waiting = 0.0, [self._pid]
        while waiting:
            pid = waiting.pop()
            waiting += children[pid]
            status = _status(pid)
            total_mb += status.get("VmRSS", 0.0)
            self.own_mb[pid] = max(self.own_mb.get(pid, 0.0), status.get("VmHWM", 0.0))
        self.peak_mb = max(self.peak_mb, total_mb)

    @property
    def main_mb(self) -> float:
        """Largest of the first process."""
        return self.own_mb.get(self._pid, 0.0)

    @property
    def worker_mb(self) -> float:
        """Largest of the others; 0 without any."""
        return max((one for pid, one in self.own_mb.items() if pid != self._pid), default=0.0)


def _status(pid: int) -> dict[str, float]:
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return {}
    rows = [line.split() for line in lines if line.startswith(("VmRSS:", "VmHWM:"))]
    return {row[0].rstrip(":"): int(row[1]) / 1024 for row in rows}


def timed_build(clips: Path, out: Path, jobs: int) -> dict[str, Any]:
    """Build one data set in a process of its own; gives seconds, clips, rejections and memory."""
    command = [sys.executable, "-m", "emotion_llama", "build", "merr", "--clips", str(clips), "--out", str(out)]
    log = out.with_suffix(".log")
    with log.open("w", encoding="utf-8") as told:
        start_s = time.monotonic()
        process = subprocess.Popen(
            [*command, "--jobs", str(jobs)],
            env={**os.environ, "HF_HUB_OFFLINE": "1"},
            stdout=told,
            stderr=subprocess.STDOUT,
        )
        memory = TreeMemory(process.pid)
        while process.poll() is None:
            memory.look()
            time.sleep(LOOK_S)
        wall_s = time.monotonic() - start_s
    if not (out / "build.json").is_file():
        raise SystemExit(f"the build ended with {process.returncode}:\n{log.read_text(encoding='utf-8')}")
    listed = len(list_media(clips))
    entries = sum(1 for _ in read_entries(out))
    rejects = count_rejects(read_rejected(out))
    return {
        "clips": listed,
        "entries": entries,
        "rejected": [{"step": one.step, "reason": one.reason, "clips": one.n} for one in rejects],
        "failed": listed - entries - sum(one.n for one in rejects),
        "wall_s": round(wall_s, 2),
        "jobs": jobs,
        "peak_mb": round(memory.peak_mb, 1),
        "main_mb": round(memory.main_mb, 1),
        "worker_mb": round(memory.worker_mb, 1),
    }


def speed(data: Path, jobs: int) -> dict[str, Any]:
    """Build the clips below a folder; adds their length and how much of it is done in a second."""
    length_s = sum(_length_s(path) for path in list_media(data))
    with tempfile.TemporaryDirectory() as folder:
        found = timed_build(data, Path(folder) / "set", jobs)
    return {
        "folder": data.resolve().name,
        **found,
        "length_s": round(length_s, 1),
        "ratio": round(length_s / found["wall_s"], 3),
    }


def _length_s(path: Path) -> float:
    try:
        return probe(path).duration_s or 0.0
    except MediaError:
        return 0.0


def memory(counts: Sequence[int], jobs: int) -> dict[str, Any]:
    """Build sets of so many clips of 1 s; `ratio`: largest peak over smallest."""
    rows = []
    for count in counts:
        with tempfile.TemporaryDirectory() as folder:
            make_clips(Path(folder) / "clips", count)
            rows.append(timed_build(Path(folder) / "clips", Path(folder) / "set", jobs))
    return {"rows": rows, **{f"{name}_ratio": _ratio(rows, f"{name}_mb") for name in ("peak", "main", "worker")}}


def _ratio(rows: Sequence[dict[str, Any]], key: str) -> float:
    values = [row[key] for row in rows]
    return round(max(values) / max(min(values), 1.0), 4)


def make_clips(folder: Path, count: int) -> None:
    """Write different clips of 1 s: a moving window on a face, five pieces of speech, everything drawn by number."""
    folder.mkdir(parents=True)
    tears = assets.path("sample-tears") / "WolfgangLanger_Pexels.mp4"
    pictures = np.stack([frame.rgb for frame in iter_frames(tears, max_frames_s=RATE_HZ, max_side_px=480)])
    sound = read_waveform(assets.path("sample-speech") / "obama_speech.mp4")
    if sound is None:
        raise SystemExit("the sample speech has no sound; fetch it again: emotion-llama fetch sample --force")
    for number in range(count):
        draw = np.random.default_rng(number)
        _write(folder / f"clip{number:05d}.mp4", _window(pictures, draw), _pieces(sound.samples, draw))


def _window(pictures: NDArray[np.uint8], draw: np.random.Generator) -> list[NDArray[np.uint8]]:
    """A second of the recording through a window that drifts and zooms, mirrored or not, lighter or darker."""
    first = int(draw.integers(len(pictures) - RATE_HZ))
    height, width = pictures.shape[1:3]
    sizes = np.linspace(*draw.uniform(0.75, 1.0, 2), RATE_HZ)
    downs, rights = (np.linspace(*draw.uniform(0.0, 1.0, 2), RATE_HZ) for _ in range(2))
    gain, mirrored = draw.uniform(0.75, 1.2), bool(draw.integers(2))
    frames = []
    for picture, size, down, right in zip(pictures[first:], sizes, downs, rights, strict=False):
        high = round(height * size)
        wide = min(round(high * WIDTH / HEIGHT), width)
        top, left = round((height - high) * down), round((width - wide) * right)
        cut = cv2.resize(picture[top : top + high, left : left + wide], (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
        lit = np.clip(cut.astype(np.float32) * gain, 0, 255).astype(np.uint8)
        frames.append(np.ascontiguousarray(lit[:, ::-1]) if mirrored else lit)
    return frames


def _pieces(samples: NDArray[np.float32], draw: np.random.Generator) -> NDArray[np.float32]:
    """A second of speech put together of five pieces, each a little faster or slower than it was said."""
    length = SAMPLE_RATE_HZ // PIECES
    parts = []
    for _ in range(PIECES):
        speed = draw.uniform(0.85, 1.2)
        start = draw.uniform(0, len(samples) - 1 - length * speed)
        parts.append(np.interp(start + speed * np.arange(length), np.arange(len(samples)), samples))
    return np.concatenate(parts).astype(np.float32)


def _write(path: Path, frames: Sequence[NDArray[np.uint8]], samples: NDArray[np.float32]) -> None:
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE_HZ, options={"preset": "ultrafast", "crf": "23"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = out.add_stream("aac", rate=SAMPLE_RATE_HZ, layout="mono")
        for index, picture in enumerate(frames):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, RATE_HZ)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for start in range(0, len(samples), 1024):
            part = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
            part.sample_rate, part.pts, part.time_base = SAMPLE_RATE_HZ, start, Fraction(1, SAMPLE_RATE_HZ)
            out.mux(audio.encode(part))
        out.mux(audio.encode(None))


def show(result: dict[str, Any]) -> None:
    """Print what was measured."""
    table = Table("clips", "in the set", "rejected", "failed", "seconds", "peak MB", "first process", "largest worker")
    rows = [result[key] for key in ("speed",) if key in result] + result.get("memory", {}).get("rows", [])
    for row in rows:
        gone = ", ".join(f"{one['step']}: {one['reason']} ({one['clips']})" for one in row["rejected"]) or "0"
        numbers = [row["failed"], row["wall_s"], row["peak_mb"], row["main_mb"], row["worker_mb"]]
        table.add_row(str(row["clips"]), str(row["entries"]), gone, *map(str, numbers))
    console = Console(width=120)
    console.print(table)
    if "speed" in result:
        console.print(f"{result['speed']['ratio']:.2f} s of recording a second")
    if "memory" in result:
        console.print(f"largest peak ÷ smallest: {result['memory']['peak_ratio']:.3f}")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of recordings")
    parser.add_argument("--memory", help="numbers of clips, with commas")
    parser.add_argument("--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    if arguments.data is None and arguments.memory is None:
        parser.error("give --data DIR, --memory NUMBERS, or both")
    result: dict[str, Any] = {}
    if arguments.json and arguments.json.is_file():
        result = json.loads(arguments.json.read_text(encoding="utf-8"))
    result["machine"] = (
        f"{platform.machine()}, {len(os.sched_getaffinity(0))} cores, Python {platform.python_version()}"
    )
    if arguments.data is not None:
        result["speed"] = speed(arguments.data, arguments.jobs)
    if arguments.memory is not None:
        result["memory"] = memory([int(one) for one in arguments.memory.split(",")], arguments.jobs)
    show(result)
    if arguments.json:
        arguments.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

"""Time and memory of `emotion-llama analyze --timeline` on long recordings.

Recordings of so many minutes are put together from the sample clips (with --data also from RAVDESS clips), each is
analysed by the command in a process of its own, without reasons, and a table says how long that took, the real-time
factor (time ÷ length; the start of the process and the loading of weights are part of it) and the largest memory.

    python benchmarks/timeline.py --minutes 2,20 --json docs/timeline-speed.json
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
from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from itertools import cycle
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from emotion_llama import assets

RATE = 25
SIZE = (640, 360)
SOUND_HZ = 48_000
SAMPLES = (
    ("sample-speech", "obama_speech.mp4"),
    ("sample-tears", "WolfgangLanger_Pexels.mp4"),
    ("sample-smile", "single_face.mp4"),
)
COMMAND = "from emotion_llama.cli import main; main()"


def sources(data: Path | None) -> list[Path]:
    """Clips to join: the samples, and the RAVDESS clips of a folder of research data."""
    found = [assets.path(name) / file for name, file in SAMPLES]
    return found + (sorted((data / "ravdess_av").rglob("*.mp4"))[:40] if data is not None else [])


def pictures(path: Path, size: tuple[int, int]) -> Iterator[NDArray[np.uint8]]:
    """Pictures of one clip at `RATE`, in px."""
    with av.open(str(path)) as media:
        shown = 0
        for frame in media.decode(video=0):
            small = frame.reformat(*size, format="rgb24").to_ndarray()
            while shown <= int((frame.time or 0.0) * RATE):
                shown += 1
                yield small


def sound(path: Path, length: int) -> NDArray[np.float32]:
    """Sound of one clip (length,), padded with silence."""
    found = [np.zeros(0, np.float32)]
    with av.open(str(path)) as media:
        if media.streams.audio:
            mono = av.AudioResampler(format="fltp", layout="mono", rate=SOUND_HZ)
            found += [part.to_ndarray()[0] for frame in media.decode(audio=0) for part in mono.resample(frame)]
    samples = np.concatenate(found)[:length]
    return np.pad(samples, (0, length - len(samples))).astype(np.float32)


def make_recording(path: Path, minutes: float, clips: Sequence[Path]) -> float:
    """Join clips, over and over, to a film of so many minutes; gives its length in seconds."""
    return join(path, cycle(clips), minutes * 60)[-1]


def join(path: Path, clips: Iterable[Path], most_s: float = float("inf"), size: tuple[int, int] = SIZE) -> list[float]:
    """Join clips to one film, until it is `most_s` long; gives where each begins, and the end, in seconds."""
    bounds = [0]
    with av.open(str(path), "w") as out:
        video = out.add_stream("libx264", rate=RATE, options={"preset": "ultrafast", "crf": "26"})
        video.width, video.height, video.pix_fmt = *size, "yuv420p"
        audio: Any = out.add_stream("aac", rate=SOUND_HZ, layout="mono")
        for clip in clips:
            first = count = bounds[-1]
            for picture in pictures(clip, size):
                frame = av.VideoFrame.from_ndarray(picture, format="rgb24")
                frame.pts, frame.time_base = count, Fraction(1, RATE)
                out.mux(video.encode(frame))
                count += 1
            write_sound(out, audio, sound(clip, (count - first) * SOUND_HZ // RATE), first * SOUND_HZ // RATE)
            bounds.append(count)
            if count >= most_s * RATE:
                break
        for stream in (video, audio):
            out.mux(stream.encode(None))
    return [count / RATE for count in bounds]


def write_sound(out: Any, stream: Any, samples: NDArray[np.float32], first: int) -> None:
    """Encode samples that begin at sample number `first`."""
    for start in range(0, len(samples), 1024):
        part = av.AudioFrame.from_ndarray(samples[None, start : start + 1024], format="fltp", layout="mono")
        part.sample_rate, part.pts, part.time_base = SOUND_HZ, first + start, Fraction(1, SOUND_HZ)
        out.mux(stream.encode(part))


def measured(path: Path, out: Path) -> tuple[float, float]:
    """Seconds and peak resident memory (MB) of the command on one recording, in a process of its own."""
    command = [
        sys.executable,
        "-c",
        COMMAND,
        "analyze",
        str(path),
        "--timeline",
        "--task",
        "emotion",
        "--out",
        str(out),
    ]
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    spent_s = time.perf_counter() - start
    if status:
        raise SystemExit(f"{' '.join(command)} failed")
    return spent_s, usage.ru_maxrss / 1024


def run(minutes: Sequence[float], data: Path | None) -> list[dict[str, float]]:
    """Give one row a length."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for number in minutes:
            path = Path(folder) / f"{number:g}-minutes.mp4"
            length_s = make_recording(path, number, sources(data))
            spent_s, peak_mb = measured(path, Path(folder))
            timeline = json.loads((Path(folder) / f"{path.stem}.json").read_text(encoding="utf-8"))["timeline"]
            rows.append(
                {
                    "minutes": round(length_s / 60, 2),
                    "windows": len(timeline["windows"]),
                    "seconds": round(spent_s, 1),
                    "real_time_factor": round(spent_s / length_s, 3),
                    "peak_mb": round(peak_mb),
                    "peak_against_first": round(peak_mb / (rows[0]["peak_mb"] if rows else peak_mb), 3),
                }
            )
            path.unlink()
    return rows


def show(rows: Sequence[dict[str, float]], console: Console) -> None:
    """Print the table."""
    table = Table("minutes", "windows", "seconds", "real-time factor", "peak memory (MB)", "against the first")
    for row in rows:
        table.add_row(*(f"{value:g}" for value in row.values()))
    console.print(table)


def main() -> None:
    """Parse, run, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", default="2,20", help="lengths, commas between")
    parser.add_argument("--data", type=Path, help="a folder that holds ravdess_av")
    parser.add_argument("--json", type=Path, help="also save the numbers there")
    options = parser.parse_args()
    rows = run([float(text) for text in options.minutes.split(",")], options.data)
    machine = {
        "machine": platform.machine(), "cores": os.cpu_count(), "python": platform.python_version(),
        "load_average": round(os.getloadavg()[1], 1),
    }  # fmt: skip
    show(rows, Console())
    if options.json is not None:
        options.json.write_text(json.dumps({**machine, "runs": rows}, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

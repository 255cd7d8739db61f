"""Send the service 200 hostile uploads: `python benchmarks/hostile.py --json docs/hostile.json`.

Cut off, with flipped bits, noise, lists of other files, decompression bombs, absurd lengths, names that are paths or
markup: each must be answered, with 4xx and a sentence or, where it can be decoded after all, with an analysis; never
with 5xx. Afterwards the service must answer as before, have no file left, and not have grown out of bounds.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import struct
import sys
import time
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import requests
from rich.console import Console
from rich.table import Table

from emotion_llama import assets
from emotion_llama.environment import git_commit, machine

sys.path.insert(0, str(Path(__file__).parent))
from load import memory_mb, service, tone

BAD_NAMES = (
    "../../etc/passwd", "/etc/passwd", "c:\\a.mp4", "<script>alert(1)</script>.mp4", "a\x1b[31m.mp4", "a" * 300,
)  # fmt: skip
LISTS = (
    b"#EXTM3U\n/etc/passwd\n", b"ffconcat version 1.0\nfile /etc/passwd\n", b"<?xml version='1.0'?><MPD/>",
    b"%PDF-1.7", b"PK\x03\x04", b"<html><script>1</script></html>", b"\x7fELF", b"RIFF\xff\xff\xff\xffWAVEfmt ",
)  # fmt: skip


def uploads(count: int, seed: int, recordings: dict[str, bytes]) -> Iterator[tuple[str, str, bytes]]:
    """Give (kind, name, content), kinds in turn, each drawn with the seed."""
    draw = random.Random(seed)
    kinds = ("cut", "flipped", "noise", "list", "bomb", "length", "name", "header")
    for number in range(count):
        kind = kinds[number % len(kinds)]
        name, whole = draw.choice(list(recordings.items()))
        yield kind, draw.choice(BAD_NAMES) if kind == "name" else name, _content(kind, draw, whole)


def _content(kind: str, draw: random.Random, whole: bytes) -> bytes:
    if kind == "cut":
        return whole[: draw.randrange(1, len(whole))]
    if kind in ("flipped", "header"):
        return flipped(draw, whole, 400 if kind == "header" else len(whole))
    if kind == "noise":
        return whole[: draw.choice((0, 0, 16, 64))] + draw.randbytes(draw.randrange(1, 50_000))
    if kind == "list":
        return draw.choice(LISTS) + draw.randbytes(draw.randrange(100))
    if kind == "bomb":
        side = draw.choice((12_000, 20_000, 40_000, 2**31 - 1))
        return bomb(side)
    if kind == "length":
        return wav_with(draw.choice((2**32 - 1, 2**31, 0)), draw.choice((0, 1, 16_000, 2**32 - 1)), whole)
    return whole


def flipped(draw: random.Random, whole: bytes, within: int) -> bytes:
    """Some bits turned over, among the first `within` bytes."""
    found = bytearray(whole)
    for _ in range(draw.choice((1, 5, 50))):
        found[draw.randrange(min(within, len(found)))] ^= 1 << draw.randrange(8)
    return bytes(found)


def bomb(side: int) -> bytes:
    """A PNG of side x side one-bit pixels; its data is whole for a side that fits into memory as packed rows."""
    packer = zlib.compressobj(9)
    rows = b"".join(packer.compress(bytes(1 + side // 8)) for _ in range(side if side < 50_000 else 1))

    def part(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + part(b"IHDR", head) + part(b"IDAT", rows + packer.flush()) + part(b"IEND", b"")


def wav_with(size: int, rate_hz: int, whole: bytes) -> bytes:
    """A WAV header that says this size and rate, before something else."""
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate_hz, (rate_hz * 2) % 2**32, 2, 16)
    return b"RIFF" + struct.pack("<I", size) + b"WAVE" + form + b"data" + struct.pack("<I", size) + whole[:5000]


def send(url: str, name: str, content: bytes, inline: bool) -> requests.Response:
    """Send one, as a form or as a data URI."""
    if inline:
        clip = {"data": "data:video/mp4;base64," + base64.b64encode(content).decode(), "name": name}
        return requests.post(f"{url}/v1/analyze", json={"clip": clip, "tasks": "emotion"}, timeout=300)
    return requests.post(f"{url}/v1/analyze", files={"clip": (name, content)}, data={"tasks": "emotion"}, timeout=300)


def fault(kind: str, response: requests.Response) -> str | None:
    """Say what is wrong with an answer; `None` for nothing."""
    if response.status_code == 200:
        return "a bad name was accepted" if kind == "name" else None
    if not 400 <= response.status_code < 500:
        return f"status {response.status_code}: {response.text[:200]}"
    message = response.json()["error"]["message"]
    return None if len(message.split()) >= 5 and "/tmp/" not in message else f"no sentence for a user: {message[:200]}"


def measure(url: str, process: int, folder: Path, sent: Sequence[tuple[str, str, bytes]]) -> dict[str, Any]:
    """Send all; gives counts by kind and status, and what was wrong. `folder`: where the service's files lie."""
    statuses: Counter[str] = Counter()
    wrong, slowest_s, before_mb = [], 0.0, memory_mb(process)
    for number, (kind, name, content) in enumerate(sent):
        start = time.monotonic()
        response = send(url, name, content, inline=kind == "name" or number % 3 == 0)
        slowest_s = max(slowest_s, time.monotonic() - start)
        statuses[f"{kind} {response.status_code}"] += 1
        found = fault(kind, response)
        if found is not None:
            wrong.append(f"{number} ({kind}): {found}")
    good = send(url, "a.wav", tone(1.0, 200.0), inline=False).status_code
    kept = [*folder.glob("emotion-llama-serve-*/*"), *folder.glob("jobs-recordings/*")]
    return {
        "uploads": len(sent),
        "statuses": dict(sorted(statuses.items())),
        "wrong": wrong,
        "good_one_afterwards": good,
        "files_left": [path.name for path in kept],
        "slowest_s": round(slowest_s, 2),
        "memory_mb": [before_mb, memory_mb(process)],
    }


def main() -> int:
    """Run as the module says; gives 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--uploads", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    picture = next(assets.path("sample-faces").glob("*.jpg"))
    recordings = {
        "speech.mp4": (assets.path("sample-speech") / "obama_speech.mp4").read_bytes(),
        "faces.jpg": picture.read_bytes(),
        "tone.wav": tone(1.0, 150.0),
    }
    with service("--max-duration-s", "60") as (url, process, folder):
        sent = list(uploads(options.uploads, options.seed, recordings))
        found = measure(url, process, folder, sent)
    table = Table("what", "found")
    for name, value in found.items():
        table.add_row(name, str(value))
    Console().print(table)
    if options.json is not None:
        record = {"machine": machine(), "commit": git_commit(), "seed": options.seed, **found}
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    return 1 if found["wrong"] or found["files_left"] or found["good_one_afterwards"] != 200 else 0


if __name__ == "__main__":
    sys.exit(main())

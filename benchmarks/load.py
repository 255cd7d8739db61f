"""Load the service: N clients for T seconds on loopback, each with words and sounds of its own.

`python benchmarks/load.py --clients 32 --seconds 30 --json docs/load.json` starts `emotion-llama serve`, lets every
client ask again and again (three times words, then a sound of its own length), and checks that each answer is the
asker's own: its name, its words, the length of its sound. With `espeak-ng` on the machine every second sound is speech
with a word that only this client says, which has to be recognised. Counts by status, the median and the 95th percentile
of the time to an answer, and the memory of the service's process over time; with --json FILE they are saved.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import requests
from rich.console import Console
from rich.table import Table

from emotion_llama.environment import git_commit, machine

RATE_HZ = 16_000
SENTENCES = ("I can't believe you did that", "We won the match", "Leave me alone", "What a lovely morning")


WORDS = (
    "banana", "garden", "window", "mountain", "kitchen", "orange", "summer", "doctor", "music", "river", "hospital",
    "monkey", "butter", "paper", "winter", "elephant", "bottle", "camera", "dinner", "forest", "hammer", "island",
    "lemon", "mirror", "piano", "rabbit", "sugar", "tiger", "umbrella", "village", "yellow", "chicken",
)  # fmt: skip
"""The word of each client."""


@dataclass
class Tally:
    """What all clients met. `seconds` of answered requests; `wrong` answers that were not the asker's own.

    `heard`: of spoken words, how many were recognised (`True`) and how many taken for no client's word (`False`).
    """

    statuses: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    heard: Counter[bool] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock)


@dataclass(frozen=True)
class Question:
    """One request and what its answer must hold. `sound`: WAV bytes, `None` for words alone.

    `words`: what is said, given along; `None`: they are to be recognised, with `word` among them.
    """

    name: str
    words: str | None
    sound: bytes | None
    duration_s: float | None
    word: str | None = None


def question(client: int, number: int, speaks: bool = False) -> Question:
    """What a client asks at its n-th turn: nobody else ever asks it, and no answer of it is known yet."""
    if speaks and number % 8 == 7 and client < len(WORDS):
        sound, duration_s = spoken(WORDS[client], number)
        return Question(f"client-{client}-{number}.wav", None, sound, duration_s, WORDS[client])
    words = f"{SENTENCES[(client + number) % len(SENTENCES)]}, said client {client} for the {number}th time."
    if number % 4 != 3:
        return Question("text", words, None, None)
    duration_s = 0.5 + client * 0.01
    return Question(f"client-{client}-{number}.wav", words, tone(duration_s, 110.0 + 5 * client), duration_s)


def tone(duration_s: float, pitch_hz: float) -> bytes:
    """A WAV file with a buzz that swells and fades."""
    time_s = np.arange(round(RATE_HZ * duration_s)) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * pitch_hz * k * time_s) / k for k in range(1, 12))
    samples = (9000 * buzz * np.abs(np.sin(2 * np.pi * 2 * time_s))).clip(-32000, 32000).astype("<i2")
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE_HZ)
        out.writeframes(samples.tobytes())
    return file.getvalue()


def spoken(word: str, number: int) -> tuple[bytes, float]:
    """A WAV file of a sentence with the word, and its seconds; at each turn in another voice."""
    voice = ["-p", str(35 + number % 30), "-s", str(130 + number // 8 % 20)]
    text = f"Please say {word}. I would like to hear {word}."
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["espeak-ng", *voice, "-w", file.name, text], check=True)
        with wave.open(file.name) as sound:
            duration_s = sound.getnframes() / sound.getframerate()
        return Path(file.name).read_bytes(), duration_s


def others_word(asked: Question, text: str) -> str | None:
    """Another client's word in what was recognised."""
    return next((word for word in WORDS if word != asked.word and word in text.lower()), None)


def fault(asked: Question, answer: dict[str, Any]) -> str | None:
    """Say how an answer is not the asker's own; `None` where it is."""
    if answer["clip"] != asked.name:
        return f"asked about {asked.name}, answered about {answer['clip']}"
    text = answer["transcript"]["text"]
    if asked.words is not None and text != asked.words:
        return f"sent {asked.words!r}, answered about {text!r}"
    if asked.words is None and others_word(asked, text or "") is not None:
        return f"said {asked.word!r}, answered about {text!r}"
    length_s = answer["duration_s"]
    if (asked.duration_s is None) != (length_s is None) or abs((asked.duration_s or 0) - (length_s or 0)) > 0.004:
        return f"sent {asked.duration_s} s, answered about {length_s} s"
    if abs(sum(answer["probabilities"].values()) - 1) > 1e-6:
        return f"probabilities of {asked.name} do not sum to 1"
    return None


def ask(url: str, client: int, until: float, tally: Tally, speaks: bool = False) -> None:
    """One client: the next question as soon as the last was answered."""
    number = 0
    with requests.Session() as session:
        while time.monotonic() < until:
            asked = question(client, number, speaks)
            start = time.monotonic()
            number += 1
            try:
                status, answer = send(session, url, asked)
            except requests.RequestException as error:
                status, answer = type(error).__name__, None
            wrong = None if answer is None else fault(asked, answer)
            with tally.lock:
                tally.statuses[status] += 1
                if status == "200":
                    tally.seconds.append(time.monotonic() - start)
                if wrong:
                    tally.wrong.append(wrong)
                elif answer is not None and asked.word is not None:
                    tally.heard[asked.word in (answer["transcript"]["text"] or "").lower()] += 1
            if status == "429":
                time.sleep(0.5)


def send(session: requests.Session, url: str, asked: Question) -> tuple[str, dict[str, Any] | None]:
    """Ask once: the status, and the answer."""
    fields = {"tasks": "emotion"} | ({} if asked.words is None else {"transcript": asked.words})
    if asked.sound is None:
        response = session.post(f"{url}/v1/analyze", json=fields, timeout=300)
    else:
        files = {"clip": (asked.name, asked.sound)}
        response = session.post(f"{url}/v1/analyze", data=fields, files=files, timeout=300)
    return str(response.status_code), response.json() if response.status_code == 200 else None


@contextmanager
def service(*options: str) -> Iterator[tuple[str, int, Path]]:
    """Address, process id and folder of all files of a service that is started for the time being."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "emotion_llama", "serve", "--port", "0", "--jobs-db", f"{folder}/jobs.sqlite"]
        own = {**os.environ, "TMPDIR": folder}
        with subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True, env=own) as process:
            try:
                assert process.stdout is not None
                match = re.search(r"http://\S+", process.stdout.readline())
                if match is None:
                    sys.exit("the service did not start")
                wait_until_ready(match[0], process)
                yield match[0], process.pid, Path(folder)
            finally:
                process.terminate()


def wait_until_ready(url: str, process: subprocess.Popen[str]) -> None:
    """Wait until the model is loaded."""
    while process.poll() is None:
        try:
            if requests.get(f"{url}/readyz", timeout=5).status_code == 200:
                return
        except requests.ConnectionError:
            pass
        time.sleep(0.2)
    sys.exit("the service ended while it was loading its model")


def memory_mb(process: int) -> float:
    """Resident memory of a process, in MB."""
    text = Path(f"/proc/{process}/status").read_text(encoding="utf-8")
    return round(int(re.search(r"VmRSS:\s+(\d+)", text)[1]) / 1000, 1)  # type: ignore[index]


def growth(memory: Sequence[float]) -> float | None:
    """How much more memory the last fifth of the time took than the fifth from its middle on, as a share."""
    fifth = len(memory) // 5
    if not fifth:
        return None
    middle = memory[len(memory) // 2 :][:fifth]
    return round(float(np.mean(memory[-fifth:]) / np.mean(middle)) - 1, 4)


def percentile(values: Sequence[float], share: float) -> float | None:
    """The value below which this share lies; `None` of nothing."""
    return round(float(np.quantile(values, share)), 3) if values else None


def measure(url: str, process: int, clients: int, seconds: float) -> dict[str, Any]:
    """Let the clients ask; gives what was met."""
    tally, memory, start = Tally(), [], time.monotonic()
    speaks = shutil.which("espeak-ng") is not None
    threads = [threading.Thread(target=ask, args=(url, n, start + seconds, tally, speaks)) for n in range(clients)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        memory.append([round(time.monotonic() - start, 1), memory_mb(process)])
        time.sleep(1.0)
    took_s = time.monotonic() - start
    return {
        "clients": clients,
        "seconds": round(took_s, 1),
        "statuses": dict(sorted(tally.statuses.items())),
        "answers_a_second": round(len(tally.seconds) / took_s, 2),
        "p50_s": percentile(tally.seconds, 0.5),
        "p95_s": percentile(tally.seconds, 0.95),
        "not_the_askers_own": tally.wrong,
        "spoken_words": {"recognised": tally.heard[True], "not_recognised": tally.heard[False]},
        "memory_mb": memory,
        "memory_growth_second_half": growth([mb for _, mb in memory]),
    }


def show(found: dict[str, Any]) -> None:
    """Print what was met."""
    table = Table(title=f"{found['clients']} clients, {found['seconds']} s")
    table.add_column("what")
    table.add_column("found")
    for name in ("statuses", "answers_a_second", "p50_s", "p95_s"):
        table.add_row(name, str(found[name]))
    table.add_row("answers that were not the asker's own", str(len(found["not_the_askers_own"])))
    table.add_row("spoken words", str(found["spoken_words"]))
    table.add_row("memory, growth over the second half", str(found["memory_growth_second_half"]))
    first, last = found["memory_mb"][0][1], found["memory_mb"][-1][1]
    table.add_row("memory at the start, at the end, most", f"{first}, {last}, {max(m for _, m in found['memory_mb'])}")
    Console().print(table)


def main() -> int:
    """Run as the module says; gives 1 where an answer was another's or the service failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--queue", type=int, default=32, help="places of the service")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    busy = os.getloadavg()[0]
    with service("--model", options.model, "--queue", str(options.queue)) as (url, process, _):
        found = measure(url, process, options.clients, options.seconds)
    show(found)
    record = {
        "machine": machine(), "load_average": busy, "commit": git_commit(), "model": options.model,
        "queue": options.queue, **found,
    }  # fmt: skip
    if options.json is not None:
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    failed = [status for status in found["statuses"] if status not in ("200", "429")]
    return 1 if failed or found["not_the_askers_own"] else 0


if __name__ == "__main__":
    sys.exit(main())

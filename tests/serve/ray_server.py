"""A service whose fake models are replicas on a Ray of its own, or on a cluster's: `ray_server.py FOLDER [ADDRESS]`.

Prints its port once it listens. Every analysis is two lines of `FOLDER/notes`, when it begins and when it ends: the
word, the replica's process, the words of the clip, the time. What is said in words that begin with "slow" takes 3 s.
"""

from __future__ import annotations

import os
import runpy
import sys
import time
from functools import partial
from pathlib import Path

from emotion_llama.serve.ray_model import ray_model
from emotion_llama.serve.run import serve
from emotion_llama.serve.settings import ServeSettings

fakes = runpy.run_path(str(Path(__file__).parent / "fakes.py"))


class Noting(fakes["FakeModel"]):
    def __init__(self, notes):  # type: ignore[no-untyped-def]
        super().__init__()
        self.notes = notes

    def note(self, word, clip):  # type: ignore[no-untyped-def]
        with self.notes.open("a", encoding="utf-8") as file:
            file.write(f"{word}\t{os.getpid()}\t{clip.transcript}\t{time.time()}\n")

    def look(self, clip, settings, watch, drawn=False):  # type: ignore[no-untyped-def]
        self.note("begins", clip)
        time.sleep(3 if str(clip.transcript).startswith("slow") else 0)
        found = super().look(clip, settings, watch, drawn)
        self.note("ends", clip)
        return found


def make(notes, device):  # type: ignore[no-untyped-def]
    assert device == "cpu"
    return Noting(notes)


if __name__ == "__main__":
    folder = Path(sys.argv[1])
    settings = ServeSettings(
        port=0, jobs_db=folder / "jobs.sqlite", page=False, engine="ray", device="cpu", max_replicas=2, replica_cpus=1,
        address=sys.argv[2] if len(sys.argv) > 2 else None,
    )  # fmt: skip
    serve(settings, lambda: ray_model(settings, make_model=partial(make, folder / "notes")))

"""A service with a slow fake model in a process of its own, to be killed: `job_server.py JOBS_DB SECONDS`.

Prints its port once it listens; every analysis that begins is a line in `JOBS_DB.begun`.
"""

from __future__ import annotations

import runpy
import sys
from pathlib import Path

from emotion_llama.serve.run import serve
from emotion_llama.serve.settings import ServeSettings

fakes = runpy.run_path(str(Path(__file__).parent / "fakes.py"))


class Noting(fakes["FakeModel"]):
    def look(self, clip, settings, watch, drawn=False):  # type: ignore[no-untyped-def]
        with Path(sys.argv[1] + ".begun").open("a", encoding="utf-8") as file:
            file.write(f"{clip.transcript}\n")
        return super().look(clip, settings, watch, drawn)


if __name__ == "__main__":
    serve(ServeSettings(port=0, jobs_db=Path(sys.argv[1])), lambda: Noting(seconds=float(sys.argv[2])))

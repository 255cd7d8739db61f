"""Stands in for `emotion-llama train`: writes the files of a training at once. What it does stands in `about`.

about=right-0.7      answers that share of the clips rightly (seeded by the clip and the run's seed)
about=fail           prints what is wrong and ends with 3
about=die-once       is killed in the middle of the first attempt, done at the second
about=slow           takes half a second
about=empty          ends with 0 and writes no record
"""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from pathlib import Path

LABELS = ("angry", "happy", "neutral", "sad")


def main() -> None:
    given = dict(word.partition("=")[::2] for word in sys.argv[2:])
    out, seed, about = Path(given["out"]), int(given["seed"]), given.get("about", "right-0.5")
    start = time.time()
    out.mkdir(parents=True, exist_ok=True)
    print(f"training seed {seed} with OMP_NUM_THREADS={os.environ['OMP_NUM_THREADS']}", flush=True)
    if about == "fail":
        print("Traceback: step 3\nemotion-llama: loss is not a number in clips c01, c02", flush=True)
        sys.exit(3)
    if about == "die-once" and not (out / "checkpoint").exists():
        (out / "checkpoint").write_text("half")
        os.kill(os.getpid(), signal.SIGKILL)
    if about == "slow":
        time.sleep(0.5)
    if about == "empty":
        return
    write_test(out / "test", seed, about, int(given.get("data.fold", -1)))
    record = {
        "schema": "1", "config": given, "seed": seed, "seconds": 40.0 + seed, "start": start, "end": time.time(),
        "best": {"step": 20, "metric": "uar", "value": 0.5 + seed / 100},
        "test": {"voices": {"n": 48, "war": 0.0, "labels": LABELS}}, "git_commit": None, "adapter_sha256": "0" * 64,
        "gpu": os.environ.get("CUDA_VISIBLE_DEVICES"), "init": given.get("model.init"),
    }  # fmt: skip
    (out / "training.json").write_text(json.dumps(record))


def write_test(folder: Path, seed: int, about: str, fold: int) -> None:
    right = float(about.removeprefix("right-")) if about.startswith("right-") else 0.5
    folder.mkdir(exist_ok=True)
    clips, answers = [], []
    for number in range(48):
        speaker = number // 8
        if fold >= 0 and speaker % 3 != fold:
            continue
        truth = LABELS[number % 4]
        luck = random.Random(1000 * number + seed).random()
        said = truth if luck < right else LABELS[(number + 1) % 4]
        clips.append(
            {"clip": f"c{number:02d}", "path": f"c{number:02d}.wav", "speaker": f"s{speaker}", "emotion": truth}
        )
        probabilities = {label: 0.7 if label == said else 0.1 for label in LABELS}
        answers.append({"clip": f"c{number:02d}", "emotion": said, "probabilities": probabilities})
    for name, rows in (("clips", clips), ("predictions", answers)):
        (folder / f"voices.{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


if __name__ == "__main__":
    main()

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
import yaml

BASE = "out: unused\nmodel: {init: nano}\ndata: {sources: [{path: voices, split: folds}]}\n"
FAKE = (sys.executable, str(Path(__file__).with_name("fake_train.py")))
Answer = tuple[str, str | None, str, str | None]
"""(clip, speaker, truth, answer); the answer's probability is .8."""


@pytest.fixture
def ablation_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes an ablation with a small base; keywords are its settings."""
    (tmp_path / "base.yaml").write_text(BASE, encoding="utf-8")

    def write(**settings: object) -> Path:
        values = {"name": "demo", "base": str(tmp_path / "base.yaml"), "out": str(tmp_path / "out")} | settings
        values.setdefault("score", {"draws": 200})
        path = tmp_path / "ablation.yaml"
        path.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
        return path

    return write


def write_training(folder: Path, rows: Sequence[Answer], labels: Sequence[str], seed: int = 0) -> None:
    """The files of a finished training, as its contract has them."""
    (folder / "test").mkdir(parents=True)
    with (
        (folder / "test/voices.clips.jsonl").open("w") as clips,
        (folder / "test/voices.predictions.jsonl").open("w") as answers,
    ):
        for clip, speaker, truth, said in rows:
            clips.write(json.dumps({"clip": clip, "path": f"{clip}.wav", "speaker": speaker, "emotion": truth}) + "\n")
            rest = 0.2 / (len(labels) - 1)
            probabilities = {label: 0.8 if label == said else rest for label in labels}
            answers.write(json.dumps({"clip": clip, "emotion": said, "probabilities": probabilities}) + "\n")
    record = {
        "schema": "1", "config": {}, "seed": seed, "seconds": 10.0, "scores": [], "git_commit": None,
        "best": {"step": 5, "metric": "uar", "value": 0.6 + 0.1 * seed},
        "test": {"voices": {"n": len(rows), "war": 0.99, "labels": list(labels)}}, "adapter_sha256": "0",
    }  # fmt: skip
    (folder / "training.json").write_text(json.dumps(record))

"""What a pre-training leaves beside its weights: `run.json` while it goes, `pretraining.json` when it is done."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from emotion_llama.analyze.writers import write_text
from emotion_llama.errors import OutputError, UsageError
from emotion_llama.train.pretrain.search import Search
from emotion_llama.train.pretrain.settings import PretrainSettings

RUN = "run.json"
RESULT = "pretraining.json"
SCHEMA = "1"
PACKAGES = ("emotion-llama", "torch", "transformers", "accelerate", "numpy", "av", "pillow", "opencv-python-headless")


def describe_data(search: Search, held_back: set[str]) -> list[dict[str, Any]]:
    """One entry a recording: its hash, how many tracks and faces it gave, and on which side it is."""
    return [
        {
            "clip": found.clip,
            "sha256": found.sha256,
            "tracks": len(found.tracks),
            "faces": sum(track.faces for track in found.tracks),
            "side": "held-back" if found.tracks[0].group in held_back else "train",
        }
        for found in search.found
    ]


def is_done(out: Path) -> bool:
    """Whether the folder holds a finished pre-training."""
    return (out / RESULT).is_file()


def claim(out: Path, settings: PretrainSettings, data: Sequence[dict[str, Any]]) -> None:
    """Write down what this folder's run is. Raises `UsageError` if it holds a run of other settings or other data."""
    recordings = sorted(f"{row['sha256']} {row['side']}" for row in data)
    identity: dict[str, Any] = {"settings": settings.identity(), "data": recordings}
    path = out / RUN
    if not path.is_file():
        write_text(json.dumps(identity, indent=1) + "\n", path)
        return
    try:
        before = json.loads(path.read_text(encoding="utf-8"))
        other = _differences(before["settings"], identity["settings"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise OutputError(f"{path}: cannot be read as the record of a run ({error}); choose another --out") from error
    if before["data"] != identity["data"]:
        other.append("the recordings")
    if other:
        raise UsageError(
            f"{out} holds a run that differs in {', '.join(other)}; its steps cannot be mixed with others: use the "
            "same, or choose another --out"
        )


def write_result(
    out: Path, settings: PretrainSettings, data: Sequence[dict[str, Any]], search: Search, run: dict[str, Any]
) -> None:
    """Write `pretraining.json`, which says that the folder is complete. `run`: what the loop measured."""
    with (out / "model.safetensors").open("rb") as file:
        weights_sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    result = {
        "schema": SCHEMA,
        "kind": settings.kind,
        "settings": settings.model_dump(mode="json"),
        "seed": settings.seed,
        "data": list(data),
        "skipped": [{"clip": one.clip, "reason": one.reason} for one in search.skipped],
        "versions": {name: version(name) for name in PACKAGES} | {"python": platform.python_version()},
        **run,
        "weights_sha256": weights_sha256,
    }
    write_text(json.dumps(result, indent=1) + "\n", out / RESULT)


def losses(history: Sequence[dict[str, float]]) -> dict[str, list[dict[str, float]]]:
    """Sort the trainer's log into `losses` (of batches) and `held_back` (of held-back faces), by step."""
    batches = [
        {"step": row["step"], "loss": row["loss"], "learning_rate": row["learning_rate"]}
        for row in history
        if "loss" in row
    ]
    measured = [{"step": row["step"], "loss": row["eval_loss"]} for row in history if "eval_loss" in row]
    return {"losses": batches, "held_back": measured}


def _differences(before: dict[str, Any], now: dict[str, Any], prefix: str = "") -> list[str]:
    found = []
    for name in sorted(before.keys() | now.keys()):
        one, other = before.get(name), now.get(name)
        if isinstance(one, dict) and isinstance(other, dict):
            found += _differences(one, other, f"{prefix}{name}.")
        elif one != other:
            found.append(f"{prefix}{name} ({one} before, {other} now)")
    return found

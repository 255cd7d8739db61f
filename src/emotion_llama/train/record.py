"""What a checkpoint says of itself: settings, data, seed, versions, scores. `training.json` is written last."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from emotion_llama.environment import git_commit, machine, versions
from emotion_llama.errors import OutputError, UsageError
from emotion_llama.model.checkpoint import adapter_sha256
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.sources import SIDES, Item, list_sha256

SCHEMA = "1"
RECORD = "training.json"
STARTED = "started.json"
LOGS = "tensorboard"
PACKAGES = ("emotion-llama", "torch", "transformers", "peft", "accelerate", "trl", "numpy", "scikit-learn")


def data_record(items: Sequence[Item], config: TrainConfig) -> list[dict[str, Any]]:
    """Describe each source: its path, a hash over what was read of it, and its clips by side and label."""
    found = []
    for source in config.data.sources:
        mine = [item for item in items if item.source == source.name]
        found.append(
            {
                "name": source.name,
                "kind": source.kind,
                "path": source.path,
                "sha256": list_sha256(mine),
                "clips": {side: sum(item.side == side for item in mine) for side in SIDES},
                "people": {side: len({i.person for i in mine if i.side == side}) for side in SIDES},
                "labels": dict(sorted(Counter(str(i.label) for i in mine if i.side == "train").items())),
            }
        )
    return found


def begin(out: Path, config: TrainConfig, data: Sequence[Mapping[str, Any]]) -> bool:
    """Claim the folder for this run; gives whether the run is done already.

    A folder that holds an unfinished run with the same settings and data is gone on with; one that stopped before it
    wrote anything (a mistake in the settings, say) is begun anew. Raises `UsageError` if it holds another run: other
    settings, or a manifest that changed since.
    """
    mine = {"config": _identity(config), "data": [[one["name"], one["sha256"]] for one in data]}
    path = out / STARTED
    if path.is_file() and _holds_work(out):
        theirs = json.loads(path.read_text(encoding="utf-8"))
        if theirs["config"] != mine["config"]:
            keys = ", ".join(_differences(theirs["config"], json.loads(json.dumps(mine["config"]))))
            raise UsageError(
                f"{out} holds a run with other settings ({keys}); choose another out, or remove the folder"
            )
        if theirs["data"] != mine["data"]:
            changed = [one[0] for one in mine["data"] if one not in theirs["data"]]
            raise UsageError(
                f"{out} holds a run on other data: {', '.join(changed)} changed since it was started; its checkpoints "
                "do not belong to what is there now: choose another out, or remove the folder"
            )
        return (out / RECORD).is_file()
    if (out / RECORD).is_file():
        raise UsageError(f"{out} holds a checkpoint that another command made; choose another out")
    write_json(path, mine)
    return False


def _holds_work(out: Path) -> bool:
    """Whether anything beside logs would be lost or mixed up with another run."""
    return any(found.name not in (STARTED, LOGS) for found in out.iterdir())


def _identity(config: TrainConfig) -> dict[str, Any]:
    """Everything that decides the result; where it is written and what is logged does not."""
    values: dict[str, Any] = config.model_dump(mode="json", exclude={"out", "trackers", "keep_checkpoints"})
    values["data"].pop("root")
    return values


def _differences(one: Any, other: Any, key: str = "") -> list[str]:
    if isinstance(one, dict) and isinstance(other, dict):
        names = sorted(set(one) | set(other))
        return [d for n in names for d in _differences(one.get(n), other.get(n), f"{key}.{n}".lstrip("."))]
    return [] if one == other else [key]


def training_record(
    config: TrainConfig, data: Sequence[Mapping[str, Any]], out: Path, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Put the record together; `facts` are the results of the run's stages."""
    return {
        "schema": SCHEMA,
        "config": config.model_dump(mode="json"),
        "seed": config.seed,
        "about": config.about,
        "licence": config.licence,
        "data": list(data),
        "versions": versions(PACKAGES),
        "machine": machine(),
        "git_commit": git_commit(),
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        **facts,
        "adapter_sha256": adapter_sha256(out),
    }


def write_json(path: Path, values: Any) -> None:
    """Write JSON, whole or not at all. Raises `OutputError` if it cannot be written."""
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        part.replace(path)
    except OSError as error:
        raise OutputError(f"{path}: cannot be written ({error}); free space or choose another out") from error


def text_sha256(text: str) -> str:
    """Hash a text."""
    return hashlib.sha256(text.encode()).hexdigest()

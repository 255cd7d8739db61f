"""Calibrate a finished run once more and score its test sides, without training: the weights stay as they are."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from emotion_llama.analyze.analyzer import load
from emotion_llama.environment import git_commit
from emotion_llama.errors import UsageError
from emotion_llama.train.config import ModelSettings, Source, TrainConfig
from emotion_llama.train.extract import extract
from emotion_llama.train.finish import calibrate_and_score
from emotion_llama.train.material import prepare, read_items, say_extracted
from emotion_llama.train.progress import console, duration
from emotion_llama.train.record import RECORD, data_record, write_json
from emotion_llama.train.validate import answer_together

UNIMPORTANT = {"calibrate": True, "weight": 1.0}
"""Settings of a source that say nothing of whom it was learned from."""


def calibrate_again(config: TrainConfig, *, jobs: int = 1) -> Path:
    """Fit the calibration of the run in `config.out` again and score its test sides; gives the folder.

    Only `calibration`, `score_test`, sources without training clips, and which feature groups are `still` (it takes no
    training to leave a group out where a face moves) may differ from the settings of the run.
    Raises `UsageError` where the folder holds no finished run, or one of another model or on other training clips.
    """
    start = time.perf_counter()
    out = Path(config.out)
    record = _record(out)
    trained = TrainConfig.model_validate(record["config"])
    items = read_items(config)
    data = data_record(items, config)
    _check(config, trained, data, record["data"])
    again: dict[str, Any] = {"git_commit": git_commit(), "date": datetime.now(UTC).isoformat(timespec="seconds")}
    if changed := _follow_still(config, out):
        again["still_changed"] = changed
    extracted = extract(items, config, jobs=jobs)
    say_extracted(extracted, items)
    material = prepare(_going_on(config, out), extracted.examples)
    ask = partial(answer_together, load(out).reader, seed=config.seed)
    facts = calibrate_and_score(config, ask, material, out)
    write_json(
        out / RECORD,
        {**record, "config": config.model_dump(mode="json"), "data": data, **facts, "calibrated_again": again},
    )
    console.print(f"calibrated {out} after {duration(round(time.perf_counter() - start))}")
    return out


def _record(out: Path) -> dict[str, Any]:
    path = out / RECORD
    if not path.is_file():
        raise UsageError(f"{out}: expected a finished run ({RECORD}), found none; run `emotion-llama train` first")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def _check(
    config: TrainConfig,
    trained: TrainConfig,
    data: Sequence[Mapping[str, Any]],
    known: Sequence[Mapping[str, Any]],
) -> None:
    """Refuse another model, and sides that would calibrate or test on people who were learned from."""
    mine, theirs = (
        {
            "model": _without_still(one.model),
            "samples": one.samples,
            "seed": one.seed,
            "data.fold": (one.data.folds, one.data.fold),
        }
        for one in (config, trained)
    )
    if others := [key for key, value in mine.items() if value != theirs[key]]:
        raise UsageError(
            f"{config.out} holds a run with other settings ({', '.join(others)}); use those it was trained with"
        )
    before = _learned_from(trained, known)
    now = _learned_from(config, data)
    if changed := sorted(name for name in before.keys() | now.keys() if before.get(name) != now.get(name)):
        raise UsageError(
            f"{config.out} learned from other clips than these settings name ({', '.join(changed)}): people it knows "
            "could come to calibrate or test it; use the sources it was trained on, and add only sources that have no "
            "training clips"
        )


def _without_still(model: ModelSettings) -> ModelSettings:
    groups = tuple(group.model_copy(update={"still": False}) for group in model.features)
    return model.model_copy(update={"features": groups})


def _follow_still(config: TrainConfig, out: Path) -> list[str]:
    """Make the checkpoint's feature groups `still` as the settings say; gives the groups that were not so before."""
    path = out / "config.json"
    stored: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    wanted = {group.name: group.still for group in config.model.features}
    changed = [
        group["name"] for group in stored["features"] if wanted.get(group["name"], group["still"]) != group["still"]
    ]
    if changed:
        groups = [
            {**group, "still": wanted[group["name"]]} if group["name"] in changed else group
            for group in stored["features"]
        ]
        write_json(path, {**stored, "features": groups})
    return changed


def _learned_from(config: TrainConfig, data: Sequence[Mapping[str, Any]]) -> dict[str, tuple[Source, str]]:
    """Sources with training clips: their settings, and the hash over what was read."""
    told = {one["name"]: one for one in data}
    return {
        source.name: (source.model_copy(update=UNIMPORTANT), told[source.name]["sha256"])
        for source in config.data.sources
        if told[source.name]["clips"]["train"]
    }


def _going_on(config: TrainConfig, out: Path) -> TrainConfig:
    """The same settings, with heads and feature groups taken from the run instead of fitted."""
    model = config.model.model_copy(update={"init": str(out), "heads": (), "features": ()})
    return config.model_copy(update={"model": model})

"""A changed configuration on an existing data set: said in words; the old data set is kept beside the new one."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from rich.console import Console

from emotion_llama.build.entry import ENTRIES, REJECTED
from emotion_llama.build.journal import Journal
from emotion_llama.build.plan import BuildConfig
from emotion_llama.errors import OutputError

BUILD = "build.json"
EARLIER = "earlier"


def tell_changes(records: Journal, config: BuildConfig, key: str, out: Path, console: Console | None = None) -> None:
    """Say what differs from the last build and keep its files under `earlier/`; nothing for a first or equal build."""
    before, old_key = records.fact("config"), records.fact("key")
    if before is None or old_key is None or old_key == key:
        return
    console = console or Console(stderr=True)
    console.print(f"{out} was built with other settings ({old_key[:12]}, now {key[:12]}):", soft_wrap=True)
    for line in _differences(before, config):
        console.print(f"  {line}", markup=False, highlight=False, soft_wrap=True)
    kept = keep_earlier(out, old_key)
    if kept is not None:
        console.print(f"  its data set is kept in {kept}; steps that do not depend on what changed are not repeated")


def _differences(before: str, after: BuildConfig) -> list[str]:
    try:
        return differences(BuildConfig.model_validate_json(before), after)
    except ValidationError:
        return ["a version of this program, which had other settings"]


def differences(before: BuildConfig, after: BuildConfig) -> list[str]:
    """Give what differs between two builds, a line each."""
    old = {str(stage.get("name")): stage for stage in before.stages}
    new = {str(stage.get("name")): stage for stage in after.stages}
    lines = [f"{name}: new" for name in new if name not in old]
    lines += [f"{name}: gone" for name in old if name not in new]
    for name in new:
        if name in old:
            lines += [f"{name}.{line}" for line in _changed(old[name], new[name])]
    for name in {**before.endpoints, **after.endpoints}:
        one, other = before.endpoints.get(name), after.endpoints.get(name)
        if one != other:
            values = [{} if each is None else each.model_dump(mode="json") for each in (one, other)]
            lines += [f"endpoints.{name}.{line}" for line in _changed(*values)]
    shared = [name for name in new if name in old]
    if shared != [name for name in old if name in new]:
        lines.append("the order of the steps")
    return lines or ["a version of this program, or of a model"]


def keep_earlier(out: Path, key: str) -> Path | None:
    """Move the files of the last data set to `earlier/KEY`; `None`: there were none. Raises `OutputError`."""
    present = [name for name in (ENTRIES, REJECTED, BUILD) if (out / name).is_file()]
    if not present:
        return None
    kept = out / EARLIER / key[:12]
    try:
        shutil.rmtree(kept, ignore_errors=True)
        kept.mkdir(parents=True)
        for name in present:
            (out / name).replace(kept / name)
    except OSError as error:
        raise OutputError(f"{kept}: the last data set cannot be kept there ({error}); make room or move it") from error
    return kept


def _changed(old: dict[str, Any], new: dict[str, Any]) -> list[str]:
    return [
        f"{key}: {old.get(key, 'default')} → {new.get(key, 'default')}"
        for key in {**old, **new}
        if old.get(key) != new.get(key)
    ]

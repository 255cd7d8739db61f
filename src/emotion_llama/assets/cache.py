"""The cache folder: where ready assets lie, and how it is known that they are whole.

CACHE/<asset>/…              ready files
CACHE/<asset>/.ready.json    written last; names the recipe and the size of every file
CACHE/.partial/…             work in progress; safe to delete
CACHE/.lock                  one process fetches at a time
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Literal

import platformdirs

from emotion_llama.assets.catalog import Asset, load_catalog
from emotion_llama.errors import AssetMissingError

CACHE_VARIABLE = "EMOTION_LLAMA_CACHE"
OFFLINE_VARIABLE = "EMOTION_LLAMA_OFFLINE"
MARKER = ".ready.json"
COMMAND = "emotion-llama fetch"

State = Literal["ready", "missing", "damaged", "outdated"]


def cache_dir() -> Path:
    """Give the cache folder: `EMOTION_LLAMA_CACHE`, else the user's cache folder of this platform."""
    chosen = os.environ.get(CACHE_VARIABLE)
    return Path(chosen).expanduser() if chosen else Path(platformdirs.user_cache_dir("emotion-llama", appauthor=False))


def is_offline() -> bool:
    """Whether `EMOTION_LLAMA_OFFLINE` forbids the network."""
    return os.environ.get(OFFLINE_VARIABLE, "").strip().lower() not in ("", "0", "false", "no")


def path(name: str) -> Path:
    """Give the folder of a ready asset.

    Looks at names and sizes only; bytes were hashed when they were fetched. Raises `AssetMissingError` naming the
    command that fetches it, and `UsageError` for a name that is not in the catalog.
    """
    asset = load_catalog().asset(name)
    folder = cache_dir() / name
    found = state(asset, cache_dir())
    if found != "ready":
        raise AssetMissingError(
            f"asset {name!r} ({asset.title}) is {found}: expected in {folder}. Run: {COMMAND} {asset.group}"
        )
    return folder


def state(asset: Asset, root: Path) -> State:
    """Say whether the asset's folder under `root` is ready, missing, damaged or made from an older recipe."""
    folder = root / asset.name
    try:
        marker = json.loads((folder / MARKER).read_text(encoding="utf-8"))
        sizes = {str(name): int(size) for name, size in marker["files"].items()}
    except (FileNotFoundError, NotADirectoryError):
        return "missing"
    except (ValueError, KeyError, AttributeError, TypeError):
        return "damaged"
    if marker.get("recipe") != asset.recipe:
        return "outdated"
    try:
        whole = all((folder / name).stat().st_size == size for name, size in sizes.items())
    except (FileNotFoundError, NotADirectoryError):
        return "damaged"
    return "ready" if whole else "damaged"


def write_marker(asset: Asset, folder: Path) -> None:
    """Declare a folder ready; call it last, when every file is in place and verified."""
    files = {
        file.relative_to(folder).as_posix(): file.stat().st_size
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file.name != MARKER
    }
    partial = folder / (MARKER + ".tmp")
    partial.write_text(json.dumps({"recipe": asset.recipe, "files": files}, indent=1) + "\n", encoding="utf-8")
    partial.replace(folder / MARKER)


def folder_size(folder: Path) -> int:
    """Bytes of all files under a folder; 0 where it does not exist."""
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())

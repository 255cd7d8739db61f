"""What licence exported weights carry, and what else a user of them must know."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from emotion_llama.analyze.preset import PRESETS, WEIGHTS_LICENCE
from emotion_llama.errors import UsageError
from emotion_llama.train.export.source import RECORD_FILE, Source

NOT_RECORDED = "not recorded"
UNKNOWN = "unknown"
"""The hub's own word for weights whose licence nobody stated."""

_SHARE_ALIKE = WEIGHTS_LICENCE.lower()
_TERMS = {
    "ravdess": "RAVDESS: CC BY-NC-SA 4.0; weights trained on it carry the same licence",
    "emodb": "EmoDB: for research",
    "crema": "CREMA-D: Open Database License",
    "fer2013": "FER2013: for research; the rights in the pictures are unclear",
    "goemotions": "GoEmotions: Apache-2.0",
    "meld": "MELD: GPL-3.0; the dialogues are those of a television series",
    "iemocap": "IEMOCAP: by signed agreement, for research",
    "dfew": "DFEW: by signed agreement, for research",
    "mer": "MER challenges: by signed agreement, for research",
}
"""Data set (a word of its name) → its terms, as its makers state them."""


def licence_of(source: Source, stated: str | None = None) -> str:
    """Give the hub's identifier of the weights' licence, "unknown" if neither the run nor `stated` names one.

    Weights that were trained on RAVDESS, or go on from ones that were, are CC BY-NC-SA 4.0 whatever is stated:
    another statement is refused with a `UsageError`.
    """
    config = source.record.get("config") or {}
    wanted = (stated or config.get("licence") or "").strip().lower()
    if _share_alike(source.folder, source.record):
        if wanted and wanted != _SHARE_ALIKE:
            raise UsageError(
                f"licence {wanted!r}: {source.folder} was trained on RAVDESS (or goes on from weights that were), "
                f"which asks for {_SHARE_ALIKE}; leave --licence out, or train without it"
            )
        return _SHARE_ALIKE
    return wanted or UNKNOWN


def licence_notes(source: Source, stated: str | None = None) -> str:
    """Give `LICENCE.md`: the weights' licence, the language model's, and the terms of the data."""
    licence = licence_of(source, stated)
    said = f"The training settings name no licence: it is {NOT_RECORDED}." if licence == UNKNOWN else f"**{licence}**."
    lines = ["# Licence of these weights", "", said, "", "What they rest on has terms of its own:", ""]
    asset = source.asset
    terms = asset.licence if asset is not None else f"{NOT_RECORDED}; see its own page"
    note = f" {asset.licence_note}" if asset is not None and asset.licence_note else ""
    lines.append(f"- language model {source.llm_name or NOT_RECORDED}: {terms}.{note}")
    lines.append(
        "  Changed by low-rank adaptation (LoRA); where it lies in this folder, with LoRA added to its weights."
    )
    lines += [f"- data {line}" for line in data_terms(source.record)]
    return "\n".join(lines) + "\n"


def data_terms(record: dict[str, Any]) -> list[str]:
    """Give a line on the terms of each data set that was trained on; "not recorded" where nothing is known."""
    words = list(_trained_on(record))
    if not words:
        return [f"sets: {NOT_RECORDED}"]
    known = [terms for name, terms in _TERMS.items() if any(_names(name, word) for word in words)]
    unknown = [word for word in words if not any(_names(name, word) for name in _TERMS)]
    return known + [f"{word}: terms {NOT_RECORDED}" for word in dict.fromkeys(unknown)]


def _share_alike(folder: Path, record: dict[str, Any]) -> bool:
    if any(folder.resolve().is_relative_to(_shipped(name)) for name in PRESETS):
        return True
    if any("ravdess" in word.lower() for word in _trained_on(record)):
        return True
    start = ((record.get("config") or {}).get("model") or {}).get("init")
    if not start:
        return False
    return str(start) in PRESETS or _share_alike(Path(start), _record_of(Path(start)))


def _shipped(name: str) -> Path:
    from importlib.resources import files

    return Path(str(files("emotion_llama") / "weights" / name)).resolve()


def _record_of(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / RECORD_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):  # the checkpoint that training began with is often gone: nothing can be told of it
        return {}
    return found if isinstance(found, dict) else {}


def _trained_on(record: dict[str, Any]) -> Iterator[str]:
    """Names of the data sets on whose training or validation side the run saw clips."""
    for entry in record.get("data") or ():
        clips = entry.get("clips") or {}
        if not clips or clips.get("train") or clips.get("validation"):
            # A manifest's own name says little: its path may name the data set.
            named = f"{entry.get('path') or ''}/{entry.get('name') or ''}".lower()
            known = [name for name in _TERMS if _names(name, named)]
            yield from known or [str(entry.get("name") or entry.get("path") or "a source without a name")]


def _names(data_set: str, word: str) -> bool:
    """Whether a name or path speaks of a data set; "mer" alone is too short to be looked for inside words."""
    parts = word.lower().replace("/", " ").replace("-", " ").replace("_", " ").replace(".", " ").split()
    return any(part.startswith(data_set) for part in parts) if len(data_set) < 5 else data_set in word.lower()

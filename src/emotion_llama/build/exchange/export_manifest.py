"""manifest: our own list of clips (.jsonl), one a side."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

from emotion_llama.build.entry import Part
from emotion_llama.build.exchange.export import Export, json_text
from emotion_llama.build.exchange.recordings import absolute
from emotion_llama.clip import Clip
from emotion_llama.manifest import write_manifest

MANIFEST = "manifest"
"""The name of the list of entries without a side."""


def export_manifest(export: Export) -> None:
    """Write each side's clips with what a manifest holds: no action units, no texts but the reason."""
    counts: dict[Part | None, int] = {}
    for entry in export.fitting():
        if entry.clip.path is None and entry.clip.transcript is None:
            export.leave_out(entry, "it has neither a recording nor a transcript")
            continue
        counts[entry.part] = counts.get(entry.part, 0) + 1
    for part, count in counts.items():
        name = f"{part or MANIFEST}.jsonl"
        write_manifest(_clips(export, part), export.folder / name)
        if export.options.media == "relative":
            _make_relative(export.folder / name, export.out)
        export.files[name] = count
        export.clips += count


def _clips(export: Export, part: Part | None) -> Iterator[Clip]:
    for entry in export.fitting():
        if entry.part == part and not (entry.clip.path is None and entry.clip.transcript is None):
            path = export.place(entry)
            place = None if path is None else export.folder / path  # an absolute path stays as it is
            yield entry.clip.model_copy(update={"path": place})


def _make_relative(path: Path, out: Path) -> None:
    """Name recordings as they lie from `out`: `write_manifest` knows paths below its own folder only."""
    lines = []
    for line in path.read_text(encoding="utf-8").split("\n"):
        row = json.loads(line) if line else None
        if row is not None and row["path"] is not None:
            row["path"] = Path(os.path.relpath(row["path"], absolute(out))).as_posix()
        lines.append(json_text(row) if row is not None else "")
    path.write_text("\n".join(lines), encoding="utf-8", newline="\n")

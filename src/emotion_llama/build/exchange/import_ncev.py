"""ncev: a list of the released code (`ncev.py`), with transcripts beside it where there are any."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.build.entry import Entry
from emotion_llama.build.exchange.merr import FRAMES
from emotion_llama.build.exchange.ncev import find_transcripts, read_lines
from emotion_llama.build.exchange.recordings import absolute
from emotion_llama.build.exchange.source import Imported, ImportSource
from emotion_llama.clip import Clip
from emotion_llama.errors import ManifestError


def import_ncev(source: ImportSource) -> Imported:
    """Read a list, or the only one of a folder. Raises `ManifestError` for a line that is none."""
    recordings = source.recordings("", "media", "video", "videos")
    sentences = find_transcripts(source.folder)
    for line in read_lines(_list(source)):
        path = recordings.get(line.name)
        yield Entry(
            clip=Clip(
                clip=line.name,
                path=absolute(path) if path else None,
                transcript=sentences.get(line.name),
                emotion=line.emotion,
                valence=line.valence,
                groups={FRAMES: float(line.frames)} if line.frames else {},
            )
        )


def _list(source: ImportSource) -> Path:
    if source.path.is_file():
        return source.path
    found = sorted(source.folder.glob("*.txt"))
    if len(found) != 1:
        there = ", ".join(path.name for path in found) or "none"
        raise ManifestError(f"{source.folder}: expected one list (.txt) in it, found {there}; name the file")
    return found[0]

"""The recordings of an export: where they lie, what they are, and how the export names them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable
from pathlib import Path

from emotion_llama.build.entry import Entry
from emotion_llama.build.exchange.options import Kind, MediaMode
from emotion_llama.media.listing import MOVING, SOUND, STILL

MEDIA_FOLDER = "media"


def recording_of(entry: Entry, dataset: Path) -> Path | None:
    """Give where the recording lies; a relative path starts at the data set's folder. `None` for text alone."""
    path = entry.clip.path
    return None if path is None else dataset / path


def kind_of(entry: Entry) -> Kind | None:
    """Say what the recording is; `None` where neither the entry nor the file's ending tells."""
    suffix = (entry.clip.path or Path()).suffix.lower()
    if suffix in STILL:
        return "image"
    if entry.media is not None and (entry.media.frames or entry.media.has_sound):
        return "video" if entry.media.frames else "audio"
    if suffix in MOVING:
        return "video"
    return "audio" if suffix in SOUND else None


def total_bytes(paths: Iterable[Path]) -> int:
    """Give the size of all recordings that are there."""
    return sum(path.stat().st_size for path in paths if path.is_file())


def absolute(path: Path) -> Path:
    """Give the absolute path. Links stay: a name with an ending may point to one without."""
    return Path(os.path.normpath(path.absolute()))


class Recordings:
    """Names the recordings of one export, and copies them where that is asked for.

    `folder` is being filled and becomes `out`: relative paths are those that hold in `out`.
    """

    def __init__(self, dataset: Path, folder: Path, out: Path, mode: MediaMode) -> None:
        self.dataset, self.folder, self.out, self.mode = dataset, folder, out, mode
        self._copies: dict[Path, str] = {}

    def missing(self, entry: Entry, *, needed: bool) -> str | None:
        """Say why the entry cannot go in: `needed` = the format is of no use without the recording."""
        path = recording_of(entry, self.dataset)
        if path is None:
            return "it has no recording" if needed else None
        if (needed or self.mode == "copy") and not path.is_file():
            return f"its recording is not there: {path}"
        return None

    def place(self, entry: Entry, name: str) -> str | None:
        """Give the path to write, `None` for text alone; a copy is called `name`. One recording is copied once."""
        path = recording_of(entry, self.dataset)
        if path is None:
            return None
        path = absolute(path)
        if self.mode == "copy":
            return self._copy(path, name)
        if self.mode == "relative":
            return Path(os.path.relpath(path, absolute(self.out))).as_posix()
        return path.as_posix()

    def _copy(self, path: Path, name: str) -> str:
        if path not in self._copies:
            target = f"{MEDIA_FOLDER}/{name}{path.suffix.lower()}"
            (self.folder / MEDIA_FOLDER).mkdir(exist_ok=True)
            shutil.copyfile(path, self.folder / target)
            self._copies[path] = target
        return self._copies[path]

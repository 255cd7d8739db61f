"""One import under way: the files of others, and where their recordings lie."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from emotion_llama.build.entry import Entry, Part, Rejected
from emotion_llama.build.exchange.options import ImportOptions
from emotion_llama.build.exchange.recordings import absolute
from emotion_llama.clip import Clip
from emotion_llama.errors import UsageError
from emotion_llama.media.listing import MOVING, SOUND, STILL

STEP = "import"
"""The step that stands in a rejection."""

_ORDER = (*MOVING, *SOUND, *STILL)


class ImportSource:
    """What a format's function works with: the file or folder, the options, and where to tell what is worth knowing."""

    def __init__(self, path: Path, options: ImportOptions) -> None:
        self.path, self.options = path, options
        self.notes: list[str] = []

    @property
    def folder(self) -> Path:
        """The folder itself, or the one that the file lies in."""
        return self.path if self.path.is_dir() else self.path.parent

    def recordings(self, *beside: str) -> dict[str, Path]:
        """Index the recordings by name without ending: below the option's folder, else below these of the source.

        A moving picture goes before sound, sound before a still. Raises `UsageError` if the option's folder is none.
        """
        given = self.options.media
        if given is not None and not given.is_dir():
            raise UsageError(f"--media {given}: expected a folder of recordings, found none")
        places = [given] if given is not None else [self.folder / name for name in beside]
        found: dict[str, Path] = {}
        for place in places:
            files = [path for path in sorted(place.rglob("*")) if path.suffix.lower() in _ORDER]
            for path in sorted(files, key=lambda path: _ORDER.index(path.suffix.lower())):
                found.setdefault(path.stem, path)
        return found


Imported = Iterator[Entry | Rejected]
"""What a format's function gives: every clip it found, or why it cannot be one."""


def entry_of(clip: Clip, part: Part | None = None) -> Entry:
    """Give the entry of a clip that a reader of `datasets` gave; its recording as an absolute path."""
    if clip.path is not None:
        clip = clip.model_copy(update={"path": absolute(clip.path)})
    return Entry(clip=clip, part=part)


def rejected(clip: str, reason: str) -> Rejected:
    """Give a clip that cannot be taken over, and why."""
    return Rejected(clip=clip, step=STEP, reason=reason)

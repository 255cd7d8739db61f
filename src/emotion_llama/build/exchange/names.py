"""Clip names that file systems and space-separated lines can hold: no folder, no blank, each once."""

from __future__ import annotations

import re
import unicodedata
from pathlib import PurePosixPath

from emotion_llama.media.listing import MEDIA_SUFFIXES

MOST_CHARACTERS = 120  # file systems take 255 bytes, and a name may be written in three bytes a character

_UNSAFE = re.compile(r"[^\w.-]+")


class Names:
    """Gives every clip one safe name: its own where that is safe, else one made of it. The order decides."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        self._taken: set[str] = set()

    def give(self, clip: str) -> str:
        """Give the clip's safe name: without its media ending, unique whatever the case of its letters."""
        if clip not in self._names:
            wish = safe_name(clip)
            name, number = wish, 1
            while name.casefold() in self._taken:  # some file systems take A and a for the same
                number += 1
                name = f"{wish}-{number}"
            self._taken.add(name.casefold())
            self._names[clip] = name
        return self._names[clip]

    @property
    def changed(self) -> dict[str, str]:
        """Safe name → clip, for every clip that is called otherwise."""
        return {name: clip for clip, name in self._names.items() if name != clip}


def safe_name(clip: str) -> str:
    """Give a name of letters, digits, "_", "-" and "." without a media ending; two clips may get the same one."""
    path = PurePosixPath(clip.replace("\\", "/"))
    whole = str(path.with_suffix("")) if path.suffix.lower() in MEDIA_SUFFIXES else str(path)
    name = _UNSAFE.sub("_", unicodedata.normalize("NFC", whole)).strip("._")
    return name[:MOST_CHARACTERS] or "clip"

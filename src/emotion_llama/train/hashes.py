"""Content hashes of recordings, remembered by path, size and time of change: a large set is read once, not each run."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from emotion_llama.errors import OutputError


class FileHashes:
    """sha256 of files. `save` writes what was learned; a memory that cannot be read is made anew."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._changed = False
        try:
            known = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            known = {}
        self._known: dict[str, list[object]] = known if isinstance(known, dict) else {}

    def of(self, path: Path) -> str:
        """Give the content hash of a file. Raises `OSError` if it cannot be read."""
        stat = path.stat()
        name, stamp = str(path.resolve()), [stat.st_size, stat.st_mtime_ns]
        known = self._known.get(name)
        if known is not None and known[:2] == stamp:
            return str(known[2])
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        self._known[name] = [*stamp, digest]
        self._changed = True
        return digest

    def save(self) -> None:
        """Write the memory, whole or not at all. Raises `OutputError` if it cannot be written."""
        if not self._changed:
            return
        part = self.path.with_name(self.path.name + ".part")
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            part.write_text(json.dumps(self._known), encoding="utf-8")
            part.replace(self.path)
        except OSError as error:
            raise OutputError(
                f"{self.path}: cannot be written ({error}); free space or set another cache folder"
            ) from error
        self._changed = False

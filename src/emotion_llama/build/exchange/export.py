"""One export under way: the entries that are asked for, what was left out, what was written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any

from emotion_llama.build.entry import Entry, Rejected, read_entries
from emotion_llama.build.exchange.names import Names
from emotion_llama.build.exchange.options import ExportOptions, ExportReport
from emotion_llama.build.exchange.recordings import Recordings

UNSPLIT = "clips"
"""How a file is called that holds the entries without a side."""


class Export:
    """What a format's function works with. Entries are read anew on every pass, never held.

    `folder` is to be filled and becomes `out`.
    """

    def __init__(self, dataset: Path, folder: Path, out: Path, options: ExportOptions) -> None:
        self.dataset, self.folder, self.out, self.options = dataset, folder, out, options
        self.names = Names()
        self.recordings = Recordings(dataset, folder, out, options.media)
        self.files: dict[str, int] = {}
        self.notes: list[str] = []
        self.clips = 0
        self._left_out: dict[str, Rejected] = {}

    def entries(self) -> Iterator[Entry]:
        """Read the entries of the sides that are asked for. Raises `ManifestError` for a damaged data set."""
        for entry in read_entries(self.dataset):
            if not self.options.parts or entry.part in self.options.parts:
                yield entry

    def fitting(self, *, needs_recording: bool = False) -> Iterator[Entry]:
        """Give the entries whose recordings can be named; the others are left out."""
        for entry in self.entries():
            reason = self.recordings.missing(entry, needed=needs_recording)
            if reason is None:
                yield entry
            else:
                self.leave_out(entry, reason)

    def leave_out(self, entry: Entry, reason: str) -> None:
        """Remember why an entry is not in the export."""
        self._left_out[entry.name] = Rejected(clip=entry.name, step="export", reason=reason)

    def place(self, entry: Entry) -> str | None:
        """Give the path of the entry's recording as the export writes it, `None` for text alone."""
        return self.recordings.place(entry, self.names.give(entry.name))

    def open(self, name: str) -> IO[str]:
        """Open a text file of the export for writing: UTF-8, plain line ends."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        return path.open("w", encoding="utf-8", newline="\n")

    def report(self, kind: str) -> ExportReport:
        """Give what came of it."""
        return ExportReport(
            kind=kind,
            out=self.out,
            clips=self.clips,
            files=self.files,
            left_out=tuple(self._left_out.values()),
            notes=tuple(self.notes),
        )


def stem(entry: Entry) -> str:
    """Give the name of the file that the entry's side is written to, without an ending."""
    return entry.part or UNSPLIT


def json_text(value: Any, indent: int | None = None) -> str:
    """Give JSON text with letters as they are. Numbers that JSON does not know are refused with a `ValueError`."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, indent=indent)


def listed(words: Iterable[str]) -> str:
    """Give words for a sentence, at most ten of them."""
    every = list(words)
    return ", ".join(every[:10]) + (f" and {len(every) - 10} more" if len(every) > 10 else "")

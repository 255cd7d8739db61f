"""Results by content and settings: in memory, bounded; in a folder too only where one was given."""

from __future__ import annotations

import hashlib
import tempfile
import time
from collections import OrderedDict
from pathlib import Path

from pydantic import ValidationError

from emotion_llama.clip import Analysis, Clip
from emotion_llama.settings import AnalyzeSettings

MOST_RESULTS = 256


def result_key(clip: Clip, settings: AnalyzeSettings, sha256: str | None, model: str) -> str:
    """Give the name of a result: a hash of the recording's content, its span, transcript, all settings, the model."""
    asked = (model, sha256, clip.start_s, clip.end_s, clip.transcript, settings.model_dump_json())
    return hashlib.sha256(repr(asked).encode()).hexdigest()


class ResultCache:
    """The latest results. `folder`: where they stay over a restart (private to the user), `None`: nowhere."""

    def __init__(self, folder: Path | None = None, most: int = MOST_RESULTS) -> None:
        self._folder, self._most = folder, most
        self._results: OrderedDict[str, Analysis] = OrderedDict()
        if folder is not None:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)

    def get(self, key: str, clip: str) -> Analysis | None:
        """Give a result under the name that the recording has now; `None` where there is none."""
        found = self._results.get(key) or self._read(key)
        if found is None:
            return None
        self._remember(key, found)
        return found.model_copy(update={"clip": clip})

    def put(self, key: str, analysis: Analysis) -> None:
        """Remember a result; beyond the bound the one that was asked for least lately is forgotten."""
        self._remember(key, analysis)
        if self._folder is None:
            return
        with tempfile.NamedTemporaryFile("w", encoding="utf-8", dir=self._folder, delete=False) as file:
            file.write(analysis.model_dump_json())
        Path(file.name).replace(self._folder / f"{key}.json")

    def remove_older(self, age_s: float) -> int:
        """Remove kept results older than `age_s`; gives how many."""
        old = [
            file
            for file in (self._folder.iterdir() if self._folder is not None else ())
            if file.is_file() and time.time() - file.stat().st_mtime > age_s
        ]
        for file in old:
            self._results.pop(file.stem, None)
            file.unlink(missing_ok=True)
        return len(old)

    def _remember(self, key: str, analysis: Analysis) -> None:
        self._results[key] = analysis
        self._results.move_to_end(key)
        while len(self._results) > self._most:
            self._results.popitem(last=False)

    def _read(self, key: str) -> Analysis | None:
        if self._folder is None:
            return None
        try:
            return Analysis.model_validate_json((self._folder / f"{key}.json").read_bytes())
        except (OSError, ValidationError):  # not kept, or kept by another version: it is computed again
            return None

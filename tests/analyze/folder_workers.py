"""A model that worker processes load: what it does with a clip is told by the clip's words."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from emotion_llama.analyze.folder import FolderRun
from emotion_llama.analyze.report import ReportMaterial
from emotion_llama.clip import Analysis, Clip
from emotion_llama.errors import AssetMissingError, MediaError, ModelError
from emotion_llama.settings import AnalyzeSettings

SETTLED_S = 1.0


class FatedModel:
    """Leaves a file in `folder` for every clip it looks at; the emotion depends on the clip alone.

    `slow`: the first answers wait until nobody looks at anything any more. `alive`: clips that were looked at and not
    yet answered, at each call.
    """

    def __init__(self, folder: Path, template: dict[str, Any], slow: bool = False) -> None:
        self.folder, self.template, self.slow = folder, template, slow
        self.alive: list[int] = []
        self.sizes: list[int] = []

    def look(self, clip: Clip, settings: AnalyzeSettings) -> tuple[str, int]:
        fate = clip.transcript
        if fate == "kill" or (fate == "kill once" and _first_time(self.folder / f"tried-{clip.clip}")):
            os.kill(os.getpid(), signal.SIGKILL)
        if fate == "media":
            raise MediaError(f"{clip.path}: broken")
        if fate == "bug":
            raise ZeroDivisionError("division by zero")
        if fate == "no weights":
            raise AssetMissingError("run: emotion-llama fetch nano")
        if fate == "pid":
            time.sleep(0.2)
        (self.folder / f"looked-{clip.clip}").touch()
        return clip.clip, os.getpid() if fate == "pid" else 0

    def answer_together(self, looked: list[tuple[str, int]]) -> list[Any]:
        if self.slow and not self.sizes:
            _wait_until_settled(self.folder)
        self.alive.append(len(list(self.folder.glob("looked-*"))) - sum(self.sizes))
        self.sizes.append(len(looked))
        return [self._answer(*one) for one in looked]

    def examine(self, clip: Clip, settings: AnalyzeSettings) -> Any:
        (found,) = self.answer_together([self.look(clip, settings)])
        if isinstance(found, Exception):
            raise found
        return found

    def _answer(self, clip: str, pid: int) -> Any:
        if clip.startswith("long"):
            return ModelError("too long")
        chance = (sum(clip.encode()) % 97) / 97
        told = {"clip": clip, "probabilities": {"happy": chance, "sad": 1 - chance}, "raw": {"pid": str(pid)}}
        return SimpleNamespace(analysis=Analysis.model_validate(self.template | told), material=ReportMaterial())


def load_fated(folder: Path, template: dict[str, Any], run: FolderRun, threads: int | None) -> Any:
    """A loader, by `partial`."""
    return FatedModel(folder, template)


def _first_time(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def _wait_until_settled(folder: Path) -> None:
    count, since = -1, time.monotonic()
    while time.monotonic() - since < SETTLED_S:
        now = len(list(folder.glob("looked-*")))
        if now != count:
            count, since = now, time.monotonic()
        time.sleep(0.02)

"""Who has the page open: which recordings are whose, and that these and the work for them go with the page."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

from emotion_llama import assets
from emotion_llama.errors import EmotionLlamaError

EXAMPLES = {
    "example_speech": ("sample-speech", "obama_speech.mp4"),
    "example_smile": ("sample-smile", None),
    "example_tears": ("sample-tears", None),
    "example_noface": ("sample-noface", None),
}
"""Sample clips by the word on their button: asset, file in it (`None`: the only recording)."""


class Sessions:
    """Pages that are open, by the session's name: the recording of each, below `folder`, and who waits for answers."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._of: dict[str, set[Path]] = {}
        self._gone: dict[str, tuple[asyncio.AbstractEventLoop, asyncio.Event]] = {}

    def gone(self, session: str) -> asyncio.Event:
        """Give what is set when a session's page is closed. To be called in the event loop."""
        if session not in self._gone:
            self._gone[session] = (asyncio.get_running_loop(), asyncio.Event())
        return self._gone[session][1]

    def note(self, session: str, path: str | None) -> None:
        """Remember that a session has a recording now, and no other."""
        before = self._of.get(session, set())
        self._of[session] = set() if path is None else {Path(path)}
        self._remove(before)

    def forget(self, session: str) -> None:
        """A page was closed: end the work for it, and remove what it had. From any thread."""
        loop, gone = self._gone.pop(session, (None, None))
        if loop is not None and gone is not None:
            loop.call_soon_threadsafe(gone.set)
        self._remove(self._of.pop(session, set()))

    def kept_bytes(self) -> int:
        """How much all recordings take, those of pages that are not there any more included."""
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    def example(self, name: str) -> str | None:
        """Give a copy of a sample clip, which a session may then have; `None` where it was not fetched."""
        found = example_path(name)
        if found is None:
            return None
        copy = self.folder / "examples" / found.name
        if not copy.is_file():
            copy.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            shutil.copyfile(found, copy)
        return str(copy)

    def _remove(self, paths: set[Path]) -> None:
        """Remove files that no session has; the same content lies at the same place for all."""
        had = set().union(*self._of.values())
        for path in paths - had:
            if path.is_relative_to(self.folder) and path.parent.name != "examples":
                path.unlink(missing_ok=True)


def example_path(name: str) -> Path | None:
    """Where a sample clip lies; `None` where it was not fetched."""
    asset, file = EXAMPLES[name]
    try:
        folder = assets.path(asset)
    except EmotionLlamaError:
        return None
    kinds = (".mp4", ".jpg", ".jpeg", ".png", ".wav")
    return folder / file if file else next((f for f in sorted(folder.iterdir()) if f.suffix.lower() in kinds), None)

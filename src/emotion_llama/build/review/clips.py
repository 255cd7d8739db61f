"""The clips of a data set as the page knows them: each under a key, with its place in the file and its recording.

Nothing that a browser sends is ever used as a path. A key is looked up, and the entry says where the recording lies.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from emotion_llama.build.entry import ENTRIES, Entry
from emotion_llama.build.preview import preview_path
from emotion_llama.build.review.doubts import doubts
from emotion_llama.build.review.records import content_sha256, label_of
from emotion_llama.errors import ManifestError, UsageError

MEDIA_TYPES = {
    ".mp4": "video/mp4",
    ".m4v": "video/mp4",
    ".webm": "video/webm",
    ".m4a": "audio/mp4",
    ".mp3": "audio/mpeg",
    ".wav": "audio/wav",
    ".flac": "audio/flac",
    ".ogg": "audio/ogg",
    ".jpg": "image/jpeg",
    ".jpeg": "image/jpeg",
    ".png": "image/png",
}
"""What browsers show, by file name ending; no other file is ever served."""


@dataclass(frozen=True)
class ReviewClip:
    """One clip: `key` for addresses, its name, the data set's emotion, why it is doubtful, where its entry stands."""

    key: str
    name: str
    label: str | None
    doubts: tuple[str, ...]
    content_sha256: str
    offset: int
    size: int


@dataclass(frozen=True)
class Recording:
    """What the page plays. `path` and `media_type` are `None` where it cannot; `problem` then says why."""

    path: Path | None
    media_type: str | None
    problem: str | None


class ReviewClips:
    """All clips of a data set, in its order; entries stay on disk and are read one by one."""

    def __init__(self, dataset: Path) -> None:
        """Go through the data set once. Raises `ManifestError` for one that cannot be read or names a clip twice."""
        self.dataset = dataset
        self._by_key: dict[str, ReviewClip] = {}
        for clip in _scan(dataset):
            if clip.key in self._by_key:
                raise ManifestError(f"{dataset / ENTRIES}: clip {clip.name!r} stands there twice; build it again")
            self._by_key[clip.key] = clip

    def __iter__(self) -> Iterator[ReviewClip]:
        return iter(self._by_key.values())

    def __len__(self) -> int:
        return len(self._by_key)

    def get(self, key: str) -> ReviewClip | None:
        """Give the clip of a key, `None` for one that is not known."""
        return self._by_key.get(key)

    def entry(self, clip: ReviewClip) -> Entry:
        """Read a clip's entry. Raises `UsageError` if the data set was built anew since the page was started."""
        entry: Entry | None = None
        try:
            with (self.dataset / ENTRIES).open("rb") as file:
                file.seek(clip.offset)
                entry = Entry.model_validate_json(file.read(clip.size))
        except (OSError, ValidationError):
            pass  # said below, like a line that is another one now
        if entry is None or entry.name != clip.name or content_sha256(entry) != clip.content_sha256:
            raise UsageError(f"{self.dataset / ENTRIES} has changed; stop the review page and start it again")
        return entry

    def recording(self, entry: Entry) -> Recording:
        """Find what the page plays: a file inside the data set, or the one that the entry names by its full path."""
        path = entry.clip.path
        if path is None:
            return _unplayable("This clip has no recording: it is text alone.")
        media_type = MEDIA_TYPES.get(path.suffix.lower())
        if media_type is None:
            return _unplayable(f"Browsers do not play {path.suffix or 'such'} files: only the preview is shown.")
        if not path.is_absolute():
            path, folder = (self.dataset / path).resolve(), self.dataset.resolve()
            if not path.is_relative_to(folder):
                return _unplayable("The entry's recording lies outside the data set's folder, so it is not shown.")
        if not path.is_file():
            return _unplayable(f"The recording {path.name} is not there any more.")
        return Recording(path, media_type, None)


def _unplayable(problem: str) -> Recording:
    return Recording(None, None, problem)


def _scan(dataset: Path) -> Iterator[ReviewClip]:
    path = dataset / ENTRIES
    try:
        with path.open("rb") as file:
            offset = 0
            for number, line in enumerate(file, start=1):
                if line.strip():
                    yield _clip(dataset, line, offset, f"{path}:{number}")
                offset += len(line)
    except FileNotFoundError:
        raise ManifestError(f"{path}: no such file; is {dataset} a data set made by `emotion-llama build`?") from None
    except OSError as error:
        raise ManifestError(f"{path}: cannot be read ({error})") from error


def _clip(dataset: Path, line: bytes, offset: int, where: str) -> ReviewClip:
    try:
        entry = Entry.model_validate_json(line)
    except ValidationError as error:
        raise ManifestError(f"{where}: not an entry of a data set ({error.errors()[0]['msg']})") from error
    return ReviewClip(
        key=preview_path(dataset, entry.name).stem,
        name=entry.name,
        label=label_of(entry),
        doubts=doubts(entry),
        content_sha256=content_sha256(entry),
        offset=offset,
        size=len(line),
    )

"""What the user named → clips: recordings, folders of them, manifests, data sets."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from emotion_llama.build.doctor.sides import part_of
from emotion_llama.build.entry import ENTRIES, Entry, read_entries
from emotion_llama.clip import Clip
from emotion_llama.errors import UsageError
from emotion_llama.manifest import SUFFIXES, read_manifest
from emotion_llama.media.listing import list_media


def read_clips(sources: Sequence[Path]) -> list[Clip]:
    """Give the clips of all sources, in order; the column "part" of their groups says where each belongs.

    A folder is a data set if it holds entries, else its media files are taken. Of several manifests without a column
    part, split or side, each is a part and its name the part's. What an examination does not need (texts about a clip,
    observations) is left behind. Raises `UsageError` for no source, `ManifestError` and `MediaError` as the readers do.
    """
    if not sources:
        raise UsageError("nothing to examine: give recordings, a folder, a manifest or a data set")
    several = sum(source.suffix.lower() in SUFFIXES and source.name != ENTRIES for source in sources) > 1
    return [clip for source in sources for clip in _read(source, several)]


def _read(source: Path, several: bool) -> Iterable[Clip]:
    if source.name == ENTRIES:
        source = source.parent
    if (source / ENTRIES).is_file():
        return _entries(source)
    if source.suffix.lower() in SUFFIXES:
        return [_slim(clip, source.stem if several else None) for clip in read_manifest(source)]
    if source.is_dir():
        return [Clip(clip=str(path), path=path) for path in list_media(source)]
    return [Clip(clip=str(source), path=source)]


def _entries(dataset: Path) -> Iterator[Clip]:
    for entry in read_entries(dataset):
        clip = _slim(entry.clip, entry.part)
        path = dataset / clip.path if clip.path is not None else None
        yield clip.model_copy(update={"path": path, "emotion": _emotion(entry)})


def _emotion(entry: Entry) -> str | None:
    return entry.clip.emotion or (entry.coarse.emotion if entry.coarse is not None else None)


def _slim(clip: Clip, part: str | None) -> Clip:
    told = part_of(clip) or part
    groups: dict[str, str | float] = {"part": told} if told is not None else {}
    return clip.model_copy(update={"observations": (), "reasoning": None, "groups": groups})

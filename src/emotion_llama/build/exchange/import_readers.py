"""The data sets that `emotion_llama.datasets` reads: emer, dfew, meld, ravdess, crema-d, emodb."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Literal, cast

from emotion_llama.build.entry import Part
from emotion_llama.build.exchange.source import Imported, ImportSource, entry_of
from emotion_llama.clip import Clip
from emotion_llama.datasets import crema_d, dfew, emer, emodb, meld, ravdess
from emotion_llama.datasets.splits import Split, read_split


def import_emer(source: ImportSource) -> Imported:
    """Read the written explanations of EMER as given reasons. Raises `ManifestError` as its reader does."""
    return _with_recordings(source, emer.read_texts(source.path, source.options.version, source.options.language))


def import_dfew(source: ImportSource) -> Imported:
    """Read both sides of one fold of DFEW. Raises `ManifestError` as its reader does."""
    sides: tuple[Literal["train", "test"], ...] = ("train", "test")
    for side in sides:
        for clip in dfew.read_dfew(source.folder, source.options.fold, side):
            yield entry_of(clip, side)


def import_meld(source: ImportSource) -> Imported:
    """Read the sides of MELD that are there, with their clips where these are. Raises `ManifestError` as its reader."""
    there = [side for side in meld.FILES if _has_table(source.folder, meld.FILES[side])]
    for side in there or list(meld.FILES):  # none: the reader says what it wants
        for clip in meld.read_meld(source.folder, side, clips=meld.has_clips(source.folder, side)):
            yield entry_of(clip, cast(Part, side))


def import_ravdess(source: ImportSource) -> Imported:
    """Read RAVDESS, each actor on the side of the project's split. Raises `ManifestError` as its reader does."""
    return _split(ravdess.read_ravdess(source.folder, song=source.options.song), ravdess.SPLIT)


def import_crema_d(source: ImportSource) -> Imported:
    """Read CREMA-D, each actor on the side of the project's split. Raises `ManifestError` as its reader does."""
    channel = source.options.channel
    if channel is None:
        channels: tuple[crema_d.Channel, ...] = ("face", "voice")
        channel = next((one for one in channels if crema_d.has_recordings(source.folder, one)), None)
    return _split(crema_d.read_crema_d(source.folder, channel), crema_d.SPLIT)


def import_emodb(source: ImportSource) -> Imported:
    """Read EmoDB, each speaker on the side of the project's split. Raises `ManifestError` as its reader does."""
    return _split(emodb.read_emodb(source.folder), emodb.SPLIT)


def _split(clips: Iterable[Clip], path: Path) -> Imported:
    split: Split = read_split(path)
    for clip in clips:
        side = split.side_of(clip.speaker) if clip.speaker is not None else None
        yield entry_of(clip, cast(Part | None, side))


def _with_recordings(source: ImportSource, clips: Iterable[Clip]) -> Imported:
    recordings = source.recordings() if source.options.media else {}
    for clip in clips:
        path = recordings.get(clip.clip)
        yield entry_of(clip if path is None else clip.model_copy(update={"path": path}))


def _has_table(folder: Path, word: str) -> bool:
    name = f"{word}_sent_emo.csv"
    return (folder / name).is_file() or (folder / word / name).is_file()

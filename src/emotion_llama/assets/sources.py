"""What both kinds of source share: how they fail, and how bytes are checked on the way in."""

from __future__ import annotations

import errno
import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import BinaryIO

from emotion_llama.assets.catalog import AssetFile
from emotion_llama.errors import AssetCorruptError, AssetError

PROBE_S = 3.0
"""Seconds that a source which cannot be reached may cost."""

_CHUNK = 1 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT)


class SourceUnavailableError(AssetError):
    """This source cannot give the asset; the message is the reason, and the next source is tried."""


def is_disk_full(error: BaseException) -> bool:
    """Whether an error, or one that caused it, is "no space left on device"."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        cause = cause.__cause__ or cause.__context__
    return False


def hash_file(path: Path) -> str:
    """Sha256 of a file as 64 hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def check_bytes(path: Path, expected: str, what: str) -> None:
    """Raise `AssetCorruptError` naming both hashes, and delete the file, unless its sha256 is the expected one."""
    found = hash_file(path)
    if found != expected:
        path.unlink()
        raise AssetCorruptError(
            f"{what}: refused, the bytes are not the catalog's: expected sha256 {expected}, found {found}"
        )


def is_in_place(file: AssetFile, folder: Path) -> bool:
    """Whether an earlier, interrupted run has left this very file in the folder."""
    path = folder / file.path
    return path.is_file() and path.stat().st_size == file.size and hash_file(path) == file.sha256


def write_checked(streams: Iterable[Callable[[], BinaryIO]], file: AssetFile, folder: Path, what: str) -> None:
    """Join streams into one file of `folder`: temporary name, check of the sha256, then rename."""
    target = folder / file.path
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(target.name + ".part")
    with partial.open("wb") as out:
        for start in streams:
            with start() as stream:
                while chunk := stream.read(_CHUNK):
                    out.write(chunk)
    check_bytes(partial, file.sha256, what)
    partial.replace(target)

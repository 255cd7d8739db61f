"""The media files of a folder."""

from __future__ import annotations

from pathlib import Path

from emotion_llama.errors import MediaError

MOVING = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".ts", ".3gp", ".flv", ".wmv", ".gif")
SOUND = (".wav", ".flac", ".mp3", ".m4a", ".aac", ".ogg", ".opus", ".aiff", ".aif", ".wma")
STILL = (".png", ".jpg", ".jpeg", ".webp", ".bmp")
MEDIA_SUFFIXES = frozenset(MOVING + SOUND + STILL)
"""Lower-case file name endings that a folder run takes. A single file may have any name: its content decides."""


def list_media(folder: Path) -> list[Path]:
    """All media files below `folder`, sorted by path; hidden files and folders are left out.

    Raises `MediaError` when `folder` is not a folder or holds no media.
    """
    if not folder.is_dir():
        found_instead = "a file" if folder.exists() else "nothing"
        raise MediaError(f"{folder}: expected a folder of recordings, found {found_instead}; give an existing folder")
    found = sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in MEDIA_SUFFIXES
        and path.is_file()
        and not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not found:
        raise MediaError(
            f"{folder}: no media file below this folder; expected names ending in one of "
            f"{' '.join(sorted(MEDIA_SUFFIXES))}; give another folder or a single file"
        )
    return found

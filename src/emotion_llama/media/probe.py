"""What a file holds: its kind, length, size and identity. The content decides, never the name."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from PIL import Image

from emotion_llama.errors import MediaError, NoStreamError
from emotion_llama.media.container import (
    check_file,
    decoded,
    duration_s,
    open_container,
    picture_stream,
    sound_stream,
)
from emotion_llama.media.frames import frame_turn_deg, upright_size_px
from emotion_llama.media.notes import DecodeNotes
from emotion_llama.media.picture import open_picture, picture_rotation_deg
from emotion_llama.media.types import MediaInfo


def probe(path: Path) -> MediaInfo:
    """Look into `path`: header, first picture, first sound, and the sha256 of the content.

    `rotation_deg` is the clockwise turn (0, 90, 180, 270) that makes the stored picture upright. A stream counts only
    when something of it could be decoded. Raises `MediaError` (missing, folder, empty, not media, cut off beyond use)
    and `NoStreamError` (a container without picture or sound).
    """
    path = Path(path)
    check_file(path)
    picture = open_picture(path)
    if picture is not None:
        with picture:
            return _picture_info(path, picture)
    return _recording_info(path)


def sha256_of(path: Path) -> str:
    """Hexadecimal sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _picture_info(path: Path, picture: Image.Image) -> MediaInfo:
    turn_deg = picture_rotation_deg(picture)
    width_px, height_px = picture.size if turn_deg % 180 == 0 else picture.size[::-1]
    return MediaInfo(
        path=path,
        kind="image",
        duration_s=None,
        width_px=width_px,
        height_px=height_px,
        fps=None,
        rotation_deg=turn_deg,
        has_picture=True,
        has_sound=False,
        sha256=sha256_of(path),
    )


def _recording_info(path: Path) -> MediaInfo:
    with open_container(path) as container:
        stream = picture_stream(container)
        promised = stream is not None or sound_stream(container) is not None
        frame = _first(container, stream)
        size_px = upright_size_px(frame) if frame is not None else (None, None)
        rate = (stream.average_rate or stream.guessed_rate) if stream is not None else None
        length_s = duration_s(path, container)
    has_sound = _has_sound(path)
    if frame is None and not has_sound:
        if promised:
            raise MediaError(
                f"{path}: a header was found but no picture and no sound could be decoded; the file is cut off beyond "
                "use, or made with an unknown codec; expected a whole recording; export or copy it again"
            )
        raise NoStreamError(f"{path}: a media container without picture or sound; give a recording that has one")
    return MediaInfo(
        path=path,
        kind="audio" if frame is None else "video",
        duration_s=length_s,
        width_px=size_px[0],
        height_px=size_px[1],
        fps=float(rate) if rate and frame is not None else None,
        rotation_deg=frame_turn_deg(frame) if frame is not None else 0,
        has_picture=frame is not None,
        has_sound=has_sound,
        sha256=sha256_of(path),
    )


def _has_sound(path: Path) -> bool:
    with open_container(path) as container:
        return _first(container, sound_stream(container)) is not None


def _first(container: Any, stream: Any | None) -> Any | None:
    return None if stream is None else next(decoded(container, stream, DecodeNotes()), None)

"""Whether a file's name ends as its content asks for."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from emotion_llama.media.listing import MOVING

# FFmpeg's name of a container → endings that say the same
_ENDINGS = {
    "mov,mp4,m4a,3gp,3g2,mj2": (".mp4", ".m4v", ".mov", ".m4a", ".3gp", ".3g2"),
    "matroska,webm": (".mkv", ".webm", ".mka"),
    "avi": (".avi",),
    "flv": (".flv",),
    "asf": (".wmv", ".wma", ".asf"),
    "mpeg": (".mpg", ".mpeg", ".vob"),
    "mpegvideo": (".mpg", ".mpeg", ".m2v"),
    "mpegts": (".ts", ".mts", ".m2ts"),
    "gif": (".gif",),
    "wav": (".wav",),
    "w64": (".w64", ".wav"),
    "flac": (".flac",),
    "mp3": (".mp3",),
    "ogg": (".ogg", ".oga", ".ogv", ".opus"),
    "aac": (".aac",),
    "aiff": (".aiff", ".aif"),
}
_PICTURE_ENDINGS = {
    "PNG": (".png",),
    "JPEG": (".jpg", ".jpeg"),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "TIFF": (".tif", ".tiff"),
    "GIF": (".gif",),
}


def wrong_ending(path: Path, container: str | None) -> str | None:
    """Say what the file is where its name says something else; `None` where both agree or nothing is known.

    `container`: FFmpeg's name of the format, `None` for a still picture.
    """
    kind = container if container is not None else _picture_format(path)
    endings = _ENDINGS.get(kind or "") or _PICTURE_ENDINGS.get(kind or "")
    if endings is None or path.suffix.lower() in endings:
        return None
    return f"the name ends in {path.suffix or 'nothing'}, the content asks for {' or '.join(endings)}"


def says_video(path: Path) -> bool:
    """Whether the name promises moving pictures."""
    return path.suffix.lower() in MOVING


def _picture_format(path: Path) -> str | None:
    try:
        with Image.open(path, formats=tuple(_PICTURE_ENDINGS)) as picture:
            return picture.format
    except (OSError, UnidentifiedImageError):
        return None

"""Opening a container and reading its streams through PyAV, with every failure as a `MediaError`.

Time 0 of a recording is the start of its earliest stream. A container's own time stamps may start anywhere.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av

from emotion_llama.errors import MediaError
from emotion_llama.media.notes import DecodeNotes

# Containers that hold sound and pictures. Play lists (hls, concat, …) are refused: they name other files to be opened.
FORMATS = (
    "3gp,aac,ac3,aiff,amr,asf,au,avi,caf,dv,eac3,flac,flv,gif,h264,hevc,ivf,m4v,matroska,mov,mp3,mpeg,mpegts,"
    "mpegvideo,mxf,obu,ogg,rm,w64,wav,webm"
)

MICROSECONDS = 1_000_000  # unit of a container's own times
EARLY_END_S = 0.5  # a stream that ends this much before its header says is reported


def check_file(path: Path) -> None:
    """Raise `MediaError` unless `path` is a readable file with content."""
    if path.is_dir():
        raise MediaError(f"{path}: expected a recording, found a folder; give a file, or analyse the folder as a whole")
    if not path.exists():
        raise MediaError(f"{path}: no such file; expected a video, sound or picture file; check the name")
    try:
        with path.open("rb") as file:
            if not file.read(1):
                raise MediaError(f"{path}: the file is empty (0 bytes); expected a recording; copy or export it again")
    except OSError as error:
        raise MediaError(f"{path}: cannot be read: {error.strerror}; check the file and its permissions") from error


def open_container(path: Path) -> Any:
    """An open PyAV input container, to be used with `with`. Raises `MediaError`."""
    check_file(path)
    try:
        # "file:" keeps a colon in the name from being read as a protocol
        return av.open(f"file:{path}", options={"format_whitelist": FORMATS}, metadata_errors="replace")
    except (av.FFmpegError, ValueError, OSError) as error:
        raise MediaError(
            f"{path}: expected a video, sound or picture file; found no known media format in its content "
            f"({getattr(error, 'strerror', None) or error}). It may be cut off, or not media at all whatever its name "
            "says; export or copy it again"
        ) from error


def picture_stream(container: Any) -> Any | None:
    """The first moving-picture stream, or `None`. Album art is not video."""
    for stream in container.streams.video:
        art = stream.disposition & (av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails)
        if not art and stream.codec_context is not None:
            return stream
    return None


def sound_stream(container: Any) -> Any | None:
    """The first sound stream, or `None`."""
    return next((stream for stream in container.streams.audio if stream.codec_context is not None), None)


def origin_s(container: Any) -> float:
    """Container time of the recording's time 0, in seconds."""
    return (container.start_time or 0) / MICROSECONDS


def header_duration_s(container: Any) -> float | None:
    """Length in seconds as the header says; `None` where it does not (recordings made by browsers, raw streams)."""
    return container.duration / MICROSECONDS if container.duration else None


def scanned_duration_s(path: Path) -> float | None:
    """Length in seconds from the packets' time stamps, without decoding; for files without a length in the header."""
    end_s = None
    with open_container(path) as container:
        zero_s = origin_s(container)
        try:
            for packet in container.demux():
                if packet.pts is not None:
                    last_s = float((packet.pts + (packet.duration or 0)) * packet.time_base) - zero_s
                    end_s = last_s if end_s is None else max(end_s, last_s)
        except av.FFmpegError:
            return end_s  # cut off here: the packets so far are what there is
    return end_s


def duration_s(path: Path, container: Any) -> float | None:
    """Length in seconds from the header, else from a scan of the packets; `None` when there are no time stamps."""
    return header_duration_s(container) or scanned_duration_s(path)


def decoded(container: Any, stream: Any, notes: DecodeNotes) -> Iterator[Any]:
    """Every frame of one stream from the container's position on; what cannot be decoded is noted and skipped."""
    packets = container.demux(stream)
    while True:
        try:
            packet = next(packets, None)
        except av.FFmpegError as error:
            notes.damage(f"the file breaks off ({error.strerror})")
            yield from _flushed(stream, notes)
            return
        if packet is None:
            return
        if packet.is_corrupt:
            notes.damage("a part of the file is missing")
        try:
            frames = packet.decode()
        except av.FFmpegError as error:
            notes.damage(f"a part could not be decoded ({error.strerror})")
            continue
        yield from frames


def _flushed(stream: Any, notes: DecodeNotes) -> Iterator[Any]:
    try:
        yield from stream.codec_context.decode(None)
    except av.FFmpegError as error:
        notes.damage(f"the last frames could not be decoded ({error.strerror})")


def note_early_end(container: Any, stream: Any, notes: DecodeNotes) -> None:
    """Note damage when decoding stopped well before the end that the header promises for this stream."""
    promised_s = _promised_end_s(container, stream)
    reached_s = notes.last_s or 0.0
    if promised_s is not None and promised_s - reached_s > max(EARLY_END_S, 0.02 * promised_s):
        notes.damage(f"it ends at {reached_s:.1f} s; its header says {promised_s:.1f} s")


def _promised_end_s(container: Any, stream: Any) -> float | None:
    if stream.duration:
        return float(((stream.start_time or 0) + stream.duration) * stream.time_base) - origin_s(container)
    stamp = stream.metadata.get("DURATION", "")  # Matroska: "00:00:02.500000000"
    if stamp.count(":") == 2:
        hours, minutes, seconds = stamp.split(":")
        return int(hours) * 3600 + int(minutes) * 60 + float(seconds)
    # one stream only: the container's length is this stream's
    return header_duration_s(container) if len(container.streams) == 1 else None

"""The pictures of a recording, one by one: upright RGB with true times, never all of them in memory."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from emotion_llama.errors import MediaError, NoStreamError
from emotion_llama.media.container import (
    MICROSECONDS,
    check_file,
    decoded,
    duration_s,
    note_early_end,
    open_container,
    origin_s,
    picture_stream,
)
from emotion_llama.media.notes import DecodeNotes
from emotion_llama.media.picture import open_picture, read_picture
from emotion_llama.media.types import Frame, MediaInfo

MAX_SIDE_PX = 1280
TIME_SLACK_S = 0.002  # containers round times to as much as a millisecond
SKIP_STEP_S = 0.5  # from this step on, frames that no other frame needs are not decoded


def iter_frames(
    source: MediaInfo | Path,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    max_frames_s: float = 15.0,
    max_frames: int = 1200,
    max_side_px: int = MAX_SIDE_PX,
    notes: DecodeNotes | None = None,
) -> Iterator[Frame]:
    """Sampled frames of the span `start_s` ≤ time < `end_s`, in time order, decoded as they are asked for.

    Sampling: a frame is given when it lies at least a step after the last one given; the step is 1/`max_frames_s`,
    or span/`max_frames` where that is longer, so that at most `max_frames` come, evenly over the whole span. Times are
    the recording's own (variable frame rates stay right). Larger pictures are reduced to `max_side_px` on the longer
    side; rotation and pixel shape of the header are applied. A span that lies between two frames gives the one shown
    at its start, and a picture file gives itself at 0 s. Damaged frames are skipped and told in `notes`.

    Raises `MediaError` for a span outside the recording, `NoStreamError` for a recording without pictures.
    """
    path = source.path if isinstance(source, MediaInfo) else Path(source)
    notes = notes if notes is not None else DecodeNotes()
    check_file(path)
    picture = open_picture(path)
    if picture is not None:
        with picture:
            yield Frame(read_picture(path, picture, max_side_px), 0, 0.0)
        return
    with open_container(path) as container:
        stream = _picture_stream_of(path, container)
        length_s = duration_s(path, container)
        check_span(path, start_s, end_s, length_s)
        first_s = start_s or 0.0
        last_s = min(end_s if end_s is not None else np.inf, length_s if length_s is not None else np.inf)
        thin_s = (last_s - first_s) / max_frames if np.isfinite(last_s) else 0.0
        step_s = max(1.0 / max_frames_s, thin_s)
        if step_s >= SKIP_STEP_S:
            stream.codec_context.skip_frame = "NONREF"
        _seek(container, first_s)
        chosen = _sampled(_timed(container, stream, notes), first_s, end_s, step_s)
        for count, (frame, index, time_s) in enumerate(chosen):
            if count == max_frames:
                notes.damage(f"it is longer than its header says; pictures after {time_s:.1f} s were left out")
                break
            yield Frame(_upright_rgb(frame, max_side_px), index, time_s)
        if end_s is None and not notes.damaged:
            note_early_end(container, stream, notes)


def read_frame(path: Path, time_s: float, *, max_side_px: int = MAX_SIDE_PX) -> Frame:
    """The frame nearest to `time_s` (the last one where that lies after the end); `index` counts from the seek point.

    Raises `MediaError` when no frame can be decoded, `NoStreamError` for a recording without pictures.
    """
    path = Path(path)
    check_file(path)
    picture = open_picture(path)
    if picture is not None:
        with picture:
            return Frame(read_picture(path, picture, max_side_px), 0, 0.0)
    with open_container(path) as container:
        stream = _picture_stream_of(path, container)
        length_s = duration_s(path, container)
        _seek(container, min(time_s, length_s) if length_s is not None else time_s)
        nearest: tuple[Any, int, float] | None = None
        for index, (frame, frame_s) in enumerate(_timed(container, stream, DecodeNotes())):
            if nearest is None or abs(frame_s - time_s) < abs(nearest[2] - time_s):
                nearest = (frame, index, frame_s)
            if frame_s >= time_s:
                break
        if nearest is None:
            raise MediaError(f"{path}: no picture could be decoded near {time_s:.2f} s; the file is damaged there")
        return Frame(_upright_rgb(nearest[0], max_side_px), nearest[1], nearest[2])


def check_span(path: Path, start_s: float | None, end_s: float | None, length_s: float | None) -> None:
    """Raise `MediaError` when the span is empty or starts after the end of the recording."""
    if start_s is not None and end_s is not None and end_s <= start_s:
        raise MediaError(f"{path}: the span ends at {end_s} s, not after its start at {start_s} s; swap or widen it")
    if start_s and length_s is not None and start_s >= length_s:
        raise MediaError(f"{path}: the span starts at {start_s} s but the recording is {length_s:.2f} s long")


def frame_turn_deg(frame: Any) -> int:
    """Clockwise turn in degrees (0, 90, 180, 270) that makes a decoded frame upright, from its display matrix."""
    return int(round(-frame.rotation / 90) * 90) % 360  # the matrix counts counterclockwise


def upright_size_px(frame: Any) -> tuple[int, int]:
    """Width and height of a decoded frame in square pixels, upright."""
    width_px, height_px = _square_size_px(frame)
    return (height_px, width_px) if frame_turn_deg(frame) % 180 else (width_px, height_px)


def _picture_stream_of(path: Path, container: Any) -> Any:
    stream = picture_stream(container)
    if stream is None:
        raise NoStreamError(f"{path}: expected moving pictures, found none; use it as sound, or give a video")
    stream.thread_type = "AUTO"
    return stream


def _seek(container: Any, time_s: float) -> None:
    if time_s > 0:
        container.seek(int((time_s + origin_s(container)) * MICROSECONDS), backward=True)


def _timed(container: Any, stream: Any, notes: DecodeNotes) -> Iterator[tuple[Any, float]]:
    zero_s = origin_s(container)
    last_s = 0.0
    gap_s = 1.0 / float(stream.average_rate or stream.guessed_rate or 25)
    for frame in decoded(container, stream, notes):
        if frame.is_corrupt:
            notes.damage("pictures are damaged in places")  # a smeared face is no evidence
            continue
        # a raw stream carries no times: count on at the nominal rate
        last_s = frame.time - zero_s if frame.time is not None else last_s + gap_s
        notes.reached(last_s + gap_s)
        yield frame, max(last_s, 0.0)


def _sampled(
    timed: Iterator[tuple[Any, float]], start_s: float, end_s: float | None, step_s: float
) -> Iterator[tuple[Any, int, float]]:
    shown: Any = None  # the frame on screen when the span starts
    given_s: float | None = None
    index = 0
    for frame, time_s in timed:
        if time_s < start_s - TIME_SLACK_S:
            shown = frame
            continue
        if end_s is not None and time_s >= end_s:
            shown = shown if shown is not None or start_s > 0 else frame
            break
        if given_s is None or time_s - given_s >= step_s - TIME_SLACK_S:
            yield frame, index, time_s
            given_s = time_s
        index += 1
    if given_s is None and shown is not None:
        yield shown, 0, start_s


def _square_size_px(frame: Any) -> tuple[int, int]:
    ratio = float(getattr(frame, "sample_aspect_ratio", None) or 1)
    return max(1, round(frame.width * ratio)), frame.height


def _upright_rgb(frame: Any, max_side_px: int) -> NDArray[np.uint8]:
    width_px, height_px = _square_size_px(frame)
    scale = min(1.0, max_side_px / max(width_px, height_px))
    size = {"width": max(1, round(width_px * scale)), "height": max(1, round(height_px * scale))}
    stored: NDArray[np.uint8] = frame.reformat(format="rgb24", interpolation="AREA", **size).to_ndarray()
    return np.ascontiguousarray(np.rot90(stored, -frame_turn_deg(frame) // 90))

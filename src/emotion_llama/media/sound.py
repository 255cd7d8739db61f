"""The sound of a recording as mono float at 16 kHz, with its place in time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import av
import numpy as np
from numpy.typing import NDArray

from emotion_llama.media.container import (
    MICROSECONDS,
    check_file,
    decoded,
    header_duration_s,
    note_early_end,
    open_container,
    origin_s,
    sound_stream,
)
from emotion_llama.media.frames import check_span
from emotion_llama.media.notes import DecodeNotes
from emotion_llama.media.picture import open_picture
from emotion_llama.media.types import SAMPLE_RATE_HZ, MediaInfo, Waveform

GAP_S = 0.05  # a hole in the time stamps longer than this is filled with silence
PREROLL_S = 0.2  # compressed sound needs a little before the span to start cleanly


def read_waveform(
    source: MediaInfo | Path,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    max_s: float | None = None,
    notes: DecodeNotes | None = None,
) -> Waveform | None:
    """The sound of the span, at most `max_s` seconds of it; `None` when there is no sound stream or none in the span.

    Channels are averaged. Sound that starts later than the pictures is preceded by silence, so that sample 0 lies at
    `start_s` (or 0 s) of the recording; holes are silence too. What could be decoded of a damaged file is given and
    the damage told in `notes`. Raises `MediaError`.
    """
    if max_s is not None:
        end_s = min(end_s if end_s is not None else np.inf, (start_s or 0.0) + max_s)
    chunks = list(iter_waveform(source, 60.0, start_s=start_s, end_s=end_s, notes=notes))
    if not chunks:
        return None
    return Waveform(np.concatenate([chunk.samples for chunk in chunks]), chunks[0].start_s)


def iter_waveform(
    source: MediaInfo | Path,
    chunk_s: float,
    *,
    start_s: float | None = None,
    end_s: float | None = None,
    notes: DecodeNotes | None = None,
) -> Iterator[Waveform]:
    """The same sound as `read_waveform` in pieces of `chunk_s` seconds (the last may be shorter), decoded on demand."""
    path = source.path if isinstance(source, MediaInfo) else Path(source)
    notes = notes if notes is not None else DecodeNotes()
    check_file(path)
    if open_picture(path) is not None:
        return
    with open_container(path) as container:
        stream = sound_stream(container)
        if stream is None:
            return
        check_span(path, start_s, end_s, header_duration_s(container))
        first_s = start_s or 0.0
        limit = None if end_s is None else round((end_s - first_s) * SAMPLE_RATE_HZ)
        pieces = _placed(container, stream, first_s, end_s, notes, SAMPLE_RATE_HZ)
        mono = (piece.mean(axis=0, dtype=np.float32) for piece in pieces)
        yield from _chunked(_limited(mono, limit), round(chunk_s * SAMPLE_RATE_HZ), first_s)
        if end_s is None and not notes.damaged:
            note_early_end(container, stream, notes)


@dataclass(frozen=True)
class SoundForm:
    """How sound is stored: samples a second, and one channel or two (of more, two are mixed)."""

    rate_hz: int
    channels: Literal[1, 2]


def sound_form(path: Path) -> SoundForm | None:
    """How the sound of a recording is stored; `None` where there is none. Raises `MediaError`."""
    with open_container(path) as container:
        stream = sound_stream(container)
        if stream is None:
            return None
        return SoundForm(int(stream.rate), 1 if stream.channels == 1 else 2)


def iter_channels(
    path: Path, form: SoundForm, *, start_s: float | None = None, end_s: float | None = None
) -> Iterator[NDArray[np.float32]]:
    """The sound of the span in `form`, placed in time like `read_waveform`, in pieces (C, S) as they are decoded.

    The sound may end later than `end_s`, by one piece at most. Raises `MediaError`.
    """
    with open_container(path) as container:
        stream = sound_stream(container)
        if stream is not None:
            layout = "mono" if form.channels == 1 else "stereo"
            yield from _placed(container, stream, start_s or 0.0, end_s, DecodeNotes(), form.rate_hz, layout)


def _placed(
    container: Any,
    stream: Any,
    start_s: float,
    end_s: float | None,
    notes: DecodeNotes,
    rate_hz: int,
    layout: str | None = None,
) -> Iterator[NDArray[np.float32]]:
    """Consecutive samples (C, S) from `start_s` on: early ones cut off, holes and a late start filled with silence.

    `layout` `None`: the channels that are stored.
    """
    zero_s = origin_s(container)
    if start_s > 0:
        container.seek(int(max(0.0, start_s - PREROLL_S) * MICROSECONDS) + round(zero_s * MICROSECONDS), backward=True)
    resampler: Any = None
    at_s: float | None = None  # recording time up to which sound was decoded
    excess = 0  # samples still to be cut off at the front
    for frame in decoded(container, stream, notes):
        frame_s = frame.time - zero_s if frame.time is not None else (at_s if at_s is not None else 0.0)
        if end_s is not None and frame_s >= end_s:
            break
        if resampler is None or abs(frame_s - (at_s or 0.0)) > GAP_S:
            if resampler is not None:
                tail = _resampled(resampler, None, notes)
                yield tail[:, excess:]
                excess = max(0, excess - tail.shape[1])
            lead_s = frame_s - max(at_s if at_s is not None else start_s, start_s)
            channels = len(frame.layout.channels) if layout is None else len(av.AudioLayout(layout).channels)
            yield np.zeros((channels, max(0, round(lead_s * rate_hz))), np.float32)
            if at_s is None or frame_s > at_s:
                excess = max(0, round(-lead_s * rate_hz))
            resampler = av.AudioResampler(format="fltp", layout=layout or frame.layout, rate=rate_hz)
        at_s = frame_s + frame.samples / frame.sample_rate
        notes.reached(at_s)
        samples = _resampled(resampler, frame, notes)
        yield samples[:, excess:]
        excess = max(0, excess - samples.shape[1])
    if resampler is not None:
        yield _resampled(resampler, None, notes)[:, excess:]


def _resampled(resampler: Any, frame: Any | None, notes: DecodeNotes) -> NDArray[np.float32]:
    """One frame (`None`: what the resampler still holds) as samples (C, S)."""
    parts = [part.to_ndarray() for part in resampler.resample(frame)]
    samples: NDArray[np.float32] = np.concatenate(parts, axis=1) if parts else np.zeros((1, 0), np.float32)
    if not np.isfinite(samples).all():
        notes.damage("the sound holds values that are no numbers; they were taken as silence")
        samples = np.nan_to_num(samples, nan=0.0, posinf=0.0, neginf=0.0)
    return samples


def _limited(pieces: Iterator[NDArray[np.float32]], limit: int | None) -> Iterator[NDArray[np.float32]]:
    taken = 0
    for piece in pieces:
        if limit is not None and taken + len(piece) >= limit:
            yield piece[: limit - taken]
            return
        taken += len(piece)
        yield piece


def _chunked(pieces: Iterator[NDArray[np.float32]], size: int, start_s: float) -> Iterator[Waveform]:
    held: list[NDArray[np.float32]] = []
    count = given = 0
    for piece in pieces:
        while len(piece):
            head, piece = piece[: size - count], piece[size - count :]
            held.append(head)
            count += len(head)
            if count == size:
                yield Waveform(np.concatenate(held), start_s + given / SAMPLE_RATE_HZ)
                held, count, given = [], 0, given + size
    if count:
        yield Waveform(np.concatenate(held), start_s + given / SAMPLE_RATE_HZ)

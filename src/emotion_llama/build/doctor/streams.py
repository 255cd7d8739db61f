"""When the streams of a recording begin, end and pause, from its packets: nothing is decoded."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

from emotion_llama.media.container import open_container, origin_s, picture_stream, sound_stream

PICTURE_GAP_S = 0.5
SOUND_GAP_S = 0.1
GAP_INTERVALS = 4.0  # a slow picture rate is no gap: so many usual intervals are
UNEVEN = 0.2  # of the usual interval: containers round times to a millisecond


@dataclass(frozen=True)
class Stream:
    """One stream; times in seconds of the recording.

    `promised_s`: the end that the header tells, `None` where it does not. `gaps`: (where, how long) nothing is there.
    `backwards`: packets that are stored behind a later one. `uneven`: share of intervals between pictures that differ
    by more than a fifth from the usual one; 0 for sound.
    """

    start_s: float
    end_s: float
    promised_s: float | None
    gaps: tuple[tuple[float, float], ...]
    backwards: int
    uneven: float


@dataclass(frozen=True)
class Streams:
    """What a container holds. `format` is FFmpeg's name of it; a stream is `None` where there is none with times."""

    format: str
    has_picture: bool
    has_sound: bool
    picture: Stream | None
    sound: Stream | None
    breaks_off: str | None

    @property
    def end_s(self) -> float | None:
        """The later end of both streams."""
        return max((stream.end_s for stream in (self.picture, self.sound) if stream is not None), default=None)


def read_streams(path: Path) -> Streams:
    """Read the packets of the first picture and the first sound stream. Raises `MediaError`."""
    with open_container(path) as container:
        streams = [picture_stream(container), sound_stream(container)]
        times: dict[int, list[tuple[float, float, float]]] = {s.index: [] for s in streams if s is not None}
        breaks_off = _collect(container, [s for s in streams if s is not None], times)
        zero_s = origin_s(container)
        picture, sound = (s if s is None else _stream(s, times[s.index], zero_s) for s in streams)
        return Streams(
            format=container.format.name,
            has_picture=streams[0] is not None,
            has_sound=streams[1] is not None,
            picture=picture,
            sound=sound,
            breaks_off=breaks_off,
        )


def _collect(container: Any, streams: list[Any], times: dict[int, list[tuple[float, float, float]]]) -> str | None:
    """Fill (shown at, length, stored at) of every packet; gives why reading stopped early."""
    try:
        for packet in container.demux(streams):
            stamp = packet.pts if packet.pts is not None else packet.dts  # AVI tells the order of storing alone
            if stamp is None or packet.is_discard or not packet.size:
                continue
            unit = packet.time_base
            stored = packet.dts if packet.dts is not None else stamp
            times[packet.stream.index].append(
                (float(stamp * unit), float((packet.duration or 0) * unit), float(stored * unit))
            )
    except av.FFmpegError as error:
        return str(error.strerror)
    return None


def _stream(stream: Any, packets: list[tuple[float, float, float]], zero_s: float) -> Stream | None:
    if not packets:
        return None
    shown, lengths, stored = (np.array(column) for column in zip(*packets, strict=True))
    order = np.argsort(shown, kind="stable")
    starts, lengths = shown[order] - zero_s, lengths[order]
    steps = np.diff(starts)
    usual_s = float(np.median(steps)) if len(steps) else 0.0
    moving = stream.type == "video"
    lengths = np.where(lengths > 0, lengths, usual_s)  # some containers do not tell
    return Stream(
        start_s=max(float(starts[0]), 0.0),
        end_s=float((starts + lengths).max()),
        promised_s=_promised_s(stream, zero_s),
        gaps=_picture_gaps(starts, usual_s) if moving else _sound_gaps(starts, lengths),
        backwards=int((np.diff(stored) < 0).sum()),
        uneven=float((np.abs(steps - usual_s) > UNEVEN * usual_s).mean()) if moving and len(steps) else 0.0,
    )


def _picture_gaps(starts: NDArray[np.float64], usual_s: float) -> tuple[tuple[float, float], ...]:
    steps = np.diff(starts)
    wide = np.flatnonzero(steps > max(PICTURE_GAP_S, GAP_INTERVALS * usual_s))
    return tuple((float(starts[at]), float(steps[at])) for at in wide)


def _sound_gaps(starts: NDArray[np.float64], lengths: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    ends = (starts + lengths)[:-1]
    empty = starts[1:] - ends
    wide = np.flatnonzero(empty > SOUND_GAP_S)
    return tuple((float(ends[at]), float(empty[at])) for at in wide)


def _promised_s(stream: Any, zero_s: float) -> float | None:
    if not stream.duration:
        return None
    return float(((stream.start_time or 0) + stream.duration) * stream.time_base) - zero_s

"""What packets alone tell about a clip: streams that are apart, holes, uneven rates, an end that is missing."""

from __future__ import annotations

from collections.abc import Iterator

from emotion_llama.build.doctor.records import Finding, found
from emotion_llama.build.doctor.streams import Stream, Streams
from emotion_llama.clip import Clip

START_APART_S = 0.2  # sound 125 ms early or 45 ms late is seen (ITU-R BT.1359); encoders pad by up to 100 ms
END_APART_S = 0.5
END_APART_SHARE = 0.1
EARLY_END_S = 0.5
EARLY_END_SHARE = 0.02
MUCH_LOST = 0.1
UNEVEN_SHARE = 0.05
LATE_END_S = 0.5  # a span may end so much after the recording: subtitles are timed by hand


def check_timing(clip: Clip, streams: Streams) -> Iterator[Finding]:
    """Hold the streams of a clip's recording against each other, the header and the clip's span."""
    yield from _span(clip, streams)
    yield from _cut_off(clip, streams)
    if streams.picture is not None and streams.sound is not None:
        yield from _apart(clip, streams.picture, streams.sound)
    for name, stream in (("picture", streams.picture), ("sound", streams.sound)):
        if stream is not None:
            yield from _stamps(clip, name, stream)
    if streams.picture is not None and streams.picture.uneven > UNEVEN_SHARE:
        share = f"{streams.picture.uneven:.0%} of the pictures do not come at the usual interval"
        yield found(clip.clip, "variable-rate", "note", share)


def _span(clip: Clip, streams: Streams) -> Iterator[Finding]:
    end_s = streams.end_s
    if end_s is None:
        return
    if clip.start_s is not None and clip.start_s >= end_s:
        words = f"it starts at {clip.start_s:.2f} s, the recording ends at {end_s:.2f} s"
        yield found(clip.clip, "span", "error", words)
    elif clip.end_s is not None and clip.end_s > end_s + LATE_END_S:
        words = f"it ends at {clip.end_s:.2f} s, the recording at {end_s:.2f} s"
        yield found(clip.clip, "span", "warning", words)


def _cut_off(clip: Clip, streams: Streams) -> Iterator[Finding]:
    """The stream that lost most of what its header promises."""
    lost = []
    for name, stream in (("picture", streams.picture), ("sound", streams.sound)):
        if stream is None or stream.promised_s is None:
            continue
        missing_s = stream.promised_s - stream.end_s
        if missing_s > max(EARLY_END_S, EARLY_END_SHARE * stream.promised_s):
            lost.append((missing_s / stream.promised_s, name, stream))
    if lost:
        share, name, stream = max(lost, key=lambda one: one[0])
        words = f"the {name} ends at {stream.end_s:.2f} s; its header says {stream.promised_s:.2f} s"
        yield found(clip.clip, "cut-off", "error" if share > MUCH_LOST else "warning", words)
    elif streams.breaks_off is not None:
        yield found(clip.clip, "cut-off", "warning", f"reading stopped: {streams.breaks_off}")


def _apart(clip: Clip, picture: Stream, sound: Stream) -> Iterator[Finding]:
    start_s, end_s = clip.start_s or 0.0, clip.end_s
    late_s = max(sound.start_s, start_s) - max(picture.start_s, start_s)
    if abs(late_s) > START_APART_S:
        which, other = ("sound", "picture") if late_s > 0 else ("picture", "sound")
        yield found(clip.clip, "start-apart", "warning", f"the {which} starts {abs(late_s):.2f} s after the {other}")
    ends_s = [stream.end_s if end_s is None else min(stream.end_s, end_s) for stream in (picture, sound)]
    apart_s = ends_s[1] - ends_s[0]
    if abs(apart_s) > max(END_APART_S, END_APART_SHARE * (max(ends_s) - start_s)):
        which, other = ("sound", "picture") if apart_s > 0 else ("picture", "sound")
        yield found(
            clip.clip, "end-apart", "warning", f"the {which} goes on {abs(apart_s):.2f} s after the {other} ends"
        )


def _stamps(clip: Clip, name: str, stream: Stream) -> Iterator[Finding]:
    first_s, last_s = clip.start_s or 0.0, clip.end_s if clip.end_s is not None else float("inf")
    gaps = [(at, length) for at, length in stream.gaps if at < last_s and at + length > first_s]
    if gaps:
        at, length = max(gaps, key=lambda gap: gap[1])
        more = f", and {len(gaps) - 1} shorter" if len(gaps) > 1 else ""
        yield found(clip.clip, "gap", "warning", f"no {name} for {length:.2f} s from {at:.2f} s on{more}")
    if stream.backwards:
        words = f"the time stamps of the {name} go back {stream.backwards} times"
        yield found(clip.clip, "time-stamps", "warning", words)

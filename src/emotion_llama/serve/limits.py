"""What a recording and a request may be: looked at before anything is decoded or computed."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from emotion_llama.errors import RequestError
from emotion_llama.settings import AnalyzeSettings

MOST_LABELS, LONGEST_LABEL = 64, 40
MOST_ORDERS, MOST_NEW_TOKENS = 24, 512
MOST_FRAMES, MOST_FRAMES_S = 1200, 30.0
LONGEST_TRANSCRIPT = 20_000
LONGEST_NAME = 200

_NOT_IN_NAMES = re.compile(r"[\x00-\x1f\x7f/\\<>]|^\.\.?$")


@dataclass(frozen=True)
class Limits:
    """The largest recording that is decoded, and what decoding it may take (CPU seconds; bytes of address space)."""

    max_duration_s: float = 600.0
    max_pixels: int = 50_000_000
    max_streams: int = 16
    cpu_s: int = 120
    memory_bytes: int = 1_500_000_000


def check_header(path: Path, limits: Limits) -> None:
    """Look at what a file says of itself, without decoding. Raises `RequestError`, `MediaError`."""
    from emotion_llama.media.container import header_duration_s, open_container
    from emotion_llama.media.picture import open_picture

    picture = open_picture(path)
    if picture is not None:
        with picture:
            check_pixels(*picture.size, limits)
        return
    with open_container(path) as container:
        if len(container.streams) > limits.max_streams:
            raise _too_much(f"it has {len(container.streams)} streams; at most {limits.max_streams} are accepted")
        for stream in container.streams.video:
            if stream.codec_context is not None:
                check_pixels(stream.codec_context.width or 0, stream.codec_context.height or 0, limits)
        check_duration(header_duration_s(container), limits)


def check_pixels(width_px: int | None, height_px: int | None, limits: Limits) -> None:
    """Raises `RequestError` for a picture that is too large."""
    if (width_px or 0) * (height_px or 0) > limits.max_pixels:
        raise _too_much(f"its picture is {width_px}x{height_px}; at most {limits.max_pixels} pixels are accepted")


def check_duration(duration_s: float | None, limits: Limits) -> None:
    """Raises `RequestError` for a recording that is too long, or whose length is no length."""
    if duration_s is not None and not 0 <= duration_s <= limits.max_duration_s:
        raise _too_much(f"it is {duration_s:.0f} s long; at most {limits.max_duration_s:g} s are accepted; send a cut")


def check_settings(settings: AnalyzeSettings, transcript: str | None) -> None:
    """Keep one request from taking the service for itself. Raises `RequestError` naming the field."""
    found = {
        "labels": (len(settings.labels), MOST_LABELS),
        "label_orders": (settings.label_orders, MOST_ORDERS),
        "max_new_tokens": (settings.max_new_tokens, MOST_NEW_TOKENS),
        "max_frames": (settings.max_frames, MOST_FRAMES),
        "max_frames_s": (settings.max_frames_s, MOST_FRAMES_S),
        "transcript": (len(transcript or ""), LONGEST_TRANSCRIPT),
        "seed": (settings.seed, 2**32 - 1),
        "label": (max(map(len, settings.labels), default=1), LONGEST_LABEL),
    }
    for name, (value, most) in found.items():
        least = 0 if name in ("labels", "transcript", "seed") else 1
        if not least <= value <= most:
            raise RequestError(f"{name}: expected {least} to {most}, found {value}", status=422, kind="wrong_request")
    if any(not label.strip() or not label.isprintable() for label in settings.labels):
        raise RequestError("labels: expected printable words", status=422, kind="wrong_request")


def clean_name(name: str | None) -> str:
    """Give the name that a recording is called by in its answer. It never becomes a path, and no markup.

    Raises `RequestError` for one that is a path, or that holds control characters or angle brackets.
    """
    if not name:
        return "recording"
    if _NOT_IN_NAMES.search(name) or len(name) > LONGEST_NAME or not name.isprintable():
        raise RequestError(
            f"file name: expected a plain name of at most {LONGEST_NAME} printable characters, without / \\ < >",
            status=422,
            kind="wrong_name",
        )
    return name


def _too_much(text: str) -> RequestError:
    return RequestError(f"the recording is not accepted: {text}", status=422, kind="too_large")

"""probe: what the recording holds, and whether it can be used at all."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from emotion_llama.build.entry import Entry, Media, Source
from emotion_llama.build.look import Look
from emotion_llama.build.step import Found, Reject, Step, StepSettings
from emotion_llama.errors import MediaError

Need = Literal["picture", "sound"]


class ProbeSettings(StepSettings):
    """`needs`: streams without which a clip is rejected; lengths in seconds; `min_side_px`: the picture's short side.

    `licence` and `consent` are those of all clips, where the manifest has no columns of these names.
    """

    needs: tuple[Need, ...] = ("picture", "sound")
    min_s: float = Field(default=0.5, ge=0.0)
    max_s: float = Field(default=60.0, gt=0.0)
    min_side_px: int = 64
    licence: str | None = None
    consent: str | None = None


def probe_clip(entry: Entry, settings: ProbeSettings, look: Look) -> Found | Reject:
    """Look into the file. Raises `FileNotFoundError` for one that is not there: that is no fault of the clip."""
    if not look.path.exists():
        raise FileNotFoundError(f"{look.path}: no such file; is its disk mounted? Build again when it is")
    try:
        info = look.media
        duration_s = _duration_s(entry, info.duration_s)
    except MediaError as error:
        return Reject(reason=f"cannot be read: {error}")
    media = Media(
        duration_s=round(duration_s, 3),
        width_px=info.width_px,
        height_px=info.height_px,
        frame_rate_hz=None if info.fps is None else round(info.fps, 3),
        frames=round(duration_s * info.fps) if info.has_picture and info.fps else int(info.has_picture),
        has_sound=info.has_sound,
    )
    groups = entry.clip.groups
    source = Source(
        sha256=info.sha256,
        licence=str(groups["licence"]) if "licence" in groups else settings.licence,
        consent=str(groups["consent"]) if "consent" in groups else settings.consent,
    )
    return _amiss(media, info.has_picture, settings) or Found(words=_words(media), media=media, source=source)


def _duration_s(entry: Entry, length_s: float | None) -> float:
    end_s = entry.clip.end_s if length_s is None else min(entry.clip.end_s or length_s, length_s)
    if end_s is None:
        return 0.0  # a still picture
    span_s = end_s - (entry.clip.start_s or 0.0)
    if span_s <= 0:
        raise MediaError(f"the span starts at {entry.clip.start_s} s, after the end of the recording at {length_s} s")
    return span_s


def _amiss(media: Media, has_picture: bool, settings: ProbeSettings) -> Reject | None:
    if "picture" in settings.needs and not has_picture:
        return Reject(reason="it has no picture")
    if "sound" in settings.needs and not media.has_sound:
        return Reject(reason="it has no sound")
    still = has_picture and not media.has_sound and media.duration_s == 0
    if not still and not settings.min_s <= media.duration_s <= settings.max_s:
        return Reject(reason=f"it is {media.duration_s:g} s long; wanted {settings.min_s:g} to {settings.max_s:g} s")
    side = min(media.width_px or 0, media.height_px or 0)
    if has_picture and side < settings.min_side_px:
        return Reject(reason=f"its picture is {side} px on the short side; wanted at least {settings.min_side_px} px")
    return None


def _words(media: Media) -> str:
    picture = f"{media.width_px}×{media.height_px} px, {media.frames} frames" if media.width_px else "no picture"
    return f"{media.duration_s:g} s, {picture}, {'with' if media.has_sound else 'without'} sound"


PROBE = Step("probe", "1", ProbeSettings, probe_clip)

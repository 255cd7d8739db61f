"""Damaged copies of recordings, as real files that any system can read.

A copy holds the clip's span alone, from time 0. Pictures are written as H.264 (CRF 12, full size and frame times of
the original), sound as 16-bit PCM, mono at 16 kHz, which is what every speech encoder here hears; both in Matroska.
Sound alone becomes a WAV file, a still picture a PNG. So the wanted damage is the only one that counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from emotion_llama.clip import Clip
from emotion_llama.errors import MediaError, NoStreamError, OutputError, UsageError
from emotion_llama.evaluate.robustness.corrupt.mux import write_sound, write_still, write_video
from emotion_llama.evaluate.robustness.corrupt.noise import noise
from emotion_llama.evaluate.robustness.corrupt.picture import (
    FindFace,
    blur,
    drop_frames,
    dropped_frames,
    low_light,
    occlude,
)
from emotion_llama.evaluate.robustness.corrupt.seed import clip_seed
from emotion_llama.evaluate.robustness.corrupt.sound import add_noise, mp3_round_trip, telephone
from emotion_llama.media import Frame, MediaInfo, iter_frames, probe, read_waveform

FLOATS = NDArray[np.float32]

SOUND_DAMAGE = ("snr-white", "snr-babble", "snr-music", "mp3", "telephone")
PICTURE_DAMAGE = ("blur", "low-light", "frame-drop", "occlusion-lower", "occlusion-upper")
COPY = "copy"
"""No damage: what remains is what the writing itself does."""

_EVERY = 10**9  # frames a second, frames, px: nothing is left out or reduced


@dataclass(frozen=True)
class Corruption:
    """One kind of damage at one strength: dB, kbit/s, px, stops or a share, as the functions of this folder take it."""

    name: str
    strength: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.name not in (*SOUND_DAMAGE, *PICTURE_DAMAGE, COPY):
            known = ", ".join((*SOUND_DAMAGE, *PICTURE_DAMAGE, COPY))
            raise UsageError(f"unknown damage {self.name!r}; choose from {known}")


def corrupt_recording(
    clip: Clip,
    corruption: Corruption,
    out_folder: Path,
    *,
    stem: str | None = None,
    find_face: FindFace | None = None,
    notes: list[str] | None = None,
) -> Clip:
    """Write a damaged copy of the clip's span into `out_folder` and give the clip that points to it.

    `clip.clip` stays; `path` is the new file (named `stem`, else a hash of the identity), the span is the whole file,
    times of observations are moved with it. `find_face` is needed by the occlusions alone; `notes` gets what should be
    said about this copy. Raises `NoStreamError` when the stream to damage is not there, `MediaError` for a recording
    that cannot be read or whose speech is silent, `OutputError` when the copy cannot be written.
    """
    if clip.path is None:
        raise NoStreamError(f"{clip.clip}: expected a recording to damage, found text alone")
    info = probe(clip.path)
    if corruption.name in PICTURE_DAMAGE and not info.has_picture:
        raise NoStreamError(f"{clip.path}: {corruption.name} needs pictures, found sound alone")
    if corruption.name in SOUND_DAMAGE and not info.has_sound:
        raise NoStreamError(f"{clip.path}: {corruption.name} needs sound, found pictures alone")
    if corruption.name == "frame-drop" and info.kind == "image":
        raise NoStreamError(f"{clip.path}: frame-drop needs moving pictures, found one still picture")
    name = stem or f"{clip_seed(0, clip.clip, 'name'):016x}"
    suffix = {"video": ".mkv", "audio": ".wav", "image": ".png"}[info.kind]
    samples = _damaged_sound(clip, corruption, info.has_picture) if info.has_sound else None
    frames = _damaged_frames(clip, info, corruption, find_face, notes) if info.has_picture else None
    path = out_folder / f"{name}{suffix}"
    part = path.with_name(f"{name}.part{suffix}")
    try:
        out_folder.mkdir(parents=True, exist_ok=True)
        _write(part, frames, samples, info)
        part.replace(path)
    except (OSError, av.FFmpegError) as error:
        raise OutputError(
            f"{path}: cannot write the damaged copy ({error}); choose a folder you may write to"
        ) from error
    finally:
        if out_folder.is_dir():
            part.unlink(missing_ok=True)  # what a failed copy leaves behind
    return _moved(clip, path)


def _moved(clip: Clip, path: Path) -> Clip:
    start_s = clip.start_s or 0.0
    seen = tuple(
        note.model_copy(
            update={
                "start_s": None if note.start_s is None else note.start_s - start_s,
                "end_s": None if note.end_s is None else note.end_s - start_s,
            }
        )
        for note in clip.observations
    )
    return clip.model_copy(update={"path": path, "start_s": None, "end_s": None, "observations": seen})


def _damaged_sound(clip: Clip, corruption: Corruption, has_picture: bool) -> FLOATS | None:
    assert clip.path is not None
    waveform = read_waveform(clip.path, start_s=clip.start_s, end_s=clip.end_s)
    if waveform is None:
        if corruption.name in SOUND_DAMAGE or not has_picture:
            raise NoStreamError(f"{clip.path}: {corruption.name} needs sound, found none in the clip's span")
        return None
    try:
        return change_sound(waveform.samples, corruption, clip_seed(corruption.seed, clip.clip, corruption.name))
    except MediaError as error:
        raise MediaError(f"{clip.path}: {error}") from error


def change_sound(samples: FLOATS, corruption: Corruption, seed: int) -> FLOATS:
    """Damage samples at 16 kHz; damage to pictures leaves them alone. `seed` is the clip's."""
    if corruption.name == "mp3":
        return mp3_round_trip(samples, round(corruption.strength))
    if corruption.name == "telephone":
        return telephone(samples)
    if corruption.name == "snr-white":
        return add_noise(samples, noise("white", len(samples), corruption.seed, seed), corruption.strength)
    if corruption.name == "snr-babble":
        return add_noise(samples, noise("babble", len(samples), corruption.seed, seed), corruption.strength)
    if corruption.name == "snr-music":
        return add_noise(samples, noise("music", len(samples), corruption.seed, seed), corruption.strength)
    return samples


def _every_frame(clip: Clip, info: MediaInfo) -> Iterator[Frame]:
    return iter_frames(
        info, start_s=clip.start_s, end_s=clip.end_s, max_frames_s=_EVERY, max_frames=_EVERY, max_side_px=_EVERY
    )


def _damaged_frames(
    clip: Clip, info: MediaInfo, corruption: Corruption, find_face: FindFace | None, notes: list[str] | None
) -> Iterator[Frame]:
    """The span's frames, damaged, with times from its start on."""
    start_s = clip.start_s or 0.0
    times_s: list[float] = []

    def pictures() -> Iterator[NDArray[np.uint8]]:
        for frame in _every_frame(clip, info):
            times_s.append(max(frame.time_s - start_s, 0.0))
            yield frame.rgb

    seed = clip_seed(corruption.seed, clip.clip, corruption.name)
    strength = corruption.strength
    changed: Iterable[NDArray[np.uint8]] = pictures()
    if corruption.name == "blur":
        changed = blur(changed, strength)
    elif corruption.name == "low-light":
        changed = low_light(changed, strength, seed)
    elif corruption.name == "frame-drop":
        count = sum(1 for _ in _every_frame(clip, info))
        changed = drop_frames(changed, dropped_frames(count, strength, seed))
    elif corruption.name == "occlusion-lower":
        changed = occlude(changed, strength, "lower", find_face, notes)
    elif corruption.name == "occlusion-upper":
        changed = occlude(changed, strength, "upper", find_face, notes)
    for index, rgb in enumerate(changed):
        yield Frame(rgb, index, times_s[index])
    if not times_s:
        raise MediaError(
            f"{clip.path}: no picture could be decoded in the clip's span; widen it, or leave the clip out"
        )


def _write(path: Path, frames: Iterator[Frame] | None, samples: FLOATS | None, info: MediaInfo) -> None:
    if frames is None:
        assert samples is not None
        write_sound(path, samples)
    elif info.kind == "image":
        write_still(path, next(frames).rgb)
    else:
        write_video(path, frames, info.fps, samples)

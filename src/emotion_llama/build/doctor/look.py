"""One clip looked at: what is wrong with its recording, and what makes it recognisable. Runs in worker processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from emotion_llama.build.doctor.picture import PictureWatch
from emotion_llama.build.doctor.records import Finding, found
from emotion_llama.build.doctor.sound import check_sound, check_words
from emotion_llama.build.doctor.streams import Streams, read_streams
from emotion_llama.build.doctor.suffix import says_video, wrong_ending
from emotion_llama.build.doctor.timing import check_timing
from emotion_llama.clip import Clip
from emotion_llama.errors import EmotionLlamaError
from emotion_llama.media import DecodeNotes, iter_frames, read_waveform
from emotion_llama.media.container import check_file
from emotion_llama.media.fingerprints import PicturePrint, SoundPrint, picture_print, sound_print
from emotion_llama.media.picture import open_picture
from emotion_llama.media.probe import sha256_of

SOUND_MAX_S = 120.0
PICTURE_MAX_S = 60.0
PICTURE_RATE_HZ = 30.0
PICTURE_MAX_PX = 64
KEPT_PICTURES = 200  # ten a second: what is compared for duplicates, 51 kB at most
KEPT_FILES = 4


@dataclass(frozen=True)
class SmallPictures:
    """A `PicturePrint` in a quarter of the memory: grey pictures (T, 16, 16) as bytes, ten a second."""

    pictures: NDArray[np.uint8]
    hash: np.uint64

    def as_print(self) -> PicturePrint:
        """Give what `picture_correlation` compares."""
        return PicturePrint(self.pictures.astype(np.float32), self.hash)


@dataclass(frozen=True)
class Look:
    """What one clip showed. `sound`, `picture`: `None` = no such stream, or too short, silent or plain to compare."""

    findings: tuple[Finding, ...] = ()
    readable: bool = False
    sha256: str | None = None
    sound: SoundPrint | None = None
    picture: SmallPictures | None = None


@dataclass(frozen=True)
class _File:
    sha256: str
    streams: Streams | None  # `None` = a still picture


def make_looker() -> Callable[[Clip], Look]:
    """Give the function that looks at one clip; it remembers the last files, for lists that name spans of one."""
    files: dict[Path, _File] = {}

    def look(clip: Clip) -> Look:
        return look_at(clip, files)

    return look


def look_at(clip: Clip, files: dict[Path, _File]) -> Look:
    """Examine one clip; whatever its recording does to the decoders becomes a finding."""
    if clip.path is None:
        return Look()
    try:
        if not clip.path.exists():
            return Look((found(clip.clip, "missing", "error", f"{clip.path}: no such file"),))
        return _look(clip, clip.path, files)
    except (EmotionLlamaError, OSError) as error:
        return Look((found(clip.clip, "broken", "error", str(error)),))
    except Exception as error:  # one strange file must not end a run over fifty thousand
        words = f"{clip.path}: {type(error).__name__}: {error}"
        return Look((found(clip.clip, "failed", "error", words),))


def _look(clip: Clip, path: Path, files: dict[Path, _File]) -> Look:
    file = _file(path, files)
    ending = wrong_ending(path, file.streams.format if file.streams else None)
    findings = [found(clip.clip, "suffix", "note", ending)] if ending else []
    if file.streams is None:
        watch = PictureWatch()
        picture = picture_print(watch.watch(iter_frames(path, max_side_px=PICTURE_MAX_PX)))
        findings += watch.findings(clip.clip)
        return Look(tuple(findings), True, file.sha256, picture=_small(picture))
    findings += [*_streams_there(clip, path, file.streams), *check_timing(clip, file.streams)]
    if any(finding.severity == "error" and finding.kind in ("span", "broken") for finding in findings):
        return Look(tuple(findings), False, file.sha256)
    look = _decode(clip, path, file.streams, cut_off=any(finding.kind == "cut-off" for finding in findings))
    return replace(look, findings=(*findings, *look.findings), sha256=file.sha256)


def _file(path: Path, files: dict[Path, _File]) -> _File:
    if path not in files:
        check_file(path)
        picture = open_picture(path)
        if picture is not None:
            picture.close()
        file = _File(sha256_of(path), read_streams(path) if picture is None else None)
        while len(files) >= KEPT_FILES:
            del files[next(iter(files))]
        files[path] = file
    return files[path]


def _streams_there(clip: Clip, path: Path, streams: Streams) -> list[Finding]:
    if not streams.has_picture and not streams.has_sound:
        return [found(clip.clip, "broken", "error", f"{path}: a container without picture or sound")]
    if not streams.has_sound:
        return [found(clip.clip, "no-sound", "warning", "there is no sound stream")]
    if not streams.has_picture and says_video(path):
        return [found(clip.clip, "no-picture", "warning", "there is no picture stream")]
    return []


def _decode(clip: Clip, path: Path, streams: Streams, *, cut_off: bool) -> Look:
    looks = [_see(clip, path, streams)] if streams.has_picture else []
    looks += [_hear(clip, path)] if streams.has_sound else []
    findings = [finding for look in looks for finding in look.findings if finding.kind != "damaged" or not cut_off]
    return Look(
        findings=(*findings, *check_words(clip, _length_s(clip, streams))),
        readable=all(look.readable for look in looks),
        sound=looks[-1].sound,
        picture=looks[0].picture,
    )


def _see(clip: Clip, path: Path, streams: Streams) -> Look:
    notes, watch = DecodeNotes(), PictureWatch()
    picture = _small(_watched(clip, path, streams, watch, notes))
    if not watch.frames:
        return Look((found(clip.clip, "broken", "error", f"{path}: no picture could be decoded"),))
    return Look((*watch.findings(clip.clip), *_damage(clip, "picture", notes)), readable=True, picture=picture)


def _hear(clip: Clip, path: Path) -> Look:
    notes = DecodeNotes()
    waveform = read_waveform(path, start_s=clip.start_s, end_s=clip.end_s, max_s=SOUND_MAX_S, notes=notes)
    damage = _damage(clip, "sound", notes)
    if waveform is None:
        nothing = found(clip.clip, "no-sound", "warning", "the sound stream holds nothing here")
        return Look((nothing, *damage), readable=True)
    return Look((*check_sound(clip, waveform), *damage), readable=True, sound=sound_print(waveform))


def _damage(clip: Clip, name: str, notes: DecodeNotes) -> tuple[Finding, ...]:
    return (found(clip.clip, "damaged", "warning", f"{name}: {notes.reason}"),) if notes.damaged else ()


def _watched(clip: Clip, path: Path, streams: Streams, watch: PictureWatch, notes: DecodeNotes) -> PicturePrint | None:
    limit_s = (clip.start_s or 0.0) + PICTURE_MAX_S
    end_s = clip.end_s if clip.end_s is not None else streams.end_s
    # without an end the decoder compares where it stopped with what the header says
    frames = iter_frames(
        path,
        start_s=clip.start_s,
        end_s=limit_s if end_s is not None and end_s > limit_s else clip.end_s,
        max_frames_s=PICTURE_RATE_HZ,
        max_frames=round(PICTURE_MAX_S * PICTURE_RATE_HZ),
        max_side_px=PICTURE_MAX_PX,
        notes=notes,
    )
    return picture_print(watch.watch(frames))


def _small(picture: PicturePrint | None) -> SmallPictures | None:
    if picture is None:
        return None
    return SmallPictures(np.rint(picture.pictures[:KEPT_PICTURES]).astype(np.uint8), picture.hash)


def _length_s(clip: Clip, streams: Streams) -> float | None:
    if streams.end_s is None:
        return None
    return min(streams.end_s, clip.end_s if clip.end_s is not None else np.inf) - (clip.start_s or 0.0)

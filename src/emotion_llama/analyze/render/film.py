"""A clip's film: its pictures one by one, with faces hidden or measures drawn, the sound beside them.

Nothing but a moment of the recording is in memory at a time. Sound is always encoded anew: sound that is copied from
inside a recording starts at a packet, not at the span, and came tens of milliseconds late.
"""

from __future__ import annotations

import errno
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

import av
import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from emotion_llama.analyze.render import card
from emotion_llama.analyze.render.blur import HOLD_S, Boxes, FaceFinder, found_boxes, hide, stacked, with_boxes
from emotion_llama.analyze.render.course import FaceCourse
from emotion_llama.analyze.render.draw import Painter
from emotion_llama.analyze.render.encode import FilmWriter, SoundFeed, film_sound
from emotion_llama.analyze.render.mark import Mark, film_mark
from emotion_llama.errors import MediaError, OutputError, UsageError
from emotion_llama.media.frames import iter_frames
from emotion_llama.media.probe import probe
from emotion_llama.media.sound import iter_channels, sound_form
from emotion_llama.media.types import Frame, MediaInfo
from emotion_llama.output import new_files

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import Result
    from emotion_llama.analyze.report import ReportMaterial

FILM = ".mp4"
STILLS = (".png", ".jpg", ".jpeg")
USUAL_RATE, MOST_RATE = Fraction(25), 240
EVERY_FRAME = 1_000_000
"""More frames a second than a recording has."""

NO_LIMIT = 10**15
"""More frames than a recording has."""

SHOWN_S = 0.2
"""Boxes are drawn this long before and after a face was measured; hidden faces are held longer (`blur.HOLD_S`)."""


@dataclass(frozen=True)
class FilmStyle:
    """How films are made: with drawings or as they are, faces hidden where there is a `finder` of them."""

    drawing: bool = True
    finder: FaceFinder | None = None

    @property
    def mark(self) -> Mark:
        """What the finished file says about itself."""
        return Mark(faces="shown" if self.finder is None else "hidden", drawing=self.drawing)


def write_film(result: Result, path: Path, style: FilmStyle) -> None:
    """Write a clip's film (.mp4), or of a still picture its picture (.png, .jpg).

    Raises `UsageError` for an ending that does not fit, for text alone and for an output that is the recording itself,
    `MediaError` where the recording cannot be read again, `OutputError` naming the path; what was not finished leaves
    nothing behind, and a film with faces shown never survives beside a failed one with faces hidden.
    """
    media_path = result.material.media_path
    if media_path is None:
        raise UsageError(f"--render: {result.analysis.clip} is text alone: there is no recording to draw into")
    media = probe(media_path)
    check_target(path, media)
    if style.finder is not None:
        forget_shown(path)
    with told(path), new_files([path], overwrite=True) as folder:
        write = _write_still if media.kind == "image" else _write_recording
        write(result, media, folder / path.name, style)


def check_target(path: Path, media: MediaInfo) -> None:
    """Raise `UsageError` where a film or picture cannot be written under this name."""
    fitting = STILLS if media.kind == "image" else (FILM,)
    if path.suffix.lower() not in fitting:
        kind = "a still picture" if media.kind == "image" else "a recording"
        raise UsageError(
            f"--render {path}: {media.path.name} is {kind}; expected a name that ends in {' or '.join(fitting)}"
        )
    if path.is_dir():
        raise UsageError(f"--render {path}: a folder has that name; give another one")
    if path.exists() and path.samefile(media.path):
        raise UsageError(f"--render {path}: that is the recording itself; give another name")


def forget_shown(path: Path) -> None:
    """Remove an earlier film of this name that shows faces. Raises `OutputError` where it cannot be removed."""
    mark = film_mark(path)
    if path.is_file() and (mark is None or mark.faces != "hidden"):
        try:
            path.unlink()
        except OSError as error:
            raise OutputError(f"{path}: shows faces and cannot be replaced ({error.strerror}); remove it") from error


@contextmanager
def told(path: Path) -> Iterator[None]:
    """Turn what the encoder raises into an `OutputError` naming the path; faults of the recording are `MediaError`s."""
    try:
        yield
    except av.FFmpegError as error:
        full = getattr(error, "errno", None) == errno.ENOSPC
        why = "the disk is full; make room or choose another" if full else f"cannot be written: {error}"
        raise OutputError(f"{path}: {why}; nothing was left behind") from error


def _write_still(result: Result, media: MediaInfo, path: Path, style: FilmStyle) -> None:
    rgb = next(iter_frames(media)).rgb.copy()  # Pillow's own pixels cannot be drawn on
    course = FaceCourse(result.material.faces, result.material.face_boxes)
    if style.finder is not None:
        hide(rgb, np.concatenate([found_boxes(rgb, style.finder, fine=True), _boxes(course, 0.0)]))
    if style.drawing:
        _painter(result, rgb, course).paint(rgb, 0.0, course.at(0.0, SHOWN_S))
    if path.suffix.lower() == ".png":
        note = PngInfo()
        note.add_text("comment", style.mark.text)
        Image.fromarray(rgb).save(path, pnginfo=note)
    else:
        Image.fromarray(rgb).save(path, quality=92, comment=style.mark.text)


def _write_recording(result: Result, media: MediaInfo, path: Path, style: FilmStyle) -> None:
    start_s, end_s = film_span_s(result.material)
    course = FaceCourse(result.material.faces, result.material.face_boxes)
    frames = iter(_pictures(result, media, style, course))
    first = next(frames, None)
    if first is None:
        raise MediaError(f"{media.path}: no picture could be decoded; export or copy it again")
    painter = _painter(result, first.rgb, course) if style.drawing else None
    stored = sound_form(media.path) if media.has_sound else None
    form = None if stored is None else film_sound(stored)
    # only a hint for the encoder: some files claim one or 90000 pictures a second
    rate = Fraction(media.fps).limit_denominator(1001) if media.fps and 1 <= media.fps <= MOST_RATE else USUAL_RATE
    with FilmWriter(path, first.rgb.shape[1::-1], rate, form, style.mark.text) as film:
        feed = None
        if form is not None:
            pieces = iter_channels(media.path, form, start_s=start_s, end_s=end_s)
            feed = SoundFeed(pieces, form.rate_hz, None if end_s is None else end_s - start_s)
        for frame in _from_start(first, frames, start_s):
            time_s = frame.time_s - start_s
            if feed is not None:
                feed.until(time_s, film)
            if painter is not None:
                painter.paint(frame.rgb, frame.time_s, course.at(frame.time_s, SHOWN_S))
            film.picture(frame.rgb, time_s)
        if feed is not None:
            feed.until(None, film)


def film_span_s(material: ReportMaterial) -> tuple[float, float | None]:
    """Where the film begins and ends, seconds of the recording; `None`: at the recording's end.

    `end_s` of the material may be that of a part that was looked at more closely than the whole.
    """
    if material.end_s is None:
        return material.start_s, None
    return material.start_s, max(material.end_s, material.start_s + (material.duration_s or 0.0))


def _pictures(result: Result, media: MediaInfo, style: FilmStyle, course: FaceCourse) -> Iterable[Frame]:
    """Every frame, faces hidden where asked; of sound alone, drawings of its waveform."""
    start_s, end_s = film_span_s(result.material)
    if not media.has_picture:
        length_s = result.analysis.duration_s or 0.0
        return card.cards(result.material.waveform, start_s, length_s)
    frames = iter_frames(media, start_s=start_s, end_s=end_s, max_frames_s=EVERY_FRAME, max_frames=NO_LIMIT)
    return frames if style.finder is None else _hidden(frames, style.finder, course)


def _hidden(frames: Iterable[Frame], finder: FaceFinder, course: FaceCourse) -> Iterator[Frame]:
    for frame, boxes in with_boxes(frames, finder, lambda time_s: _boxes(course, time_s)):
        hide(frame.rgb, boxes)
        yield frame


def _boxes(course: FaceCourse, time_s: float) -> Boxes:
    return stacked(face.box_px for face in course.at(time_s, HOLD_S))


def _painter(result: Result, rgb: NDArray[np.uint8], course: FaceCourse) -> Painter:
    return Painter(result, (rgb.shape[1], rgb.shape[0]), course)


def _from_start(first: Frame, frames: Iterator[Frame], start_s: float) -> Iterator[Frame]:
    """The frames, the first one also at the very start: no player then begins with an empty picture."""
    if first.time_s - start_s > 0.001:
        yield Frame(first.rgb.copy(), first.index, start_s)
    yield first
    yield from frames

"""A recording → its windows, its timeline, and the analysis of the whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Protocol

from emotion_llama.analyze.baseline import Beside
from emotion_llama.analyze.calibration import Calibration
from emotion_llama.analyze.given_units import given_units
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.perceive import Percept, Stopwatch
from emotion_llama.analyze.profile import PersonProfile
from emotion_llama.analyze.results import Result
from emotion_llama.analyze.timeline.ear import CHUNK_S, Heard, hear
from emotion_llama.analyze.timeline.eye import Eye
from emotion_llama.analyze.timeline.focus import Focus
from emotion_llama.analyze.timeline.glimpse import Faces
from emotion_llama.analyze.timeline.smoothing import Lanes, Scored, Smoother
from emotion_llama.analyze.timeline.stretches import stretches_of, transitions_of
from emotion_llama.analyze.timeline.watch import Scorer, Watcher
from emotion_llama.analyze.timeline.whole import Seen, whole_result
from emotion_llama.clip import Clip
from emotion_llama.errors import MediaError, UsageError
from emotion_llama.media import DecodeNotes, iter_frames, iter_waveform, probe
from emotion_llama.media.types import MediaInfo
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import Stretch, Timeline, Window

WINDOW_ORDERS = 2
"""Label orders a window: one and its reverse. The recording's own answer comes from many windows."""

PICTURE_PX = 224
OWN_PICTURE_PX = 448
"""Shorter side of the pictures kept for the global encoder: ours reads 224 px, an own one may read more."""

NO_LIMIT = 10**9

OnWindow = Callable[[Window, float | None], None]
"""Called with each finished window, in time order, and the end of the recording in seconds, if its header tells."""


class Model(Protocol):
    """What a timeline needs of a loaded preset."""

    @property
    def parts(self) -> Parts:
        """Encoders and perception."""

    @property
    def calibration(self) -> Calibration:
        """How sure an answer has to be."""

    def examine(self, clip: Clip, settings: AnalyzeSettings, *, focus: Focus | None = None) -> Result:
        """Analyse one span closely."""

    def probabilities(
        self, percept: Percept, settings: AnalyzeSettings, profile: PersonProfile | None = None
    ) -> dict[str, float]:
        """Probabilities of the asked labels."""

    def beside(self, clip: Clip, settings: AnalyzeSettings, watch: Stopwatch) -> Beside:
        """What is the person's own."""


def examine_over_time(model: Model, clip: Clip, settings: AnalyzeSettings, on_window: OnWindow | None = None) -> Result:
    """Analyse a recording of any length in one pass over it, with the memory of about a minute of it.

    A still picture and words alone have no course of time: they are analysed as ever, and a warning says so. Raises
    `MediaError` for a recording that cannot be read, `UsageError` for the number of a person whom it does not show.
    """
    plain = settings.model_copy(update={"timeline": False})
    media = probe(clip.path) if clip.path is not None else None
    if media is None or media.kind == "image":
        return _without_time(model.examine(clip, plain), "a still picture has" if media else "words alone have")
    watch = Stopwatch()
    notes = (DecodeNotes(), DecodeNotes())
    with watch.time("total"):
        watcher = open_watcher(model, clip, media, plain, notes)
        beside = model.beside(clip, settings, watch)
        scorer = window_scorer(model, plain, beside.profile)
        scored: list[Scored] = []
        windows: list[Window] = []
        with watch.time("windows"):
            for window in _finished(watcher.windows(scorer), scored, Lanes() if plain.person == "all" else Smoother()):
                windows.append(window)
                if on_window is not None:
                    on_window(window, _end_s(clip, media))
        if not windows and isinstance(plain.person, int) and watcher.known_s > (clip.start_s or 0.0):
            raise _nobody(clip, plain.person, watcher.numbers)
        if not windows:
            raise MediaError(f"{clip.clip}: neither pictures nor sound could be decoded; export or copy it again")
        seen = Seen(clip, media, notes, _timeline(windows, watcher, settings), tuple(scored), watcher, beside)
        result = whole_result(model, seen, plain)
    return result.timed(watch.seconds)


def window_scorer(model: Model, settings: AnalyzeSettings, profile: PersonProfile | None) -> Scorer:
    """What scores windows: emotion alone, under `WINDOW_ORDERS` label orders at most."""
    orders = min(settings.label_orders, WINDOW_ORDERS)
    asked = settings.model_copy(update={"tasks": ("emotion",), "attribution": False, "label_orders": orders})
    return Scorer(lambda percept, _: model.probabilities(percept, asked, profile), model.calibration.least_confidence)


def _nobody(clip: Clip, person: int, there: Sequence[int]) -> UsageError:
    known = ", ".join(map(str, there)) or "none: no face is seen"
    return UsageError(f"{clip.clip}: nobody there has the number {person}; found {known}")


def _timeline(windows: Sequence[Window], watcher: Watcher, settings: AnalyzeSettings) -> Timeline:
    ordered = sorted(windows, key=lambda one: (one.start_s, -1 if one.person is None else one.person))
    stretches = _stretches(ordered) if settings.person == "all" else stretches_of(ordered)
    return Timeline(
        window_s=settings.window_s,
        step_s=settings.step_s,
        windows=tuple(ordered),
        stretches=stretches,
        expressions=watcher.record.expressions(),
        transitions=transitions_of(stretches),
        cuts_s=tuple(watcher.cuts_s),
    )


def _stretches(windows: Sequence[Window]) -> tuple[Stretch, ...]:
    """The stretches of people who are there at one time, in time order."""
    people = dict.fromkeys(window.person for window in windows)
    found = (stretches_of([one for one in windows if one.person == person]) for person in people)
    return tuple(sorted(chain.from_iterable(found), key=lambda one: one.start_s))


def _finished(windows: Iterator[Scored], scored: list[Scored], smoother: Smoother | Lanes) -> Iterator[Window]:
    """Give smoothed windows as soon as they are final; all are gathered in `scored` as they were on their own."""
    for one in windows:
        scored.append(one)
        yield from smoother.add(one)
    yield from smoother.finish()


def _end_s(clip: Clip, media: MediaInfo) -> float | None:
    ends_s = [end_s for end_s in (clip.end_s, media.duration_s) if end_s is not None]
    return min(ends_s, default=None)


def _without_time(result: Result, what: str) -> Result:
    note = f"There is no timeline: {what} no course of time."
    return Result(result.analysis.model_copy(update={"warnings": (*result.analysis.warnings, note)}), result.material)


def open_watcher(
    model: Model, clip: Clip, media: MediaInfo, settings: AnalyzeSettings, notes: tuple[DecodeNotes, DecodeNotes]
) -> Watcher:
    """What goes through one recording; `notes`: of the pictures and of the sound."""
    parts = model.parts
    eye = None
    if media.has_picture and "video" not in settings.without:
        frames = iter_frames(
            media, start_s=clip.start_s, end_s=clip.end_s, max_frames_s=settings.max_frames_s, max_frames=NO_LIMIT,
            notes=notes[0],
        )  # fmt: skip
        picture_px = PICTURE_PX if parts.own_global is None else OWN_PICTURE_PX
        eye = Eye(frames, parts.face_reader.tracker(), parts.face_reader.people(), picture_px)
    given = None if settings.action_units is None or eye is None else given_units(settings.action_units, clip, media)
    return Watcher(clip, settings, eye, _blocks(model, clip, media, settings, notes[1]), Faces(parts, given))


def _blocks(
    model: Model, clip: Clip, media: MediaInfo, settings: AnalyzeSettings, notes: DecodeNotes
) -> Iterator[Heard]:
    words = settings.transcribe and clip.transcript is None and "text" not in settings.without
    if not media.has_sound or ("audio" in settings.without and not words):
        return iter(())
    chunks = iter_waveform(media, CHUNK_S, start_s=clip.start_s, end_s=clip.end_s, notes=notes)
    return hear(chunks, model.parts.transcriber.transcribe if words else None)

"""Clip → what can be seen and heard in it, before any language model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from emotion_llama.analyze.given_units import given_units
from emotion_llama.analyze.parts import Parts
from emotion_llama.analyze.stopwatch import Stopwatch as Stopwatch
from emotion_llama.clip import Clip, Modality, Observation, PeakFrame, Transcript
from emotion_llama.errors import MediaError, UsageError
from emotion_llama.measurements import FaceMeasures, SoundMeasures, Turn
from emotion_llama.media import DecodeNotes, iter_frames, probe, read_frame, read_waveform
from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, MediaInfo, Waveform
from emotion_llama.perception.active_speaker import step_s, who_speaks
from emotion_llama.perception.describe import describe_face, describe_voice, describe_words
from emotion_llama.perception.mouth import LONGEST_STEP_S
from emotion_llama.perception.scene import describe_scene
from emotion_llama.perception.see import with_action_units
from emotion_llama.perception.sound import perceive_sound
from emotion_llama.settings import AnalyzeSettings

MIN_SOUND_S = 0.2
"""Shorter sound gives the audio encoder too few frames for four chunks; it does not count as present."""


FRAMES_OF_PEOPLE = 9000
"""Frames looked at where it matters who speaks: 10 minutes at full rate. A longer recording has them further apart."""


class Alteration(Protocol):
    """Changes a recording on its way in (training looks at altered copies); one draw for the whole clip."""

    def sound(self, waveform: Waveform) -> Waveform:
        """Give the sound to listen to."""

    def frames(self, frames: Iterable[Frame]) -> Iterator[Frame]:
        """Give the frames to look at."""

    def original_s(self, time_s: float) -> float:
        """Give the time in the recording of a moment of the altered clip."""


@dataclass(frozen=True)
class Percept:
    """Everything perceived in one clip. `faces` is `None` without a picture, `sound` and `waveform` without sound.

    `turns`: who speaks when, where that was asked for; `None` where the pictures are too far apart to see it. `whole`
    is false where only what belongs to one person is left; `unheard` then says why they have no voice and no words.
    """

    clip: Clip
    media: MediaInfo | None
    faces: FaceMeasures | None
    frame: Frame | None
    peak: PeakFrame | None
    sound: SoundMeasures | None
    waveform: Waveform | None
    transcript: Transcript
    observations: tuple[Observation, ...]
    notes: tuple[DecodeNotes, ...] = ()
    turns: tuple[Turn, ...] | None = ()
    whole: bool = True
    unheard: str | None = None

    @property
    def speech_s(self) -> tuple[tuple[float, float], ...]:
        """Start and end of each stretch of speech, seconds of the recording."""
        return _speech_spans(self.sound)

    @property
    def duration_s(self) -> float | None:
        """Length of the span looked at; `None` for text, pictures and recordings that do not tell."""
        if self.media is None or self.media.duration_s is None:
            return None
        end_s = min(self.clip.end_s or self.media.duration_s, self.media.duration_s)
        return max(0.0, end_s - (self.clip.start_s or 0.0))


def perceive(
    clip: Clip, settings: AnalyzeSettings, parts: Parts, watch: Stopwatch, alter: Alteration | None = None
) -> Percept:
    """Look at and listen to one clip. Raises `MediaError` for a recording that cannot be read.

    `alter` changes what is heard and seen on its way in. Inputs named in `settings.without` are not even decoded,
    except that sound is still transcribed when only audio is left out, because the words are another input. Raises
    `UsageError` when nothing is left to look at.
    """
    if clip.path is None:
        return _read(clip, settings)
    sound_notes, picture_notes = DecodeNotes(), DecodeNotes()
    with watch.time("probe"):
        media = probe(clip.path)
    waveform = _listen(clip, media, settings, sound_notes, watch)
    if alter is not None and waveform is not None:
        waveform = alter.sound(waveform)
    sound = _hear(clip, waveform, watch)
    seeing = _Seeing(clip, media, settings, picture_notes, alter)
    if waveform is not None and sound is not None and _words_wanted(clip, settings):
        (faces, frame, peak), sound = _see_and_recognise(seeing, waveform, sound, parts, watch)
    else:
        faces, frame, peak = _see(seeing, sound, parts, watch)
    transcript = _transcript(clip, sound, settings)
    with watch.time("describe"):
        observations = observed(faces, frame, sound, transcript, settings)
    notes = (picture_notes, sound_notes)
    percept = Percept(clip, media, faces, frame, peak, sound, waveform, transcript, observations, notes)
    if settings.person != "main" and faces is not None and sound is not None and sound.trace is not None:
        with watch.time("who speaks"):
            seen_often = step_s(faces.tracks) <= LONGEST_STEP_S
            percept = replace(percept, turns=who_speaks(faces.tracks, sound.trace) if seen_often else None)
    if not any(present_inputs(percept, settings).values()):
        left_out = f" (left out as asked: {', '.join(settings.without)})" if settings.without else ""
        raise MediaError(
            f"{clip.clip}: nothing to analyse: expected a picture, at least {MIN_SOUND_S} s of audible sound or a "
            f"transcript, found none{left_out}; give another recording, or a transcript"
        )
    return percept


def _read(clip: Clip, settings: AnalyzeSettings) -> Percept:
    """Text alone."""
    if clip.transcript is None or "text" in settings.without:
        raise UsageError(f"{clip.clip}: nothing to analyse: it has no recording, and no transcript that may be used")
    transcript = Transcript(text=clip.transcript, source="given")
    return Percept(clip, None, None, None, None, None, None, transcript, tuple(describe_words(transcript)))


def _listen(
    clip: Clip, media: MediaInfo, settings: AnalyzeSettings, notes: DecodeNotes, watch: Stopwatch
) -> Waveform | None:
    if not media.has_sound or ("audio" in settings.without and not _words_wanted(clip, settings)):
        return None
    with watch.time("decode sound"):
        return read_waveform(media, start_s=clip.start_s, end_s=clip.end_s, notes=notes)


def _words_wanted(clip: Clip, settings: AnalyzeSettings) -> bool:
    return settings.transcribe and clip.transcript is None and "text" not in settings.without


def _hear(clip: Clip, waveform: Waveform | None, watch: Stopwatch) -> SoundMeasures | None:
    if waveform is None:
        return None
    with watch.time("voice"):
        return perceive_sound(waveform, None, clip.transcript)


def _see_and_recognise(
    seeing: _Seeing, waveform: Waveform, sound: SoundMeasures, parts: Parts, watch: Stopwatch
) -> tuple[_Seen, SoundMeasures]:
    """Look at faces while another thread recognises the words: both need only the spans of speech.

    It is over when both are; what the recogniser raises comes first.
    """

    def recognise() -> Transcript:
        with watch.time("transcribe"):
            return parts.transcriber.transcribe(waveform, _speech_spans(sound))

    with ThreadPoolExecutor(1, "words") as other:
        words = other.submit(recognise)
        try:
            seen = _see(seeing, sound, parts, watch)
        finally:
            transcript = words.result()
    return seen, replace(sound, transcript=transcript)


def _speech_spans(sound: SoundMeasures | None) -> tuple[tuple[float, float], ...]:
    return sound.trace.speech_s if sound is not None and sound.trace is not None else ()


def _transcript(clip: Clip, sound: SoundMeasures | None, settings: AnalyzeSettings) -> Transcript:
    if "text" in settings.without:
        return Transcript(text=None, source="none")
    if clip.transcript is not None:
        return Transcript(text=clip.transcript, source="given")
    return sound.transcript if sound is not None else Transcript(text=None, source="none")


@dataclass(frozen=True)
class _Seeing:
    """How the pictures of one clip are decoded."""

    clip: Clip
    media: MediaInfo
    settings: AnalyzeSettings
    notes: DecodeNotes
    alter: Alteration | None

    def frames(self) -> Iterator[Frame]:
        found = iter_frames(
            self.media,
            start_s=self.clip.start_s,
            end_s=self.clip.end_s,
            max_frames_s=self.settings.max_frames_s,
            max_frames=self.settings.max_frames
            if self.settings.person == "main"
            else max(self.settings.max_frames, FRAMES_OF_PEOPLE),
            notes=self.notes,
        )
        return found if self.alter is None else self.alter.frames(found)

    def frame(self, time_s: float) -> Frame:
        if self.alter is None:
            return read_frame(self.media.path, time_s)
        return next(iter(self.alter.frames([read_frame(self.media.path, self.alter.original_s(time_s))])))


_Seen = tuple[FaceMeasures | None, Frame | None, PeakFrame | None]


def _see(seeing: _Seeing, sound: SoundMeasures | None, parts: Parts, watch: Stopwatch) -> _Seen:
    if not seeing.media.has_picture or "video" in seeing.settings.without:
        return None, None, None
    given = seeing.settings.action_units
    with watch.time("faces"):
        series = None if given is None else given_units(given, seeing.clip, seeing.media)
        seen = _Times(seeing.frames())
        faces = parts.face_reader.read(seen, _speech_spans(sound))
        if series is not None:
            faces = with_action_units(faces, series, _speech_spans(sound))
    if not seen.index_and_time:
        raise MediaError(
            f"{seeing.media.path}: no frame could be decoded from its picture stream; export or copy it again"
        )
    with watch.time("frame"):
        peak = choose_frame(seen.index_and_time, faces, seeing.settings)
        frame = seeing.frame(peak.time_s)
    return faces, frame, peak


class _Times:
    """Passes frames through and remembers their indices and times only."""

    def __init__(self, frames: Iterator[Frame]) -> None:
        self._frames = frames
        self.index_and_time: list[tuple[int, float]] = []

    def __iter__(self) -> Iterator[Frame]:
        for frame in self._frames:
            self.index_and_time.append((frame.index, frame.time_s))
            yield frame


def choose_frame(times: list[tuple[int, float]], faces: FaceMeasures, settings: AnalyzeSettings) -> PeakFrame:
    """Choose the frame for the global encoder. Without a face the peak policy takes the middle frame.

    `times` are (index, seconds) of the sampled frames, at least one.
    """
    if len(times) == 1:
        return PeakFrame(index=times[0][0], time_s=times[0][1], policy="only")
    if settings.frame == "peak" and faces.main is not None and faces.peak is not None:
        sample = faces.tracks[faces.main].samples[faces.peak]
        return PeakFrame(index=sample.frame_index, time_s=sample.time_s, policy="peak")
    if settings.frame == "random":
        place = int(np.random.default_rng(settings.seed).integers(len(times)))
        return PeakFrame(index=times[place][0], time_s=times[place][1], policy="random")
    first = settings.frame == "first"
    place = 0 if first else len(times) // 2
    return PeakFrame(index=times[place][0], time_s=times[place][1], policy="first" if first else "middle")


def observed(
    faces: FaceMeasures | None,
    frame: Frame | None,
    sound: SoundMeasures | None,
    transcript: Transcript,
    settings: AnalyzeSettings,
) -> tuple[Observation, ...]:
    """All that was measured, in words."""
    found: list[Observation] = []
    if faces is not None:
        found += describe_face(faces, _speech_spans(sound))
        if frame is not None:
            found += describe_scene(frame, faces)
    if sound is not None and "audio" not in settings.without:
        found += describe_voice(sound)
    return (*found, *describe_words(transcript))


def is_heard(percept: Percept, settings: AnalyzeSettings) -> bool:
    """Whether there is audible sound to encode, speech or not."""
    sound, waveform = percept.sound, percept.waveform
    long_enough = waveform is not None and len(waveform.samples) >= MIN_SOUND_S * SAMPLE_RATE_HZ
    return long_enough and sound is not None and not sound.silent and "audio" not in settings.without


def present_inputs(percept: Percept, settings: AnalyzeSettings) -> dict[Modality, bool]:
    """Which inputs really reach the model.

    Sound in which nobody speaks says nothing of the person where a face is seen; without a face it is all there is.
    """
    spoken = percept.sound is not None and percept.sound.voice is not None
    face = percept.faces is not None and percept.faces.main is not None
    return {
        "video": percept.faces is not None,
        "audio": is_heard(percept, settings) and (spoken or not face),
        "text": percept.transcript.text is not None,
    }

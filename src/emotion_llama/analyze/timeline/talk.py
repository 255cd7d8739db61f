"""Who speaks in a block, and what belongs to one person of the sound and the words of a window."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from emotion_llama.analyze.people import seconds, silenced, spoken_by, words_in
from emotion_llama.analyze.timeline.glimpse import said_in, sound_of, speech_in
from emotion_llama.analyze.timeline.plan import Span
from emotion_llama.clip import Transcript
from emotion_llama.measurements import FaceTrack, Turn
from emotion_llama.media.types import Waveform
from emotion_llama.perception.active_speaker import step_s, who_speaks
from emotion_llama.perception.identity import LEAST_SAMPLES
from emotion_llama.perception.mouth import LONGEST_STEP_S
from emotion_llama.perception.voice import measure_voice

Spans = tuple[tuple[float, float], ...]
Turns = tuple[Turn, ...]


@dataclass(frozen=True)
class Sound:
    """What is heard in a window: its sound, when somebody speaks in it, and what is said."""

    waveform: Waveform | None
    speech_s: Spans
    transcript: Transcript


def turns_of(tracks: Sequence[FaceTrack], waveform: Waveform, speech_s: Spans) -> Turns | None:
    """Who speaks when; `None` where that cannot be seen: nobody is in view, or the pictures are too far apart."""
    seen = [track for track in tracks if len(track.samples) >= LEAST_SAMPLES]
    if not seen or not speech_s or step_s(seen) > LONGEST_STEP_S:
        return None
    _, trace = measure_voice(waveform, speech_s)
    return who_speaks(seen, trace)


def own_speech(span: Span, turns: Turns | None, person: int) -> Spans:
    """When one person speaks in a window."""
    return speech_in(span, spoken_by(turns or (), person))


def speaks(span: Span, speech_s: Spans, turns: Turns | None, person: int | None) -> bool | None:
    """Whether a person speaks for most of the speech in a window; `None`: nobody does, or it is not known who."""
    spoken_s = seconds(speech_in(span, speech_s))
    if person is None or turns is None or not spoken_s:
        return None
    return seconds(own_speech(span, turns, person)) > spoken_s / 2


def heard_in(span: Span, waveform: Waveform, speech_s: Spans, transcript: Transcript | None) -> Sound:
    """All that is heard in a window, whoever speaks."""
    return Sound(sound_of(span, waveform), speech_in(span, speech_s), said_in(span, transcript))


def own_of(span: Span, heard: Sound, turns: Turns | None, transcript: Transcript | None, person: int) -> Sound:
    """What is heard of one person: the speech of others made silent, their own words; who only listens has neither.

    Where nobody speaks, and where it is not known who does, it is all that is heard.
    """
    if turns is None or not heard.speech_s or heard.waveform is None:
        return heard
    own = own_speech(span, turns, person)
    if not own:
        return Sound(None, (), Transcript(text=None, source="none"))
    if seconds(own) >= seconds(heard.speech_s) - 1e-6:
        return heard
    words = None if transcript is None else words_in(transcript, own)
    return Sound(silenced(heard.waveform, heard.speech_s, own), own, said_in(span, words))

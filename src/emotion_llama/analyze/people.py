"""`--person`: whom an analysis is about, and what each of several people shows.

A person has the face that carries their number, and of the sound and the words what was said while their mouth moved
with it. Who only listens has no voice: the face alone is scored.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np

from emotion_llama.analyze.perceive import Percept, observed
from emotion_llama.clip import PeakFrame, Segment, Transcript
from emotion_llama.errors import UsageError
from emotion_llama.measurements import FaceMeasures, FaceTrack, SoundMeasures, Turn
from emotion_llama.media import read_frame
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform
from emotion_llama.perception.mouth import LONGEST_STEP_S
from emotion_llama.perception.see import FaceReader, within
from emotion_llama.perception.sound import is_silent
from emotion_llama.perception.voice import measure_voice
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import PersonEmotion, Role

Spans = tuple[tuple[float, float], ...]
Score = Callable[[Percept], tuple[str | None, dict[str, float]]]
"""What a percept shows: the emotion (`None`: not sure enough) and the probabilities of the asked labels."""

MOST_PEOPLE = 8
"""People who are described one by one: those seen longest."""

LEAST_SAMPLES = 4
WORD_SLACK_S = 0.15
SILENT: Literal["this person is not seen to speak here"] = "this person is not seen to speak here"


def whom(percept: Percept, settings: AnalyzeSettings) -> int | None:
    """The number of the person whom the answer is about; `None` where no face is seen.

    Where nobody in view speaks, "active" is the main person. Raises `UsageError` for a number that nobody has.
    """
    faces = percept.faces
    tracks = faces.tracks if faces is not None else ()
    main = faces.tracks[faces.main].track if faces is not None and faces.main is not None else None
    if isinstance(settings.person, int):
        if settings.person not in {track.track for track in tracks}:
            known = ", ".join(str(track.track) for track in tracks) or "none: no face is seen"
            raise UsageError(f"{percept.clip.clip}: nobody there has the number {settings.person}; found {known}")
        return settings.person
    if settings.person == "active" and percept.turns is None:
        raise UsageError(
            f"{percept.clip.clip}: --person active: the pictures are more than {LONGEST_STEP_S} s apart, too far to "
            "see who speaks; give a shorter span, or the number of a person"
        )
    if settings.person == "active":
        spoken = {track.track: seconds(spoken_by(percept.turns or (), track.track)) for track in tracks}
        longest = max(spoken, key=lambda number: spoken[number], default=None)
        return longest if longest is not None and spoken[longest] > 0 else main
    return main


def spoken_by(turns: Sequence[Turn], person: int) -> Spans:
    """When a person speaks."""
    return tuple((turn.start_s, turn.end_s) for turn in turns if turn.person == person)


def seconds(spans: Sequence[tuple[float, float]]) -> float:
    """Length of spans together."""
    return float(sum(end - start for start, end in spans))


def about(percept: Percept, person: int, settings: AnalyzeSettings, reader: FaceReader) -> Percept:
    """The percept of one of its people: their face as the main one, their own voice and words."""
    faces = percept.faces
    assert faces is not None
    place = next(i for i, track in enumerate(faces.tracks) if track.track == person)
    if place != faces.main:
        faces = reader.look_at(faces, place, percept.speech_s)
    return _with(percept, faces, spoken_by(percept.turns or (), person), settings)


def during(percept: Percept, spans: Spans, heard: bool, settings: AnalyzeSettings) -> Percept | None:
    """The percept of the main person in some spans only; `None` where they are not seen in them."""
    assert percept.faces is not None
    faces = within(percept.faces, spans, percept.speech_s if heard else ())
    return None if faces is None else _with(percept, faces, spans if heard else (), settings)


def _with(percept: Percept, faces: FaceMeasures, own: Spans, settings: AnalyzeSettings) -> Percept:
    moved = faces is not percept.faces
    frame, peak = percept.frame, percept.peak
    if moved and percept.media is not None and faces.main is not None and faces.peak is not None:
        sample = faces.tracks[faces.main].samples[faces.peak]
        if percept.peak is not None and percept.peak.policy != "only":
            peak = PeakFrame(index=sample.frame_index, time_s=sample.time_s, policy="peak")
            frame = read_frame(percept.media.path, sample.time_s)
    sound, waveform, transcript = _own_sound(percept, own)
    same = not moved and sound is percept.sound
    if same:
        return percept
    return replace(
        percept,
        faces=faces,
        frame=frame,
        peak=peak,
        sound=sound,
        waveform=waveform,
        transcript=transcript,
        observations=observed(faces, frame, sound, transcript, settings),
        whole=False,
        unheard=SILENT if percept.turns and not own else None,
    )


def _own_sound(percept: Percept, own: Spans) -> tuple[SoundMeasures | None, Waveform | None, Transcript]:
    """What is heard of one person: the rest of the speech is made silent, the words are those of their spans."""
    sound, waveform = percept.sound, percept.waveform
    if sound is None or waveform is None or not percept.speech_s or percept.turns is None:
        return sound, waveform, percept.transcript
    if not own:
        return None, None, Transcript(text=None, source="none")
    if seconds(own) >= seconds(percept.speech_s) - 1e-6:
        return sound, waveform, percept.transcript
    kept = silenced(waveform, percept.speech_s, own)
    voice, trace = measure_voice(kept, own)
    transcript = words_in(percept.transcript, own, most=_speaks_most(percept.turns, own))
    return SoundMeasures(silent=is_silent(kept), voice=voice, trace=trace, transcript=transcript), kept, transcript


def silenced(waveform: Waveform, speech: Spans, own: Spans) -> Waveform:
    """The sound with all speech taken out that lies outside of `own`."""
    time_s = waveform.start_s + np.arange(len(waveform.samples)) / SAMPLE_RATE_HZ
    theirs, mine = (_inside(time_s, spans) for spans in (speech, own))
    return replace(waveform, samples=np.where(theirs & ~mine, 0, waveform.samples).astype(np.float32))


def _inside(time_s: np.ndarray, spans: Spans) -> np.ndarray:
    found = np.zeros(len(time_s), dtype=bool)
    for start, end in spans:
        found[slice(*np.searchsorted(time_s, (start, end)))] = True
    return found


def _speaks_most(turns: Sequence[Turn], own: Spans) -> bool:
    others = {turn.person for turn in turns if (turn.start_s, turn.end_s) not in own}
    return all(seconds(spoken_by(turns, who)) < seconds(own) for who in others if who is not None)


def words_in(transcript: Transcript, spans: Spans, most: bool = True) -> Transcript:
    """The part of a transcript that was said in these spans.

    A transcript without times cannot be divided: it goes to the one who speaks `most`, and nobody else has words.
    """
    if transcript.text is None or not transcript.segments:
        return transcript if most or transcript.text is None else Transcript(text=None, source="none")

    def said(start_s: float, end_s: float) -> bool:
        middle = (start_s + end_s) / 2
        return any(a - WORD_SLACK_S <= middle <= b + WORD_SLACK_S for a, b in spans)

    parts: list[Segment] = []
    for segment in transcript.segments:
        words = tuple(word for word in segment.words if said(word.start_s, word.end_s))
        if segment.words and words:
            text = " ".join(word.text for word in words)
            parts.append(Segment(text=text, start_s=words[0].start_s, end_s=words[-1].end_s, words=words))
        elif not segment.words and said(segment.start_s, segment.end_s):
            parts.append(segment)
    return transcript.model_copy(update={"text": " ".join(p.text for p in parts), "segments": tuple(parts)})


def people_of(
    percept: Percept, settings: AnalyzeSettings, reader: FaceReader, score: Score
) -> tuple[PersonEmotion, ...]:
    """What each person shows, in all and while they speak or listen, in the order of their numbers."""
    if percept.faces is None:
        return ()
    found: list[PersonEmotion] = []
    for track in described(percept.faces.tracks):
        one = about(percept, track.track, settings, reader)
        found.append(_scored(one, track.track, "all", seen_spans(track), score))
        for role, spans in roles(percept.turns or (), track):
            part = during(one, spans, role == "speaking", settings)
            if part is not None and spans:
                found.append(_scored(part, track.track, role, spans, score))
    return tuple(found)


def described(tracks: Sequence[FaceTrack]) -> list[FaceTrack]:
    """Those who are described one by one: the `MOST_PEOPLE` seen longest, unless only for a moment."""
    longest = sorted(tracks, key=lambda track: -len(track.samples))
    least = min([LEAST_SAMPLES, *(len(track.samples) for track in longest[:1])])  # a still picture has one sample each
    kept = [track for track in longest[:MOST_PEOPLE] if len(track.samples) >= least]
    return sorted(kept, key=lambda track: track.track)


def roles(turns: Sequence[Turn], track: FaceTrack) -> Iterator[tuple[Role, Spans]]:
    """When a person speaks, and when they are seen while somebody else does."""
    own = spoken_by(turns, track.track)
    if own:
        yield "speaking", own
    seen = seen_spans(track)
    others = ((t.start_s, t.end_s) for t in turns if t.person != track.track)
    listening = ((max(a, start), min(b, end)) for start, end in others for a, b in seen)
    spans = tuple((start, end) for start, end in listening if end > start)
    if spans:
        yield "listening", spans


def seen_spans(track: FaceTrack, gap_s: float = 1.0) -> Spans:
    """When a face is seen, gaps up to `gap_s` bridged."""
    times = [sample.time_s for sample in track.samples]
    starts = [0, *(at for at in range(1, len(times)) if times[at] - times[at - 1] > gap_s)]
    return tuple((times[a], times[b - 1]) for a, b in zip(starts, [*starts[1:], len(times)], strict=True))


def _scored(percept: Percept, person: int, role: Role, spans: Spans, score: Score) -> PersonEmotion:
    emotion, chances = score(percept)
    return PersonEmotion(
        person=person,
        role=role,
        seconds=round(seconds(spans), 3),
        spans_s=tuple((round(a, 3), round(b, 3)) for a, b in spans),
        emotion=emotion,
        confidence=max(chances.values(), default=None),
        probabilities=chances,
    )

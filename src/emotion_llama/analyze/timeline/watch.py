"""One pass over a recording: blocks are heard and seen, their windows scored, and all but small numbers forgotten."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from emotion_llama.analyze.perceive import Percept, present_inputs
from emotion_llama.analyze.timeline.ear import CHUNK_S, Heard, Spans
from emotion_llama.analyze.timeline.eye import Eye
from emotion_llama.analyze.timeline.glimpse import Faces, glimpse, seconds_of
from emotion_llama.analyze.timeline.memory import give_back
from emotion_llama.analyze.timeline.people import whom
from emotion_llama.analyze.timeline.plan import Span, WindowPlan
from emotion_llama.analyze.timeline.record import Recording
from emotion_llama.analyze.timeline.smoothing import Scored
from emotion_llama.analyze.timeline.talk import Turns, heard_in, own_of, speaks, turns_of
from emotion_llama.clip import MODALITIES, Clip, Modality, Transcript
from emotion_llama.measurements import FaceBoxes
from emotion_llama.media.types import SAMPLE_RATE_HZ, Frame, Waveform
from emotion_llama.settings import AnalyzeSettings
from emotion_llama.timeline import Window


@dataclass(frozen=True)
class Scorer:
    """What asks the model: probabilities of a window, and how sure an answer from such inputs must be."""

    probabilities: Callable[[Percept, AnalyzeSettings], dict[str, float]]
    least: Callable[[AnalyzeSettings, tuple[Modality, ...]], float]


class Watcher:
    """Goes through one recording and gives its windows as they are scored; `record` then holds the rest.

    `eye` is `None` without a picture, `blocks` empty without sound. `known_s` is how far it has come.
    """

    def __init__(
        self, clip: Clip, settings: AnalyzeSettings, eye: Eye | None, blocks: Iterator[Heard], faces: Faces
    ) -> None:
        self._clip = clip
        self._settings = settings
        self._eye = eye
        self._blocks = blocks
        self._faces = faces
        self._plan = WindowPlan(settings.window_s, settings.step_s, clip.start_s or 0.0)
        self.record = Recording()
        self.known_s = clip.start_s or 0.0
        self._waveform = Waveform(np.zeros(0, np.float32), self.known_s)
        self._speech_s: Spans = ()
        self._turns: Turns | None = None
        self._transcript: Transcript | None = None

    @property
    def numbers(self) -> Sequence[int]:
        """The numbers of all people so far."""
        return self._eye.numbers if self._eye is not None else ()

    def boxes(self, main: int | None) -> tuple[FaceBoxes, ...]:
        """Where everybody was in the whole recording; `main` is the number of the main person."""
        return self._eye.boxes(main) if self._eye is not None else ()

    @property
    def cuts_s(self) -> Sequence[float]:
        """Cuts so far, seconds of the recording."""
        return self._eye.cuts_s if self._eye is not None else ()

    def windows(self, scorer: Scorer) -> Iterator[Scored]:
        """Score window after window, in time order."""
        for last in self._go_on():
            if self._eye is not None:
                self._faces.show(self._eye.tracks())
                self._turns = turns_of(self._eye.tracks(), self._waveform, self._speech_s)
            for span in self._plan.take(self.known_s, last, self.cuts_s, self._speech_s):
                for place, person in enumerate(self._whom(span)):
                    yield self._score(span, person, place == 0, scorer)
            self._forget(self._plan.next_s)
            give_back()

    def _go_on(self) -> Iterator[bool]:
        """Hear and see block after block; says of each whether it is the last."""
        heard = next(self._blocks, None)
        while heard is not None:
            following = next(self._blocks, None)
            self._hear(heard)
            self.known_s = heard.end_s
            self._see(self.known_s)
            heard = following
            yield heard is None and not (self._eye is not None and self._eye.open)
        while self._eye is not None and self._eye.open:
            self._see(self.known_s + CHUNK_S)
            self.known_s += CHUNK_S
            if not self._eye.open:
                self.known_s = self._end_of_pictures()
            yield not self._eye.open

    def _end_of_pictures(self) -> float:
        """The last picture is shown about as long as the one before it."""
        assert self._eye is not None and self._eye.last_s is not None
        times = self._eye.times_s[-2:]
        return self._eye.last_s + (times[-1] - times[0] if len(times) == 2 else 1.0 / self._settings.max_frames_s)

    def _hear(self, heard: Heard) -> None:
        self.record.heard(heard)
        held = self._waveform
        samples = heard.waveform.samples
        start_s = heard.waveform.start_s
        if len(held.samples):
            samples, start_s = np.concatenate([held.samples, samples]), held.start_s
        self._waveform = Waveform(samples, start_s)
        self._speech_s = (*self._speech_s, *heard.speech_s)
        if heard.transcript is not None:
            before = self._transcript.segments if self._transcript is not None else ()
            self._transcript = heard.transcript.model_copy(update={"segments": before + heard.transcript.segments})

    def _see(self, end_s: float) -> None:
        if self._eye is not None:
            self._eye.look_until(end_s)

    def _forget(self, before_s: float) -> None:
        gone = min(max(0, round((before_s - self._waveform.start_s) * SAMPLE_RATE_HZ)), len(self._waveform.samples))
        start_s = self._waveform.start_s + gone / SAMPLE_RATE_HZ
        self._waveform = Waveform(self._waveform.samples[gone:].copy(), start_s)
        self._speech_s = tuple(span for span in self._speech_s if span[1] > before_s)
        if self._transcript is not None:
            left = tuple(part for part in self._transcript.segments if part.end_s > before_s)
            self._transcript = self._transcript.model_copy(update={"segments": left})
        self.record.talked(self._turns, before_s)
        if self._eye is not None:
            self._eye.forget(before_s)

    def _whom(self, span: Span) -> list[int | None]:
        return whom(span, self._faces, self._turns, self._settings, self._frames_in(span))

    def _frames_in(self, span: Span) -> int:
        return 0 if self._eye is None else sum(span.start_s <= time_s < span.end_s for time_s in self._eye.times_s)

    def _score(self, span: Span, person: int | None, main: bool, scorer: Scorer) -> Scored:
        percept = self._look(span, person)
        if person is not None:
            self.record.saw(person, self._faces.measured(person), main)
        there = self._present(percept)
        chances = scorer.probabilities(percept, self._settings) if there else {}
        window = Window(
            start_s=span.start_s,
            end_s=span.end_s,
            emotion=None,
            confidence=None,
            probabilities=chances,
            inputs=there,
            person=person,
            speaking=speaks(span, self._speech_s, self._turns, person),
            text=percept.transcript.text,
        )
        least = scorer.least(self._settings, with_words(there, percept.transcript.text)) if there else 0.0
        shot = bisect_right(self.cuts_s, span.start_s)
        return Scored(window, least, seconds_of(percept.speech_s), shot, main)

    def _present(self, percept: Percept) -> tuple[Modality, ...]:
        """Inputs of a window that say something of a person: none where nobody is seen and nobody speaks."""
        present = present_inputs(percept, self._settings)
        somebody = percept.faces is not None and percept.faces.main is not None
        if not somebody and not percept.speech_s:
            return ()
        return tuple(name for name in MODALITIES if present[name])

    def _look(self, span: Span, person: int | None) -> Percept:
        heard = heard_in(span, self._waveform, self._speech_s, self._transcript)
        if person is not None and self._settings.person != "main":
            heard = own_of(span, heard, self._turns, self._transcript, person)
        faces = picture = None
        frames = self._frames_in(span)
        if self._eye is not None and frames:
            seen = [time_s for time_s in self._eye.times_s if span.start_s <= time_s < span.end_s]
            faces = self._faces.in_window(span, frames, heard.speech_s, person)
            peak_s = seen[len(seen) // 2]
            if faces.main is not None and faces.peak is not None:
                peak_s = faces.tracks[faces.main].samples[faces.peak].time_s
            picture = nearest(self._eye.pictures, peak_s)
        return glimpse(self._clip, span, faces, picture, heard.waveform, heard.speech_s, heard.transcript)


def with_words(inputs: tuple[Modality, ...], text: str | None) -> tuple[Modality, ...]:
    """Inputs by which a curve of risk is chosen: where nothing was said there were no words to be sure by."""
    return tuple(name for name in inputs if name != "text" or text)


def nearest(pictures: list[Frame], time_s: float) -> Frame:
    """The picture nearest in time."""
    return min(pictures, key=lambda picture: abs(picture.time_s - time_s))

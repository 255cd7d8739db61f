"""What one worker holds in memory of the clip at hand: decoded and measured once, on first use, then forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from emotion_llama.clip import Clip, PeakFrame, Transcript
from emotion_llama.errors import MediaError, UsageError
from emotion_llama.measurements import FaceMeasures, SoundMeasures

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import EmotionLlama
    from emotion_llama.analyze.parts import Parts
    from emotion_llama.analyze.perceive import Percept
    from emotion_llama.build.asking import Answer, Asker
    from emotion_llama.endpoint import Message
    from emotion_llama.media.types import Frame, MediaInfo, Waveform

T = TypeVar("T")

MAX_FRAMES_S = 15.0
MAX_FRAMES = 1200
"""Frames looked at, a second and in all: as `analyze` does."""


@dataclass
class Tools:
    """Models of one worker, each loaded on first use, with one thread: equal bytes on every machine."""

    _models: dict[str, EmotionLlama] = field(default_factory=dict)

    def model(self, name: str = "nano") -> EmotionLlama:
        """Give a loaded preset or checkpoint folder. Raises `UsageError` for an unknown one."""
        if name not in self._models:
            from transformers.utils import logging

            from emotion_llama.analyze.analyzer import load

            logging.disable_progress_bar()

            self._models[name] = load(name, device="cpu", threads=1)
        return self._models[name]

    @cached_property
    def parts(self) -> Parts:
        """Perception and encoders."""
        return self.model().parts


class Look:
    """One clip as a worker sees and hears it. Raises `MediaError` where the recording cannot be read."""

    def __init__(self, clip: Clip, tools: Tools, asker: Asker | None = None, turn: int = 0) -> None:
        self.clip = clip
        self.tools = tools
        self._asker = asker
        self._turn = turn

    @property
    def path(self) -> Path:
        """Where the recording lies. Raises `UsageError` for a clip without one."""
        if self.clip.path is None:
            raise UsageError(
                f"{self.clip.clip}: expected a recording, found text alone; a data set is built of recordings"
            )
        return self.clip.path

    @cached_property
    def media(self) -> MediaInfo:
        """What the file holds."""
        from emotion_llama.media import probe

        return probe(self.path)

    @cached_property
    def waveform(self) -> Waveform | None:
        """The sound of the span; `None` without any."""
        from emotion_llama.media import read_waveform

        if not self.media.has_sound:
            return None
        return read_waveform(self.media, start_s=self.clip.start_s, end_s=self.clip.end_s)

    @cached_property
    def sound(self) -> SoundMeasures | None:
        """Silence, speech and prosody, without the words; `None` without sound."""
        from emotion_llama.perception.sound import perceive_sound

        return None if self.waveform is None else perceive_sound(self.waveform, None, None)

    @property
    def speech_s(self) -> tuple[tuple[float, float], ...]:
        """Start and end of each stretch of speech, seconds of the recording."""
        return self.sound.trace.speech_s if self.sound is not None and self.sound.trace is not None else ()

    @cached_property
    def transcript(self) -> Transcript:
        """What is said: as given, else as recognised; text `None` without sound."""
        if self.clip.transcript is not None:
            return Transcript(text=self.clip.transcript, source="given")
        if self.waveform is None:
            return Transcript(text=None, source="none")
        return self.tools.parts.transcriber.transcribe(self.waveform, self.speech_s)

    @cached_property
    def _seen(self) -> tuple[FaceMeasures, int]:
        from emotion_llama.media import iter_frames

        last = -1

        def counted() -> Iterator[Frame]:
            nonlocal last
            for frame in iter_frames(
                self.media, start_s=self.clip.start_s, end_s=self.clip.end_s, max_frames_s=MAX_FRAMES_S,
                max_frames=MAX_FRAMES,
            ):  # fmt: skip
                last = frame.index
                yield frame

        faces = self.tools.parts.face_reader.read(counted(), self.speech_s)
        if last < 0:
            raise MediaError(f"{self.path}: no frame could be decoded from its picture stream; copy or export it again")
        return faces, last + 1

    @property
    def faces(self) -> FaceMeasures | None:
        """All faces with meshes, action units and expressions; `None` for a recording without pictures."""
        return self._seen[0] if self.media.has_picture else None

    def ask(
        self, step: str, endpoint: str, messages: Sequence[Message], read: Callable[[str], T],
        schema: Mapping[str, Any] | None = None,
    ) -> Answer[T]:  # fmt: skip
        """Ask a language model about this clip; see `Asker.ask`. Only where the journal is."""
        assert self._asker is not None, f"{step} asks, so its place is the driver"
        return self._asker.ask(self.clip.clip, step, endpoint, messages, read, schema=schema, turn=self._turn)

    def frame(self, time_s: float) -> Frame:
        """Give the frame nearest to a time of the recording."""
        from emotion_llama.media import read_frame

        return read_frame(self.path, time_s)

    def percept(self, peak: PeakFrame | None) -> Percept:
        """Give everything in the form that `analyze` asks its model with; `peak`: the frame to look at most closely."""
        from dataclasses import replace

        from emotion_llama.analyze.perceive import Percept

        sound = None if self.sound is None else replace(self.sound, transcript=self.transcript)
        frame = self.frame(peak.time_s) if peak is not None else None
        return Percept(
            self.clip, self.media, self.faces, frame, peak, sound, self.waveform, self.transcript, observations=()
        )

"""Generated recordings are looked at and listened to; what is missing or left out is not made up."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from emotion_llama.analyze.perceive import Percept, Stopwatch, choose_frame, is_heard, perceive, present_inputs
from emotion_llama.clip import Clip, Transcript
from emotion_llama.errors import MediaError, ModelError, UsageError
from emotion_llama.measurements import FaceMeasures
from emotion_llama.media.types import Frame, Waveform
from emotion_llama.settings import AnalyzeSettings

MakeClip = Callable[..., Path]


class Eyes:
    """Counts frames and finds no face."""

    def __init__(self) -> None:
        self.frames = 0

    def read(self, frames: Iterable[Frame], speech_s: object) -> FaceMeasures:
        self.frames = sum(1 for _ in frames)
        return FaceMeasures(self.frames, (), None, None, None, None, None)


class Ears:
    """Hears the same word in everything; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    def transcribe(self, waveform: Waveform, spans: object) -> Transcript:
        self.asked += 1
        return Transcript(text="heard", source="asr:whisper-base")


class FakeParts(SimpleNamespace):
    def __init__(self) -> None:
        super().__init__(face_reader=Eyes(), transcriber=Ears())


def look(
    clip: Path | Clip, parts: FakeParts | None = None, transcript: str | None = None, **settings: object
) -> tuple[Percept, dict[str, bool]]:
    given = clip if isinstance(clip, Clip) else Clip(clip=clip.name, path=clip, transcript=transcript)
    chosen = AnalyzeSettings.model_validate(settings)
    percept = perceive(given, chosen, parts or FakeParts(), Stopwatch())  # type: ignore[arg-type]
    return percept, dict(present_inputs(percept, chosen))


def test_a_video_is_seen_heard_and_transcribed(make_clip: MakeClip) -> None:
    parts = FakeParts()
    percept, present = look(make_clip("a.mp4"), parts)
    assert present == {"video": True, "audio": True, "text": True}
    assert parts.face_reader.frames == 10 and parts.transcriber.asked == 1
    assert percept.transcript.text == "heard" and percept.duration_s == pytest.approx(1, abs=0.1)
    assert percept.peak is not None and percept.peak.policy == "middle"  # no face to choose by
    assert percept.frame is not None and percept.frame.rgb.shape == (48, 64, 3)


class Meeting(FakeParts):
    """Eyes and ears that both have to be at work before either is done."""

    def __init__(self, blind: bool = False, deaf: bool = False) -> None:
        super().__init__()
        self.both = threading.Barrier(2)
        self.heard = False
        self.face_reader, self.transcriber = self, self
        self.blind, self.deaf = blind, deaf

    def read(self, frames: Iterable[Frame], speech_s: object) -> FaceMeasures:
        self.both.wait(timeout=30)
        if self.blind:
            raise MediaError("blind")
        return Eyes().read(frames, speech_s)

    def transcribe(self, waveform: Waveform, spans: object) -> Transcript:
        self.both.wait(timeout=30)
        if self.deaf:
            raise ModelError("deaf")
        time.sleep(0.2)  # longer than the eyes, which have failed by then
        self.heard = True
        return Transcript(text="heard", source="asr:whisper-base")


def test_faces_are_looked_at_while_words_are_recognised(make_clip: MakeClip) -> None:
    path, watch = make_clip("a.mp4"), Stopwatch()
    percept = perceive(Clip(clip="a", path=path), AnalyzeSettings(), Meeting(), watch)  # type: ignore[arg-type]
    assert percept.transcript.text == "heard" and percept.faces is not None and percept.faces.frames_seen == 10
    assert watch.seconds["transcribe"] >= 0.2 and watch.seconds["faces"] > 0


@pytest.mark.parametrize(
    ("blind", "deaf", "error"), [(True, False, MediaError), (False, True, ModelError), (True, True, ModelError)]
)
def test_what_fails_beside_the_other_is_raised_when_both_are_over(
    make_clip: MakeClip, blind: bool, deaf: bool, error: type[Exception]
) -> None:
    parts, before = Meeting(blind, deaf), threading.active_count()
    with pytest.raises(error):
        look(make_clip("a.mp4"), parts)
    assert parts.heard is not deaf and threading.active_count() == before


def test_what_is_left_out_is_not_even_asked_for(make_clip: MakeClip) -> None:
    path, parts = make_clip("a.mp4"), FakeParts()
    percept, present = look(path, parts, without=("video", "text"))
    assert present == {"video": False, "audio": True, "text": False}
    assert (parts.face_reader.frames, parts.transcriber.asked, percept.frame) == (0, 0, None)
    percept, present = look(path, parts, without=("audio", "text"))
    assert present == {"video": True, "audio": False, "text": False} and percept.waveform is None


def test_without_audio_the_words_are_still_heard(make_clip: MakeClip) -> None:
    percept, present = look(make_clip("a.mp4"), without=("audio",))
    assert present == {"video": True, "audio": False, "text": True}
    assert "voice" not in {seen.channel for seen in percept.observations}


def test_a_given_transcript_is_taken_as_it_is(make_clip: MakeClip) -> None:
    parts = FakeParts()
    percept, present = look(make_clip("a.wav", size=None), parts, transcript="I say so")
    assert (percept.transcript.text, percept.transcript.source, parts.transcriber.asked) == ("I say so", "given", 0)
    assert present == {"video": False, "audio": True, "text": True}
    _, present = look(make_clip("b.wav", size=None), transcript="I say so", without=("text",))
    assert present == {"video": False, "audio": True, "text": False}


def test_nothing_said_is_an_input_and_not_asked_is_none(make_clip: MakeClip) -> None:
    path = make_clip("a.wav", size=None)
    assert look(path, transcript="")[1]["text"] is True
    percept, present = look(path, transcribe=False)
    assert percept.transcript.text is None and present["text"] is False


def test_text_alone_loads_nothing() -> None:
    percept, present = look(Clip(clip="text", transcript="I am glad"), parts=SimpleNamespace())  # type: ignore[arg-type]
    assert present == {"video": False, "audio": False, "text": True}
    assert percept.transcript == Transcript(text="I am glad", source="given") and percept.duration_s is None


def test_sound_without_speech_counts_only_where_no_face_is_seen(
    make_clip: MakeClip, make_faces: Callable[..., FaceMeasures], percept: Percept
) -> None:
    """A slammed door says nothing of the smiling person in the picture."""
    settings = AnalyzeSettings()
    assert percept.sound is not None and percept.sound.voice is not None
    noise = replace(percept, sound=replace(percept.sound, voice=None), faces=make_faces(4))
    assert present_inputs(noise, settings)["audio"] is False and is_heard(noise, settings)
    assert present_inputs(replace(noise, faces=None), settings)["audio"] is True
    assert present_inputs(replace(percept, faces=make_faces(4)), settings)["audio"] is True


def test_silence_and_very_short_sound_do_not_count_as_heard(make_clip: MakeClip) -> None:
    assert look(make_clip("a.mp4", level=0))[1] == {"video": True, "audio": False, "text": True}
    assert look(make_clip("b.wav", size=None, seconds=0.1), transcript="hi")[1]["audio"] is False


def test_a_clip_in_which_nothing_is_left_is_named(make_clip: MakeClip) -> None:
    silent = make_clip("silent.wav", size=None, level=0)
    with pytest.raises(MediaError, match=r"silent\.wav: nothing to analyse: expected a picture.*or a transcript"):
        look(silent, transcribe=False)
    with pytest.raises(MediaError, match="left out as asked: audio, text"):
        look(silent, without=("audio", "text"))
    for clip in (Clip(clip="row 7"), Clip(clip="row 7", transcript="hi")):
        with pytest.raises(UsageError, match="row 7: nothing to analyse"):
            look(clip, without=("text",))


def test_a_span_is_all_that_is_looked_at(make_clip: MakeClip) -> None:
    parts = FakeParts()
    path = make_clip("a.mp4", seconds=3)
    percept, _ = look(Clip(clip="a", path=path, start_s=1.0, end_s=2.0), parts)
    assert parts.face_reader.frames == 10
    assert percept.peak is not None and 1.0 <= percept.peak.time_s < 2.0
    assert percept.waveform is not None and percept.waveform.duration_s == pytest.approx(1, abs=0.01)
    assert percept.duration_s == pytest.approx(1)


TIMES = [(number, number / 10) for number in range(9)]


def test_frame_policies(no_face: FaceMeasures, make_faces: Callable[..., FaceMeasures]) -> None:
    def chosen(faces: FaceMeasures, **settings: object) -> tuple[int, str]:
        frame = choose_frame(TIMES, faces, AnalyzeSettings.model_validate(settings))
        assert frame.time_s == pytest.approx(frame.index / 10)
        return frame.index, frame.policy

    assert chosen(make_faces(4)) == (3, "peak")
    assert chosen(no_face) == (4, "middle")
    assert chosen(make_faces(4), frame="first") == (0, "first")
    assert chosen(make_faces(4), frame="middle") == (4, "middle")
    drawn = [chosen(no_face, frame="random", seed=seed) for seed in range(20)]
    assert drawn == [chosen(no_face, frame="random", seed=seed) for seed in range(20)]
    assert len(set(drawn)) > 3 and {policy for _, policy in drawn} == {"random"}
    assert choose_frame(TIMES[:1], no_face, AnalyzeSettings(frame="random")).policy == "only"


def test_a_stopwatch_adds_up() -> None:
    watch = Stopwatch()
    for _ in range(2):
        with watch.time("part"):
            np.zeros(10).sum()
    with pytest.raises(ZeroDivisionError), watch.time("broken"):
        _ = 1 / 0
    assert set(watch.seconds) == {"part", "broken"} and all(seconds > 0 for seconds in watch.seconds.values())


class SlowDict(dict[str, float]):
    """Lets other threads in between reading and writing."""

    def get(self, name: str, default: float = 0.0) -> float:  # type: ignore[override]
        found = super().get(name, default)
        time.sleep(0.01)
        return found


def test_threads_may_share_a_stopwatch() -> None:
    watch, both = Stopwatch(), threading.Barrier(3)
    watch.seconds = SlowDict()

    def work() -> None:
        with watch.time("a"):
            both.wait(timeout=30)
            time.sleep(0.05)

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert watch.seconds["a"] >= 0.15

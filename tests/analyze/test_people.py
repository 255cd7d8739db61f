"""Whom an answer is about and what each person is given: made-up people, a stand-in for the model."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from emotion_llama.analyze import people
from emotion_llama.analyze.people_notes import people_notes
from emotion_llama.analyze.perceive import Percept, present_inputs
from emotion_llama.clip import Clip, PeakFrame, Segment, Transcript, Word
from emotion_llama.errors import UsageError
from emotion_llama.measurements import FaceMeasures, FaceTrack, SoundMeasures, Turn
from emotion_llama.media.types import SAMPLE_RATE_HZ, MediaInfo, Waveform
from emotion_llama.perception.see import look_at
from emotion_llama.perception.voice import measure_voice
from emotion_llama.settings import AnalyzeSettings
from tests.perception.talking import still, talker

if TYPE_CHECKING:
    from emotion_llama import EmotionLlama

SECONDS = 6.0
TURNS = (Turn(0.5, 1.5, 0), Turn(2.0, 4.0, 1), Turn(5.0, 5.5, None))


class Reader:
    """Looks at another face of those that were found, without a net."""

    def look_at(self, measures: FaceMeasures, main: int | None, speech_s: object = ()) -> FaceMeasures:
        return look_at(measures, main, None, ())


def word(text: str, start_s: float) -> Word:
    return Word(text=text, start_s=start_s, end_s=start_s + 0.3, probability=0.9)


SAID = Transcript(
    text="yes I think not so",
    source="asr:whisper-base",
    segments=(
        Segment(text="yes", start_s=0.6, end_s=0.9, words=(word("yes", 0.6),)),
        Segment(
            text="I think not so",
            start_s=2.1,
            end_s=5.4,
            words=(word("I", 2.1), word("think", 2.6), word("not", 3.0), word("so", 5.1)),
        ),
    ),
)


def percept(tracks: tuple[FaceTrack, ...] | None = None, turns: tuple[Turn, ...] | None = TURNS) -> Percept:
    """Two people who speak in turn, and a voice from elsewhere at the end."""
    tracks = (talker(0, still, SECONDS), talker(1, still, SECONDS, 300)) if tracks is None else tracks
    faces = FaceMeasures(90, tracks, None, None, None, None, None)
    faces = look_at(faces, 0 if tracks else None, None)
    time_s = np.arange(round(SECONDS * SAMPLE_RATE_HZ)) / SAMPLE_RATE_HZ
    waveform = Waveform((0.3 * np.sin(2 * np.pi * 150 * time_s)).astype(np.float32))
    spans = tuple((turn.start_s, turn.end_s) for turn in TURNS)
    voice, trace = measure_voice(waveform, spans)
    media = MediaInfo(Path("a.png"), "video", SECONDS, 640, 240, 15.0, 0, True, True, "00")
    return Percept(
        clip=Clip(clip="a.mp4", path=Path("a.mp4")),
        media=media,
        faces=faces,
        frame=None,
        peak=PeakFrame(index=0, time_s=0.0, policy="only"),  # so that no file is read again
        sound=SoundMeasures(False, voice, trace, SAID),
        waveform=waveform,
        transcript=SAID,
        observations=(),
        turns=turns,
    )


def settings(person: str | int) -> AnalyzeSettings:
    return AnalyzeSettings.model_validate({"person": person})


def about(person: int, one: Percept | None = None) -> Percept:
    return people.about(one or percept(), person, settings("all"), Reader())  # type: ignore[arg-type]


def test_active_is_who_speaks_most_and_a_number_is_that_person() -> None:
    assert people.whom(percept(), settings("active")) == 1
    assert people.whom(percept(), settings("all")) == 0
    assert people.whom(percept(), settings(1)) == 1


def test_nobody_speaks_or_nobody_is_there() -> None:
    assert people.whom(percept(turns=()), settings("active")) == 0
    assert people.whom(percept(turns=(Turn(0, 5, None),)), settings("active")) == 0
    assert people.whom(percept(()), settings("active")) is None


def test_an_unknown_number_names_those_that_exist() -> None:
    with pytest.raises(UsageError, match=r"a\.mp4.*number 7; found 0, 1"):
        people.whom(percept(), settings(7))
    with pytest.raises(UsageError, match="none: no face is seen"):
        people.whom(percept(()), settings(0))


def test_frames_too_far_apart_are_said_not_guessed() -> None:
    far = percept(turns=None)
    with pytest.raises(UsageError, match="too far to see who speaks"):
        people.whom(far, settings("active"))
    assert any("too far apart" in note for note in people_notes(far, settings("all")))
    assert about(1, far).sound is far.sound


def test_a_speaker_has_the_own_voice_and_words_only() -> None:
    one = about(1)
    assert one.faces is not None and one.faces.main == 1
    assert one.transcript.text == "I think not"
    assert one.speech_s == ((2.0, 4.0),)
    assert one.waveform is not None
    loud = np.abs(one.waveform.samples.reshape(-1, 800)).max(axis=1) > 0.1  # 50 ms each
    assert not loud[10:30].any() and loud[40:80].all() and not loud[100:110].any()
    assert not one.whole
    assert present_inputs(one, settings("all")) == {"video": True, "audio": True, "text": True}


def test_who_never_speaks_has_no_voice_and_no_words() -> None:
    three = (*percept().faces.tracks, talker(2, still, SECONDS, 500))  # type: ignore[union-attr]
    one = about(2, percept(three))
    assert (one.sound, one.waveform, one.transcript.text) == (None, None, None)
    assert one.unheard == people.SILENT
    assert present_inputs(one, settings("all")) == {"video": True, "audio": False, "text": False}


def test_the_only_speaker_of_an_uncut_recording_is_given_all_of_it_unchanged() -> None:
    whole = percept(turns=tuple(replace(turn, person=0) for turn in TURNS))
    assert about(0, whole) is whole


def test_a_transcript_without_times_goes_to_who_speaks_most() -> None:
    given = percept()
    given = replace(given, transcript=Transcript(text="given words", source="given"))
    assert about(1, given).transcript.text == "given words"
    assert about(0, given).transcript.text is None


def test_each_person_has_a_row_for_each_role() -> None:
    seen: list[tuple[bool, str | None, int]] = []

    def score(one: Percept) -> tuple[str | None, dict[str, float]]:
        assert one.faces is not None and one.faces.main is not None
        seen.append((one.sound is not None, one.transcript.text, len(one.faces.tracks[one.faces.main].samples)))
        return "happy", {"happy": 0.75, "sad": 0.25}

    found = people.people_of(percept(), settings("all"), Reader(), score)  # type: ignore[arg-type]
    assert [(one.person, one.role) for one in found] == [
        (0, "all"), (0, "speaking"), (0, "listening"), (1, "all"), (1, "speaking"), (1, "listening"),
    ]  # fmt: skip
    assert [one.seconds for one in found] == pytest.approx([5.933, 1.0, 2.5, 5.933, 2.0, 1.5], abs=0.01)
    assert [heard for heard, _, _ in seen] == [True, True, False, True, True, False]
    assert [text for _, text, _ in seen] == ["yes", "yes", None, "I think not", "I think not", None]
    assert [count for _, _, count in seen] == pytest.approx([90, 15, 38, 90, 30, 23], abs=2)
    assert (found[0].emotion, found[0].confidence) == ("happy", 0.75)
    assert found[4].spans_s == ((2.0, 4.0),)


def test_only_so_many_people_are_described_and_the_notes_say_so() -> None:
    crowd = tuple(talker(number, still, 1.0, 100.0 * number) for number in range(12))
    crowd = (*crowd[:11], replace(crowd[11], samples=crowd[11].samples[:2]))
    assert [track.track for track in people.described(crowd)] == list(range(people.MOST_PEOPLE))
    notes = " ".join(people_notes(percept(crowd), settings("all")))
    assert "12 faces are in view at once: the 4 largest are followed" in notes
    assert "4 more faces were found but seen too shortly" in notes


def test_notes_say_whom_it_is_about_and_what_was_not_seen() -> None:
    notes = " ".join(people_notes(about(1), settings("active")))
    assert "about person 1, who speaks most (2.0 s)" in notes
    assert "In 0.5 s of 3.5 s of speech nobody in view is seen to speak" in notes
    assert list(people_notes(percept(), settings("main"))) == []
    assert "Nobody is in view" in " ".join(people_notes(percept(()), settings("all")))


def test_long_absences_and_many_cuts_are_said() -> None:
    one = percept((talker(0, still, SECONDS),))
    assert one.media is not None and one.faces is not None
    long = replace(
        one,
        media=replace(one.media, duration_s=140.0),
        faces=replace(one.faces, cuts_s=tuple(float(at) for at in range(1, 9))),
    )
    notes = " ".join(people_notes(long, settings("all")))
    assert "No face is in view from 6 s to 140 s" in notes
    assert "cuts every 1.0 s" in notes


def test_seen_spans_bridge_short_gaps_only() -> None:
    track = talker(0, still, 10.0)
    gone = replace(track, samples=tuple(s for s in track.samples if not 2 < s.time_s < 2.5 and not 5 < s.time_s < 8))
    spans = people.seen_spans(gone)
    assert [pytest.approx(span, abs=0.07) for span in spans] == [(0.0, 5.0), (8.0, 9.93)]


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"person": -1}, "begin at 0"),
        ({"person": "somebody"}, "person"),
        ({"person": "all", "baseline": ("a.mp4",)}, "baseline is of one person"),
        ({"person": 1, "features": "f"}, "those of the main person"),
    ],
)
def test_settings_that_do_not_go_together(wrong: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        AnalyzeSettings.model_validate(wrong)


def test_everybody_in_a_still_picture_is_described() -> None:
    still_faces = tuple(replace(track, samples=track.samples[:1]) for track in percept().faces.tracks)  # type: ignore[union-attr]
    assert len(people.described(still_faces)) == 2
    assert people.described(()) == []


@pytest.mark.slow
@pytest.mark.weights
def test_the_sample_speech_has_a_speaker_and_a_listener(nano: EmotionLlama) -> None:
    from emotion_llama import assets

    path = assets.path("sample-speech") / "obama_speech.mp4"
    found = nano.analyze(path, person="all", tasks=("emotion",), transcribe=False)
    rows = {(one.person, one.role): one for one in found.people}
    assert {(0, "all"), (0, "speaking"), (1, "all"), (1, "listening")} <= set(rows)
    assert (1, "speaking") not in rows
    assert all(sum(one.probabilities.values()) == pytest.approx(1) for one in found.people)
    assert rows[0, "speaking"].seconds > 4
    listener = nano.analyze(path, person=1, tasks=("emotion",), transcribe=False)
    assert [face.track for face in listener.faces if face.main] == [1]
    assert listener.inputs["audio"].reason == people.SILENT
    assert listener.probabilities == pytest.approx(rows[1, "all"].probabilities, abs=1e-4)

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from emotion_llama.measurements import Turn, VoiceTrace
from emotion_llama.perception.active_speaker import step_s, who_speaks
from tests.perception.talking import still, syllables, talker, voice

FIRST, SECOND = [(1.0, 3.0), (7.0, 9.0)], [(4.0, 6.0), (10.0, 12.0)]
BOTH = sorted(FIRST + SECOND)
SECONDS = 13.0


def both_voices(loudest_db: float = -20.0) -> VoiceTrace:
    one, other = syllables(1, FIRST), syllables(2, SECOND)
    return voice(lambda t: np.maximum(one(t), other(t)), BOTH, SECONDS, loudest_db)


def named(turns: tuple[Turn, ...]) -> list[int | None]:
    """Who speaks in each of the four spans; a span with two speakers fails."""
    assert [(turn.start_s, turn.end_s) for turn in turns] == [pytest.approx(span) for span in BOTH]
    return [turn.person for turn in turns]


@pytest.mark.parametrize("loudest_db", [-12.0, -45.0])
def test_two_people_who_take_turns(loudest_db: float) -> None:
    people = [talker(0, syllables(1, FIRST), SECONDS), talker(1, syllables(2, SECOND), SECONDS, 300)]
    assert named(who_speaks(people, both_voices(loudest_db))) == [0, 1, 0, 1]
    assert named(who_speaks(people[::-1], both_voices(loudest_db))) == [0, 1, 0, 1]


def test_a_voice_of_nobody_in_view() -> None:
    people = [talker(0, still, SECONDS), talker(1, still, SECONDS, 300)]
    assert named(who_speaks(people, both_voices())) == [None] * 4
    assert named(who_speaks([], both_voices())) == [None] * 4


def test_one_speaks_all_the_time_and_the_other_never() -> None:
    people = [talker(0, still, SECONDS), talker(1, syllables(1, FIRST), SECONDS, 300)]
    turns = who_speaks(people, voice(syllables(1, FIRST), FIRST, SECONDS))
    assert [turn.person for turn in turns] == [1, 1]


def test_a_mouth_that_moves_to_other_words_is_not_the_speaker() -> None:
    talks_to_herself = syllables(9, [(0.0, SECONDS)])
    people = [talker(0, talks_to_herself, SECONDS), talker(1, syllables(1, FIRST), SECONDS, 300)]
    turns = who_speaks(people, voice(syllables(1, FIRST), FIRST, SECONDS))
    assert [turn.person for turn in turns] == [1, 1]


def test_a_turn_may_change_inside_a_span() -> None:
    one, other = syllables(1, [(1.0, 5.0)]), syllables(2, [(5.0, 9.0)])
    trace = voice(lambda t: np.maximum(one(t), other(t)), [(1.0, 9.0)], 10.0)
    turns = who_speaks([talker(0, one, 10.0), talker(1, other, 10.0, 300)], trace)
    assert [turn.person for turn in turns] == [0, 1]
    assert turns[0].end_s == turns[1].start_s == pytest.approx(5.0, abs=0.5)
    assert (turns[0].start_s, turns[-1].end_s) == (1.0, 9.0)


def test_who_is_not_in_the_picture_cannot_speak() -> None:
    late = talker(1, syllables(1, FIRST), SECONDS, begin_s=6.0)
    turns = who_speaks([late], voice(syllables(1, FIRST), FIRST, SECONDS))
    assert [turn.person for turn in turns] == [None, 1]


def test_no_speech_and_very_short_speech() -> None:
    people = [talker(0, still, 3.0)]
    assert who_speaks(people, voice(still, [], 3.0)) == ()
    assert [turn.end_s for turn in who_speaks(people, voice(still, [(1.0, 1.05)], 3.0))] == [1.05]
    empty = np.zeros(0, np.float32)
    assert who_speaks(people, VoiceTrace(empty, empty, empty, ())) == ()


@pytest.mark.parametrize("late_s", [-0.04, 0.0, 0.08, 0.16])
def test_sound_out_of_step_with_the_picture(late_s: float) -> None:
    """Both mouths move all the time to words of their own; only the sound tells who is heard, and it comes late."""
    mouths = [syllables(seed, [(0.0, SECONDS)]) for seed in (1, 2)]

    def heard(time_s: NDArray[np.float64]) -> NDArray[np.float64]:
        first = ((time_s > 1) & (time_s < 3)) | ((time_s > 7) & (time_s < 9))
        return np.where(first, mouths[0](time_s - late_s), mouths[1](time_s - late_s))

    people = [talker(0, mouths[0], SECONDS), talker(1, mouths[1], SECONDS, 300)]
    assert named(who_speaks(people, voice(heard, BOTH, SECONDS))) == [0, 1, 0, 1]


def test_step_between_samples() -> None:
    assert step_s([talker(0, still, 3.0)]) == pytest.approx(1 / 15, abs=1e-3)
    assert step_s([]) == 0.0

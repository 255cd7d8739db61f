from __future__ import annotations

import random
import re
from collections.abc import Sequence

import pytest

from emotion_llama.answer import parse_emotion
from emotion_llama.clip import Channel, Observation
from emotion_llama.labels import LABEL_SETS, SYNONYMS
from emotion_llama.languages import language
from emotion_llama.perception.compose import (
    choose_clues,
    clue_phrases,
    compose_audio,
    compose_reason,
    compose_visual,
    reason_clues,
)

ENGLISH = language("en").reason


def clue(channel: Channel, name: str, value: float, text: str, *supports: str, direction: int = 1) -> Observation:
    source = {"face": "mesh-au-1", "voice": "voice-1", "words": "emotion-words-1", "scene": "scene-1"}[channel]
    return Observation.model_validate(
        {
            "channel": channel, "name": name, "value": value, "text": text, "source": source,
            "supports": supports, "direction": direction,
        }
    )  # fmt: skip


SMILE = clue("face", "AU12", 4.0, "the lip corners are strongly pulled up", "happy")
CHEEKS = clue("face", "AU06", 2.5, "the cheeks are raised", "happy")
BROWS = clue("face", "AU04", 1.0, "the brows are slightly lowered", "angry", "sad")
NOSE = clue("face", "AU09", 2.2, "the nose is wrinkled", "disgust")
HIGH = clue("voice", "f0_hz", 270.0, "the voice is slightly high", "happy", "fear")
USUAL = clue("voice", "speech_rate_syl_s", 4.0, "the speaking rate is ordinary", "neutral", direction=0)
MOUTH = clue("face", "AU26", 2.0, "the mouth opens with speech")
DARK = clue("scene", "brightness", 20.0, "the picture is dark", direction=-1)
CLUES = (SMILE, CHEEKS, BROWS, HIGH)

JOINING = (
    "which speaks for against it and both fit fits one two sign signs are is that does not also besides says little "
    "the measured no weak words name feeling so therefore thus hence overall taken together all in on balance "
    "conclusion summary speak emotion person seems"
)
FIXED_WORDS = set(re.findall(r"\w+", JOINING))


def left_over(text: str, clues: Sequence[Observation]) -> set[str]:
    """Words and numbers of a text that stand in no clue and are no fixed joining word."""
    given = " ".join(o.text for o in clues).lower()
    return set(re.findall(r"[\w'.]*\w", text.lower())) - set(re.findall(r"[\w'.]*\w", given)) - FIXED_WORDS


def test_strongest_first_and_two_channels() -> None:
    chosen = choose_clues([BROWS, NOSE, SMILE, CHEEKS, USUAL])
    assert chosen[0] == SMILE
    assert chosen[-1] == USUAL and BROWS not in chosen


def test_scene_and_bare_facts_are_no_first_choice() -> None:
    assert choose_clues([DARK, MOUTH, HIGH], limit=1) == (HIGH,)
    assert choose_clues([DARK]) == ()
    assert choose_clues([]) == ()


def test_what_was_said_is_no_clue_but_an_emotional_word_is() -> None:
    quote = Observation(channel="words", text="the words are “I hate it”", source="given", name="words")
    word = Observation(
        channel="words",
        text="“hate” is an openly emotional word",
        source="emotion-words-1",
        name="hate",
        supports=("angry",),
    )
    assert choose_clues([quote, word]) == (word,)


def test_phrases_are_the_texts() -> None:
    assert clue_phrases(CLUES) == tuple(o.text for o in CLUES)


def test_phrases_say_what_speaks_for_the_emotion_that_is_explained() -> None:
    plain = SMILE.model_copy(update={"supports": (), "text": "two faces are seen"})
    assert clue_phrases((SMILE, NOSE, plain), "joy") == (
        f"{SMILE.text}, which speaks for it", f"{NOSE.text}, which speaks against it", "two faces are seen",
    )  # fmt: skip
    assert clue_phrases((SMILE,), "a word of one's own") == (f"{SMILE.text}, which speaks against it",)


@pytest.mark.parametrize(
    ("emotion", "told"),
    [
        ("joy", (SMILE, HIGH, NOSE)),  # two that speak for it, from two channels, then one against it
        ("disgust", (NOSE, HIGH)),  # against it: from a channel that was not named yet
        ("contempt", (SMILE, HIGH)),  # nothing speaks for it: two against it
    ],
)
def test_a_reason_names_what_speaks_for_it_first_and_from_several_channels(
    emotion: str, told: tuple[Observation, ...]
) -> None:
    everything = (MOUTH, BROWS, NOSE, CHEEKS, HIGH, USUAL, SMILE, DARK)
    assert reason_clues(everything, emotion) == told
    assert reason_clues(told, emotion) == told
    text = compose_reason(everything, emotion, random.Random(0))
    places = [text.lower().find(o.text) for o in told]
    assert min(places) >= 0 and places == sorted(places)


def test_a_reason_without_telling_clues_names_one_at_most() -> None:
    assert reason_clues((MOUTH, DARK), "sad") == (MOUTH,)
    assert reason_clues((DARK,), "sad") == ()


@pytest.mark.parametrize("emotion", ["happy", "sad", "angry", "fear", "disgust", "neutral", "realization"])
def test_nothing_but_the_clues_and_the_emotion_is_said(emotion: str) -> None:
    endings = {"fear": "afraid", "disgust": "disgusted"}
    for seed in range(60):
        text = compose_reason(CLUES, emotion, random.Random(seed))
        assert left_over(text, CLUES) <= {emotion, endings.get(emotion, emotion)}
        assert 2 <= len(re.findall(r"[.](?: |$)", text)) <= 3


def test_for_and_against_are_told_apart() -> None:
    for seed in range(30):
        text = compose_reason((SMILE, NOSE), "happiness", random.Random(seed)).lower()
        smile, nose, against = (
            text.index("lip corners"), text.index("nose"),
            re.search(r"against|does not fit", text),
        )  # fmt: skip
        assert smile < nose
        assert against is not None and against.start() > smile + len("lip corners are strongly pulled up")


def test_two_channels_come_before_two_signs_of_one() -> None:
    text = compose_reason((SMILE, CHEEKS, HIGH), "happy", random.Random(0)).lower()
    assert "lip corners" in text and "voice is slightly high" in text and "cheeks" not in text


def test_without_support_the_text_says_so() -> None:
    for seed in range(20):
        rng = random.Random(seed)
        assert compose_reason((SMILE,), "sad", rng).startswith("No measured sign speaks for it; ")
        assert compose_reason((MOUTH,), "sad", rng).startswith("The measured signs are weak; ")
        assert compose_reason((), "sad", rng).startswith("The measured signs are weak. ")


@pytest.mark.parametrize("label_set", [*LABEL_SETS.values(), tuple(SYNONYMS)], ids=[*LABEL_SETS, "all"])
def test_every_ending_is_read_back_as_the_label(label_set: tuple[str, ...]) -> None:
    for label in label_set:
        for seed in range(30):
            assert parse_emotion(compose_reason((BROWS, HIGH), label, random.Random(seed)), label_set) == label


def test_endings_vary_and_a_seed_repeats() -> None:
    texts = [compose_reason(CLUES, "sad", random.Random(seed)) for seed in range(300)]
    assert (
        len({text.split(". ")[-1] for text in texts}) == len(ENGLISH.label_endings) + len(ENGLISH.feeling_endings) >= 12
    )
    assert texts == [compose_reason(CLUES, "sad", random.Random(seed)) for seed in range(300)]


def test_own_labels_end_as_they_are_written() -> None:
    endings = {compose_reason(CLUES, "tense", random.Random(seed)).split(". ")[-1] for seed in range(50)}
    assert all(ending.endswith("the emotion is tense.") for ending in endings)


def test_plain_words_are_told_only_where_they_are_plain() -> None:
    def texts(transcript: str | None) -> str:
        return " ".join(compose_reason((SMILE,), "happy", random.Random(seed), transcript) for seed in range(40))

    assert "the words name no feeling" in texts("Kids are talking by the door.").lower()
    assert "the words name no feeling" not in texts("I hate it.").lower()
    assert "the words name no feeling" not in (texts(None) + texts("")).lower()


def test_descriptions_hold_their_channel_only_and_no_conclusion() -> None:
    everything = (*CLUES, DARK)
    for seed in range(20):
        seen = compose_visual(everything, random.Random(seed))
        heard = compose_audio(everything, random.Random(seed))
        assert "voice" not in seen.lower() and heard == "The voice is slightly high."
        assert left_over(seen, everything) == set()
    assert compose_visual((HIGH,), random.Random(0)) == "Nothing of the face was measured."
    assert compose_audio((SMILE,), random.Random(0)) == "Nothing of the voice was measured."

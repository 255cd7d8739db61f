from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emotion_llama.answer import parse_emotion, parse_open
from emotion_llama.labels import LABEL_SETS

MER9 = LABEL_SETS["mer9"]
RAVDESS8 = LABEL_SETS["ravdess8"]


@pytest.mark.parametrize(
    ("text", "labels", "expected"),
    [
        (" happy", MER9, "happy"),
        ("Happy.", MER9, "happy"),
        ("the person shows joy", MER9, "happy"),
        ("joy", ("joy", "sadness"), "joy"),
        ("happy", ("joy", "sadness"), "joy"),
        ("they look afraid", RAVDESS8, "fearful"),
        ("a happy smile, joyful eyes", MER9, "happy"),
        ("unhappy", MER9, "sad"),
        ("no emotion", MER9, "neutral"),
        ("the person is not happy but sad", MER9, "sad"),
        ("neither happy nor sad, just angry", MER9, "angry"),
        ("she isn't really happy or surprised; she is worried", MER9, "worried"),
        ("raised brows suggest surprise and the voice is angry; the emotion is fear.", MER9, "fear"),
        ("first happy, then sad. Therefore, the person is sad", MER9, "sad"),
        ("The emotion of the speaker is contempt, not doubt.", MER9, "contempt"),
        ("Emotion: worried. It could be fear.", MER9, "worried"),
        ("very tired today", ("very tired", "tired"), "very tired"),
        ("stressed", ("stressed", "relaxed"), "stressed"),
    ],
)
def test_named_emotion(text, labels, expected):
    assert parse_emotion(text, labels) == expected


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("", MER9),
        ("I cannot tell from this clip", MER9),
        ("the person talks about a door", MER9),
        ("not happy", MER9),
        ("neither happy nor sad", MER9),
        ("without any sign of anger", MER9),
        ("happy and sad at once", MER9),
        ("the emotion is happy or sad", MER9),
        ("disgust", MER9),  # a known emotion, but not one that was asked for
        ("a madness of crowds, sadly", MER9),  # parts of words are no words
        ("happy", ()),
    ],
)
def test_what_names_no_label_is_none_and_never_neutral(text, labels):
    assert parse_emotion(text, labels) is None


@given(st.sampled_from(sorted(LABEL_SETS)), st.data())
def test_every_label_is_read_back(name, data):
    label = data.draw(st.sampled_from(LABEL_SETS[name]))
    assert parse_emotion(f"the clues agree; the emotion is {label}", LABEL_SETS[name]) == label


@given(st.text())
def test_any_text_gives_an_asked_label_or_none(text):
    assert parse_emotion(text, MER9) in (None, *MER9)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("tense, hopeful", ("tense", "hopeful")),
        ("Happy and very excited.", ("happy", "excited")),
        ("happy, happy", ("happy",)),
        ("The person seems nervous and a little embarrassed about what was said.", ("nervous", "embarrassed")),
        ("She is not angry at all, more disappointed than anything else here.", ("disappointed",)),
        ("", ()),
        ("there is nothing here that could be told from this picture alone", ()),
    ],
)
def test_open_words(text, expected):
    assert parse_open(text) == expected

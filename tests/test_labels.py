from __future__ import annotations

import pytest

from emotion_llama.errors import UsageError
from emotion_llama.labels import (
    LABEL_SETS,
    SYNONYMS,
    VALENCE,
    canonical,
    is_known,
    known_words,
    parse_label_set,
    translate,
    valence,
)

SIZES = {"mer9": 9, "mer6": 6, "dfew7": 7, "ravdess8": 8, "crema6": 6, "emodb7": 7, "meld7": 7, "fer7": 7, "mux8": 8}


def test_sets_have_the_sizes_their_names_say() -> None:
    assert {name: len(words) for name, words in LABEL_SETS.items()} == SIZES


@pytest.mark.parametrize("name", LABEL_SETS)
def test_every_label_of_a_set_has_its_own_canonical_name(name: str) -> None:
    names = [canonical(word) for word in LABEL_SETS[name]]
    assert len(set(names)) == len(names)
    assert set(names) <= set(VALENCE)


def test_no_word_stands_for_two_emotions() -> None:
    words = known_words()
    assert len(set(words)) == len(words)
    assert set(VALENCE) == set(SYNONYMS)


@pytest.mark.parametrize(("word", "name"), [("joy", "happy"), ("Fearful", "fear"), (" anger ", "angry")])
def test_canonical(word: str, name: str) -> None:
    assert canonical(word) == name


def test_unknown_label_suggests_a_near_one() -> None:
    assert not is_known("hapy")
    with pytest.raises(UsageError, match=r"'hapy'.*did you mean 'happy'"):
        canonical("hapy")


@pytest.mark.parametrize(
    ("word", "target", "expected"),
    [("joy", "ravdess8", "happy"), ("fear", "ravdess8", "fearful"), ("surprised", "mer9", "surprise")],
)
def test_translate(word: str, target: str, expected: str) -> None:
    assert translate(word, LABEL_SETS[target]) == expected


@pytest.mark.parametrize("source", LABEL_SETS)
@pytest.mark.parametrize("target", LABEL_SETS)
def test_translation_there_and_back(source: str, target: str) -> None:
    shared = {canonical(word) for word in LABEL_SETS[source]} & {canonical(word) for word in LABEL_SETS[target]}
    for word in LABEL_SETS[source]:
        if canonical(word) in shared:
            assert translate(translate(word, LABEL_SETS[target]), LABEL_SETS[source]) == word


def test_translate_without_counterpart() -> None:
    with pytest.raises(UsageError, match="contempt"):
        translate("contempt", LABEL_SETS["ravdess8"])


def test_parse_label_set() -> None:
    assert parse_label_set("MER6") == LABEL_SETS["mer6"]
    assert parse_label_set("open") == ()
    assert parse_label_set(" Tense, relieved ") == ("tense", "relieved")


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("mer7", "Did you mean 'mer"),
        ("happy,sad,happy", "happy more than once"),
        ("", "unknown label set"),
        (",", "label"),
    ],
)
def test_parse_label_set_refuses(spec: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_label_set(spec)


def test_valence_is_the_mean_over_known_labels() -> None:
    assert valence({"happy": 1.0}) == pytest.approx(0.9)
    assert valence({"happy": 0.5, "sadness": 0.5}) == pytest.approx(0.1)
    assert valence({"tense": 0.6, "joy": 0.4}) == pytest.approx(0.9)
    assert valence({"tense": 1.0}) is None

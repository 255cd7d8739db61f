"""What a sample asks: label sets that hold the answer in any order, clues of the right senses, the inputs' features."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emotion_llama.clip import Task
from emotion_llama.labels import LABEL_SETS, canonical
from emotion_llama.train.asking import asked_labels, clues_for, composed, features_of, hide_some, inputs_of
from emotion_llama.train.config import FeatureSettings, SampleSettings
from emotion_llama.train.examples import Example

Make = dict[str, Callable[..., Example]]
RAVDESS8 = LABEL_SETS["ravdess8"]
DRAWS = 2000


def asked(
    label: str = "fearful", own: tuple[str, ...] = RAVDESS8, task: Task = "emotion", **settings: Any
) -> list[tuple[tuple[str, ...], str]]:
    chosen = SampleSettings.model_validate(settings)
    return [asked_labels(random.Random(n), task, label, own, chosen) for n in range(DRAWS)]


def bound(share: float) -> float:
    """Five standard deviations of a share of `DRAWS`."""
    return float(5 * np.sqrt(share * (1 - share) / DRAWS))


def test_the_answer_is_always_among_the_labels_and_means_the_same() -> None:
    for labels, label in asked(named_sets=0.4, made_up_sets=0.4):
        assert canonical(label) == "fear"
        assert not labels or label in labels
        assert len({canonical(word) for word in labels}) == len(labels)  # no second right answer


def test_the_place_of_the_answer_gives_nothing_away() -> None:
    for settings in ({}, {"named_sets": 1.0}, {"made_up_sets": 1.0}):
        draws = [(labels, label) for labels, label in asked(**settings) if labels]
        places = [labels.index(label) / (len(labels) - 1) for labels, label in draws]
        assert np.mean(places) == pytest.approx(0.5, abs=0.05)
    orders = Counter(labels for labels, _ in asked())
    assert len(orders) > DRAWS * 0.9  # of 8! orders
    firsts = Counter(labels[0] for labels, _ in asked())
    assert all(abs(firsts[word] / DRAWS - 1 / 8) < bound(1 / 8) for word in RAVDESS8)


def test_without_shuffling_sets_keep_their_order() -> None:
    assert set(asked(shuffle_labels=False)) == {(RAVDESS8, "fearful")}
    for labels, label in asked(shuffle_labels=False, named_sets=1.0):
        assert labels in LABEL_SETS.values() and label in labels


def test_own_named_and_made_up_sets_come_as_often_as_asked() -> None:
    draws = asked(named_sets=0.3, made_up_sets=0.2)
    named = {frozenset(words) for words in LABEL_SETS.values() if "fear" in map(canonical, words)}
    found = Counter(
        "own" if set(labels) == set(RAVDESS8) else "named" if frozenset(labels) in named else "made-up"
        for labels, _ in draws
    )
    own = 0.5 + 0.3 / len(named)  # its own set is one of the named
    for kind, share in (("own", own), ("named", 0.3 * (1 - 1 / len(named))), ("made-up", 0.2)):
        assert found[kind] / DRAWS == pytest.approx(share, abs=bound(share)), kind
    assert {frozenset(labels) for labels, _ in draws} >= named


def test_made_up_sets_vary_and_some_name_no_label() -> None:
    draws = asked(made_up_sets=1.0)
    free = [label for labels, label in draws if not labels]
    assert len(free) / DRAWS == pytest.approx(0.1, abs=bound(0.1)) and set(free) == {"fear"}
    sizes = Counter(len(labels) for labels, _ in draws if labels)
    assert set(sizes) == set(range(2, 11))
    assert len({label for _, label in draws}) > 3  # other words of the same emotion


def test_words_outside_the_table_are_asked_as_they_are() -> None:
    for labels, label in asked("homesick", ("homesick", "sad"), named_sets=0.5, made_up_sets=0.5):
        assert label == "homesick" and set(labels) == {"homesick", "sad"}
    assert set(asked("homesick", ())) == {((), "homesick")}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_reasons_are_told_the_right_label_as_often_as_asked(share: float) -> None:
    draws = asked(task="reason", told=share, named_sets=0.3, made_up_sets=0.3)
    for labels, label in draws:
        assert canonical(label) == "fear" and (not labels or label in labels)
    told = [labels for labels, _ in draws if len(labels) == 1]  # no set that is asked has a single label
    assert len(told) / DRAWS == pytest.approx(share, abs=bound(share) + 1e-9)
    assert share < 1 or {label for _, label in draws} > {"fearful", "fear"}  # in the words of the set it was drawn from


def test_only_reasons_are_told_and_only_what_is_known() -> None:
    for task in ("emotion", "visual", "audio"):
        assert asked(task=task, told=1.0) == asked(told=0.0)  # type: ignore[arg-type]  # literals
        assert all(len(labels) == 8 for labels, _ in asked(task=task, told=1.0))  # type: ignore[arg-type]
    assert set(asked("", (), task="reason", told=1.0)) == {((), "")}  # a reasoning without a label gives none away
    assert SampleSettings().told == 0.75


def test_clues_are_of_the_senses_a_task_asks_about(make: Make) -> None:
    seen = make["film"]("happy", "p0").observations
    channels = {
        task: {o.channel for o in clues_for(task, seen, 9)} for task in ("emotion", "reason", "visual", "audio")
    }
    assert channels["emotion"] == set() and channels["audio"] == {"voice"}
    assert channels["visual"] <= {"face", "scene"} and "face" in channels["visual"]
    assert channels["reason"] >= {"face", "voice"}
    assert len(clues_for("reason", seen, 1)) == 1


def test_targets_are_the_label_or_made_of_the_clues(make: Make) -> None:
    example = make["film"]("happy", "p0")
    rng = random.Random(0)
    assert composed("emotion", (), "happy", rng, None) == "happy"
    for task, part in (("visual", "lip corners"), ("audio", "is loud"), ("reason", "happy")):
        clues = clues_for(task, example.observations, 4)
        assert part in composed(task, clues, "happy", rng, example.transcript)


def groups(*names: str, **heads: str) -> list[FeatureSettings]:
    found = [FeatureSettings(name=n, modality="audio" if n.startswith("audio") else "video") for n in names]
    return found + [
        FeatureSettings(name=n, modality="audio" if n.startswith("voice") else "video", head=h)
        for n, h in heads.items()
    ]


def test_features_are_those_of_the_wanted_inputs_and_what_is_lacking_has_no_entry(make: Make) -> None:
    example = make["film"]("happy", "p0")
    opinion = np.ones((1, 8), np.float32)
    wanted = groups("global", "audio_mix", "audio_none", voice="h")
    opinions = {"h": {example.id: opinion}}
    assert set(features_of(example, wanted, opinions, ("video", "audio"))) == {"global", "audio_mix", "voice"}
    assert set(features_of(example, wanted, opinions, ("video",))) == {"global"}
    assert set(features_of(example, wanted, {}, ("audio",))) == {"audio_mix"}
    assert features_of(example, wanted, opinions, ("text",)) == {}
    found = features_of(example, wanted, opinions, ("audio",))
    np.testing.assert_array_equal(found["audio_mix"], example.arrays["audio_mix"])
    np.testing.assert_array_equal(found["voice"], opinion)


def test_fewer_tokens_than_rows_are_asked_for(make: Make) -> None:
    example = make["voice"]("happy", "p0")
    rows = example.arrays["audio_mix"]
    assert rows.shape == (3, 5)
    for tokens in (1, 2, 3, 5):
        group = FeatureSettings(name="audio_mix", modality="audio", tokens=tokens)
        found = features_of(example, [group], {}, ("audio",))["audio_mix"]
        assert found.shape == (min(tokens, 3), 5) and found.dtype == np.float32
    one = FeatureSettings(name="audio_mix", modality="audio", tokens=1)
    np.testing.assert_allclose(
        features_of(example, [one], {}, ("audio",))["audio_mix"][0], rows.mean(axis=0), rtol=1e-5
    )


def test_an_example_has_the_inputs_of_which_a_group_is_there(make: Make) -> None:
    film, voice, line = make["film"]("happy", "p0"), make["voice"]("happy", "p0"), make["text"]("happy", "p0")
    both = groups("global", "audio_mix")
    assert inputs_of(film, both, {}) == ("video", "audio", "text")
    assert inputs_of(voice, both, {}) == ("audio", "text")
    assert inputs_of(line, both, {}) == ("text",)
    assert inputs_of(film, groups("global"), {}) == ("video", "text")  # nothing reads its sound
    heard = groups(voice_emotion="h")  # a model that hears through a head alone
    assert inputs_of(voice, heard, {"h": {voice.id: np.ones((1, 8), np.float32)}}) == ("audio", "text")
    assert inputs_of(voice, heard, {}) == ("text",)


HIDDEN = ("global", "local", "temporal", "audio_mix", "voice")


def hidden(there: tuple[str, ...] = HIDDEN, **shares: float) -> list[list[str]]:
    """Which groups stay, in their order, draw by draw."""
    wanted = groups("global", "local", "temporal", "audio_mix", voice="h")
    features = {name: np.full((1, 2), number, np.float32) for number, name in enumerate(HIDDEN) if name in there}
    chosen = SampleSettings(feature_drop=shares)
    found = [hide_some(random.Random(n), features, wanted, chosen) for n in range(DRAWS)]
    assert all(rows is features[name] for one in found for name, rows in one.items())
    return [list(one) for one in found]


def test_groups_are_hidden_one_by_one_as_often_as_asked() -> None:
    shares = {"local": 0.3, "temporal": 0.6, "voice": 0.5}  # global and audio_mix always stay
    found = hidden(**shares)
    for name in HIDDEN:
        share = shares.get(name, 0.0)
        assert np.mean([name not in kept for kept in found]) == pytest.approx(share, abs=bound(share) + 1e-9), name
    together = np.mean([not {"local", "temporal"} & set(kept) for kept in found])
    assert together == pytest.approx(0.18, abs=bound(0.18))  # each by a chance of its own
    assert all(kept == [name for name in HIDDEN if name in kept] for kept in found)  # the order of the prompt
    assert {tuple(kept) for kept in hidden()} == {HIDDEN}


def test_one_group_of_each_input_always_stays() -> None:
    found = hidden(**dict.fromkeys(HIDDEN, 1.0))
    assert {len(kept) for kept in found} == {2}
    pairs = Counter(tuple(kept) for kept in found)
    assert set(pairs) == {(seen, heard) for seen in HIDDEN[:3] for heard in HIDDEN[3:]}  # whichever: none is leaned on
    assert all(count / DRAWS == pytest.approx(1 / 6, abs=bound(1 / 6)) for count in pairs.values())
    assert {tuple(kept) for kept in hidden(("voice",), voice=1.0)} == {("voice",)}
    assert {tuple(kept) for kept in hidden((), voice=1.0)} == {()}
    share = 0.5**2 * (2 / 3)  # two of three hidden, or all and one of the others came back
    found = hidden(("global", "local", "temporal"), **{"global": 0.5, "local": 0.5, "temporal": 0.5})
    alone = np.mean([kept == ["global"] for kept in found])
    assert alone == pytest.approx(share, abs=bound(share))


def test_what_is_made_of_both_inputs_needs_both(make: Make) -> None:
    example = make["voice"]("happy", "p0")
    rows = np.zeros((1, 2), np.float32)
    arrays = {"look": rows, "sound": rows, "both": rows}
    example = replace(example, arrays=arrays)
    groups = (
        FeatureSettings(name="look", modality="video"),
        FeatureSettings(name="sound", modality="audio"),
        FeatureSettings(name="both", modality="audio", joint=True),
    )
    assert tuple(features_of(example, groups, {}, ("video", "audio"))) == ("look", "sound", "both")
    assert tuple(features_of(example, groups, {}, ("audio", "text"))) == ("sound",)
    assert tuple(features_of(example, groups, {}, ("video",))) == ("look",)

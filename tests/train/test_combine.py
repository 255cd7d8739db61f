"""Voices, faces and words put together: one emotion, save for neutral stand-ins and words that contradict."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emotion_llama.answer import parse_emotion, parse_open
from emotion_llama.errors import ManifestError
from emotion_llama.labels import LABEL_SETS, VALENCE, canonical
from emotion_llama.model.processing import TrainSample
from emotion_llama.train.asking import Opinions
from emotion_llama.train.combine import COMBINATIONS, EMOTIONS, FACE_STAND_INS, OPPOSITE, Combiner
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.examples import Example

Make = dict[str, Callable[..., Example]]
MakeConfig = Callable[..., TrainConfig]
MakeSampler = Callable[..., Combiner]
DRAWS = 2000
USUAL = (
    "samples.mix=combine", "samples.tasks={emotion: 6, reason: 2, visual: 1, audio: 1}", "samples.named_sets=0.5",
    "samples.made_up_sets=0.4", "samples.feature_drop={face_emotion: 0.1, voice_emotion: 0.1}",
)  # fmt: skip


@pytest.fixture(scope="module")
def draws(make_sampler: MakeSampler) -> list[TrainSample]:
    combiner = make_sampler(Combiner, *USUAL)
    return [combiner.draw(index) for index in range(DRAWS)]


@pytest.fixture(scope="module")
def emotion_of(examples: list[Example]) -> dict[str, str]:
    """Example id → what it was made for."""
    return {e.id: str(e.emotion) for e in examples}


def parts(sample: TrainSample) -> list[str]:
    return [] if sample.clip == "words" else sample.clip.split("+")


def inputs(sample: TrainSample) -> tuple[bool, bool, bool]:
    return "local" in sample.features, "audio_mix" in sample.features, sample.transcript is not None


def line_emotion(transcript: str) -> str:
    """What an invented line was made for; what people say in front of a microphone is made for nothing."""
    match = re.fullmatch(r"Line \d of \w+ is (\w+)", transcript)
    return match[1] if match else "neutral"


def wanted(sample: TrainSample, emotion_of: dict[str, str]) -> str | None:
    """The emotion of a sample by its own parts: a voice tells it, a face unless it may stand in for another."""
    emotions = {emotion_of[part] for part in parts(sample)} - {"neutral"}
    return emotions.pop() if emotions else None


def plain(sample: TrainSample) -> tuple[Any, ...]:
    features = {name: rows.tolist() for name, rows in sample.features.items()}
    return (*(v for name, v in vars(sample).items() if name != "features"), features)


def test_a_draw_is_a_function_of_seed_and_number_alone(make_sampler: MakeSampler) -> None:
    one, other = make_sampler(Combiner, *USUAL), make_sampler(Combiner, *USUAL)
    forwards = [plain(one.draw(n)) for n in range(30)]
    assert [plain(other.draw(n)) for n in reversed(range(30))] == forwards[::-1]
    another = make_sampler(Combiner, *USUAL, seed=1)
    assert sum(plain(another.draw(n)) == forwards[n] for n in range(30)) < 5


def test_voice_and_face_of_a_sample_show_the_same_emotion(draws: list[TrainSample], emotion_of: dict[str, str]) -> None:
    both = [s for s in draws if len(parts(s)) == 2]
    assert len(both) > DRAWS / 5
    stood_in = 0
    for sample in both:
        face, voice = (emotion_of[part] for part in parts(sample))
        assert face == voice or (voice in FACE_STAND_INS and face in FACE_STAND_INS[voice]), sample.clip
        stood_in += face != voice
    assert stood_in > 10


def test_the_label_is_in_the_drawn_set_and_names_the_emotion(
    draws: list[TrainSample], emotion_of: dict[str, str]
) -> None:
    asked = [s for s in draws if s.task == "emotion"]
    assert len(asked) > DRAWS / 2
    for sample in asked:
        assert canonical(sample.answer) in EMOTIONS
        assert len({canonical(word) for word in sample.labels}) == len(sample.labels)
        if sample.labels:
            assert sample.answer in sample.labels and len(sample.labels) >= 2
        shown = wanted(sample, emotion_of)
        assert shown is None or canonical(sample.answer) == shown


def test_label_sets_and_orders_vary(draws: list[TrainSample]) -> None:
    sets = Counter(frozenset(s.labels) for s in draws)
    assert all(sets[frozenset(words)] > 0 for words in LABEL_SETS.values())
    assert sets[frozenset()] > 0 and len(sets) > 300
    places = [s.labels.index(s.answer) / (len(s.labels) - 1) for s in draws if s.task == "emotion" and s.labels]
    assert np.mean(places) == pytest.approx(0.5, abs=0.05)


def test_words_beside_a_voice_or_face_fit_say_nothing_or_contradict(
    draws: list[TrainSample], emotion_of: dict[str, str]
) -> None:
    told = [(line_emotion(s.transcript), wanted(s, emotion_of)) for s in draws if parts(s) and s.transcript]
    told = [(line, shown) for line, shown in told if shown is not None]
    kinds = Counter("fits" if line == shown else "plain" if line == "neutral" else "against" for line, shown in told)
    assert len(told) > 500
    for line, shown in told:
        if line not in (shown, "neutral"):  # contradicting words are of a clearly different valence
            assert abs(VALENCE[line] - VALENCE[str(shown)]) > OPPOSITE
    shares = {kind: count / len(told) for kind, count in kinds.items()}
    assert shares["plain"] > 0.4 and shares["against"] > 0.1 and shares["fits"] > 0.15


def test_lines_alone_always_carry_their_emotion(draws: list[TrainSample]) -> None:
    alone = [s for s in draws if inputs(s) == (False, False, True)]
    assert len(alone) > 50
    assert all(line_emotion(str(s.transcript)) == canonical(s.answer) for s in alone if s.task == "emotion")


def test_combinations_of_inputs_come_as_often_as_the_table_says(draws: list[TrainSample]) -> None:
    """Where each emotion is in every pool, draws follow the table; the made pools lack few."""
    counts = Counter(inputs(s) for s in draws)
    assert set(counts) == {
        (v in c, a in c, t in c) for c in [*COMBINATIONS, ()] for v, a, t in [("video", "audio", "text")]
    }
    blank = [s for s in draws if inputs(s) == (False, False, False)]
    assert len(blank) / DRAWS == pytest.approx(0.03, abs=0.02)
    assert all(s.task == "emotion" and not s.features and not s.clues and s.clip == "words" for s in blank)
    assert len({canonical(s.answer) for s in blank}) > 5  # the prior is learned over many labels
    assert counts[True, True, True] > counts[True, True, False] > counts[True, False, True]


def test_clues_name_only_the_samples_own_observations(draws: list[TrainSample]) -> None:
    told = [s for s in draws if s.clues]
    assert len(told) > 200
    for sample in told:
        for clue in sample.clues:
            about = re.search(r"of ((?:voices|faces|films)/\w+/\w+)", clue)
            assert not about or about[1] in parts(sample), (clue, sample.clip)
            assert about or sample.transcript, clue
            if "lip corners" in clue:  # a film that is only heard shows nothing
                assert "local" in sample.features and about and about[1] == parts(sample)[0]
        if sample.task == "visual":
            assert all("lip corners" in clue or "room of" in clue for clue in sample.clues)
        if sample.task == "audio":
            assert all("is loud" in clue for clue in sample.clues)
    assert not any(s.clues for s in draws if s.task == "emotion")
    assert not any("the words of" in clue for s in draws for clue in s.clues)  # a voice's own words stay out


def test_reasons_are_read_back_as_their_label(draws: list[TrainSample], emotion_of: dict[str, str]) -> None:
    reasons = [s for s in draws if s.task == "reason"]
    assert len(reasons) > 150
    for sample in reasons:
        shown = wanted(sample, emotion_of)
        if sample.labels:
            read = parse_emotion(sample.answer, sample.labels)
            assert read is not None, sample.answer
            assert shown is None or canonical(read) == shown, sample.answer
        elif shown is not None:
            assert shown in {canonical(word) for word in parse_open(sample.answer)}, sample.answer


def test_descriptions_need_something_described(draws: list[TrainSample]) -> None:
    kinds = Counter(s.task for s in draws)
    assert kinds["visual"] > 20 and kinds["audio"] > 20
    assert all("local" in s.features for s in draws if s.task == "visual")
    assert all("audio_mix" in s.features for s in draws if s.task == "audio")


def test_features_have_the_shapes_the_order_and_the_owners_of_the_sample(
    draws: list[TrainSample], opinions: Opinions, make_config: MakeConfig
) -> None:
    order = [group.name for group in make_config().model.features]
    shapes = {"global": (1, 6), "local": (2, 135), "temporal": (4, 36), "audio_mix": (3, 5)}
    for sample in draws:
        assert list(sample.features) == [name for name in order if name in sample.features]
        for name, rows in sample.features.items():
            assert rows.dtype == np.float32 and np.isfinite(rows).all()
            assert rows.shape == shapes.get(name, rows.shape)
            if name.endswith("_emotion"):  # opinions of the part itself, as they were given
                owner = parts(sample)[0 if name.startswith("face") else -1]
                np.testing.assert_array_equal(rows, opinions[name][owner])


def test_still_faces_get_a_course_of_movement_half_the_time_films_keep_their_own(
    draws: list[TrainSample], examples: list[Example]
) -> None:
    own = {e.id: e.arrays for e in examples}
    still = [s for s in draws if "local" in s.features and parts(s)[0].startswith("faces/")]
    assert np.mean(["temporal" in s.features for s in still]) == pytest.approx(0.5, abs=0.1)
    peaks = [np.array_equal(s.features["local"][1], own[parts(s)[0]]["local"][1]) for s in still]
    means = [np.abs(s.features["local"][0] - own[parts(s)[0]]["local"][0]).max() for s in still]
    assert all(peaks) and 0.1 < np.median(means) < 0.6  # other frames differ a little, the peak is what was seen
    for sample in draws:
        if "local" in sample.features and parts(sample)[0].startswith("films/"):
            for name in ("temporal", "local"):
                np.testing.assert_array_equal(sample.features[name], own[parts(sample)[0]][name])


@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
def test_feature_groups_are_hidden_as_often_as_asked(make_sampler: MakeSampler, share: float) -> None:
    combiner = make_sampler(Combiner, "samples.mix=combine", f"samples.feature_drop={{voice_emotion: {share}}}")
    samples = [combiner.draw(n) for n in range(600)]
    heard = ["voice_emotion" in s.features for s in samples if "audio_mix" in s.features]
    assert 1 - np.mean(heard) == pytest.approx(share, abs=5 * np.sqrt(share * (1 - share) / len(heard)) + 1e-9)


def test_a_shown_face_or_voice_keeps_a_feature_group(make_sampler: MakeSampler, make_config: MakeConfig) -> None:
    drop = ", ".join(f"{group.name}: 1" for group in make_config().model.features)
    combiner = make_sampler(Combiner, "samples.mix=combine", f"samples.feature_drop={{{drop}}}")
    whole = make_sampler(Combiner, "samples.mix=combine")
    for number in range(300):
        kept, every = combiner.draw(number).features, whole.draw(number).features
        for heard in (True, False):
            of_input = [[n for n in f if (n in ("audio_mix", "voice_emotion")) == heard] for f in (kept, every)]
            assert len(of_input[0]) == min(1, len(of_input[1]))


def test_a_face_of_which_only_the_whole_picture_is_read_is_shown(make_sampler: MakeSampler) -> None:
    """The whole picture is left out half the time, but not where nothing else of the face is there."""
    few = "model.features=[{name: global, modality: video}, {name: audio_mix, modality: audio}]"
    combiner = make_sampler(Combiner, "samples.mix=combine", few)
    for sample in (combiner.draw(n) for n in range(300)):
        faces = parts(sample)[:-1] if "audio_mix" in sample.features else parts(sample)
        assert ("global" in sample.features) == bool(faces), sample.clip


def test_reasons_are_told_their_label_as_often_as_asked(draws: list[TrainSample]) -> None:
    reasons = [len(s.labels) == 1 for s in draws if s.task == "reason"]
    assert np.mean(reasons) == pytest.approx(0.75, abs=5 * np.sqrt(0.75 * 0.25 / len(reasons)))
    assert not any(len(s.labels) == 1 for s in draws if s.task != "reason")


@pytest.fixture
def combiner_of(make_config: MakeConfig) -> Callable[..., Combiner]:
    """A combiner over examples of one's own, without opinions."""

    def made(examples: list[Example], *words: str) -> Combiner:
        config = make_config("samples.mix=combine", "samples.blank=0", *words)
        return Combiner(examples, config.data.sources, config.model.features, {}, config.samples, 0)

    return made


def test_emotions_that_a_pool_lacks_are_not_drawn_for_that_input(
    make: Make, combiner_of: Callable[..., Combiner]
) -> None:
    few = [make["voice"]("sad", "p0"), make["face"]("happy", "p0"), make["text"]("neutral", "p0")]
    for sample in (combiner_of(few).draw(n) for n in range(300)):
        assert len(parts(sample)) < 2
        if sample.task == "emotion" and parts(sample):
            assert canonical(sample.answer) == ("sad" if "voices" in sample.clip else "happy")


def test_sources_are_drawn_by_weight_and_not_at_all_without_one(
    make: Make, combiner_of: Callable[..., Combiner]
) -> None:
    two = [make["voice"]("sad", "p0"), make["film"]("sad", "p0"), make["voice"]("happy", "p1")]

    def shares(films: float) -> dict[str, float]:
        combiner = combiner_of(two, f"data.sources.films.weight={films}")
        drawn = Counter(
            parts(s)[-1].split("/")[0]
            for s in (combiner.draw(n) for n in range(1000))
            if "audio_mix" in s.features and canonical(s.answer) == "sad"
        )
        return {name: count / sum(drawn.values()) for name, count in drawn.items()}

    assert shares(3.0)["films"] == pytest.approx(0.75, abs=0.1)
    assert shares(0.0) == {"voices": 1.0}  # also where all faces were its own


def test_pools_that_can_give_no_sample_are_an_error(make: Make, combiner_of: Callable[..., Combiner]) -> None:
    odd = replace(make["voice"]("sad", "p0"), label="frustrated", emotion="frustrated")  # never drawn
    for examples in ([], [odd]):
        with pytest.raises(ManifestError, match="combinations: expected voices, faces or lines of text"):
            combiner_of(examples)
    with pytest.raises(ManifestError, match="combinations"):
        combiner_of([make["voice"]("sad", "p0")], "data.sources.voices.weight=0")


def test_lines_of_free_words_do_no_harm(make: Make, combiner_of: Callable[..., Combiner]) -> None:
    lines = [make["text"](word, "p0") for word in ("neutral", "happy", "homesick")]
    combiner = combiner_of([*lines, make["voice"]("sad", "p0"), make["face"]("happy", "p0")])
    told = {s.transcript for s in (combiner.draw(n) for n in range(400))}
    assert lines[1].transcript in told and lines[2].transcript not in told


def test_only_descriptions_may_be_asked_for(make: Make, combiner_of: Callable[..., Combiner]) -> None:
    """Where no description is possible, a label is asked for, whatever its share."""
    combiner = combiner_of([make["voice"]("sad", "p0")], "samples.tasks={emotion: 0, visual: 1}")
    assert {combiner.draw(n).task for n in range(50)} == {"emotion"}


def test_closed_questions_show_two_inputs_and_ask_one_set(
    make_sampler: MakeSampler, emotion_of: dict[str, str]
) -> None:
    combiner = make_sampler(Combiner, *USUAL, side="validation")
    found = [combiner.closed(n) for n in range(400)]
    kept = [s for s in found if s is not None]
    assert 50 < len(kept) < 400
    for sample in kept:
        assert sample.labels == LABEL_SETS["ravdess8"] and sample.task == "emotion"
        assert sum(inputs(sample)) >= 2
        assert sample.answer in sample.labels
        shown = wanted(sample, emotion_of)
        assert shown is None or canonical(sample.answer) == shown
        assert all("/p4/" in part for part in parts(sample))  # of the validation person
    again = make_sampler(Combiner, *USUAL, side="validation").closed
    assert [s and plain(s) for s in found[:40]] == [s and plain(s) for s in map(again, range(40))]

"""Draws from invented examples: what every sample must hold, and how often each kind occurs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest

from emotion_llama.answer import parse_emotion, parse_open
from emotion_llama.labels import LABEL_SETS, canonical
from emotion_llama.model.processing import TrainSample
from emotion_llama.train.combine import EMOTIONS, Combiner, Pool
from emotion_llama.train.config import NanoTraining

Settings = Callable[..., NanoTraining]
DRAWS = 2000


@pytest.fixture(scope="module")
def draws(pool: Pool, settings: Settings) -> list[TrainSample]:
    combiner = Combiner(pool, settings(), seed=0)
    return [combiner.draw() for _ in range(DRAWS)]


def line_emotion(transcript: str) -> str:
    """The emotion an invented line was made for; what voices say in acted corpora is made for none."""
    match = re.fullmatch(r"This line \d is (\w+)", transcript)
    return match[1] if match else "neutral"


def true_emotion(sample: TrainSample) -> str | None:
    """What the voice of a sample was made for."""
    match = re.search(r"voice/(\w+)/", sample.clip)
    return match[1] if match else None


def test_label_is_in_the_drawn_set_and_names_the_emotion(draws: list[TrainSample]) -> None:
    emotions = [s for s in draws if s.task == "emotion"]
    assert len(emotions) > DRAWS / 2
    for sample in emotions:
        assert canonical(sample.answer) in EMOTIONS
        assert len({canonical(word) for word in sample.labels}) == len(sample.labels)
        if sample.labels:
            assert sample.answer in sample.labels and len(sample.labels) >= 2
        if (heard := true_emotion(sample)) is not None:
            assert canonical(sample.answer) == heard


def test_voice_and_face_of_a_sample_were_made_for_the_same_emotion(draws: list[TrainSample]) -> None:
    both = [s.clip for s in draws if "+" in s.clip]
    assert len(both) > DRAWS / 4
    for clip in both:
        face, voice = re.findall(r"(?:face|voice)/(\w+)/", clip)
        assert face == voice or (face == "neutral" and voice in ("calm", "bored"))


def test_label_sets_and_orders_vary(draws: list[TrainSample]) -> None:
    sets = Counter(frozenset(s.labels) for s in draws)
    orders = {s.labels for s in draws if frozenset(s.labels) == frozenset(LABEL_SETS["ravdess8"])}
    assert all(sets[frozenset(words)] > 0 for words in LABEL_SETS.values())
    assert len(orders) > 30  # of 8! orders: shuffled each time
    assert sets[frozenset()] > 0  # free words are asked for too
    assert len(sets) > 300  # invented sets as well as named ones
    places = [s.labels.index(s.answer) / (len(s.labels) - 1) for s in draws if s.task == "emotion" and s.labels]
    assert np.mean(places) == pytest.approx(0.5, abs=0.03)  # the place in the list gives nothing away


def test_words_are_plain_or_contradict_in_a_third_of_the_samples_with_voice_or_face(draws: list[TrainSample]) -> None:
    seen_or_heard = [s for s in draws if s.features and s.transcript and true_emotion(s) not in (None, "neutral")]
    lines = [(line_emotion(s.transcript or ""), true_emotion(s)) for s in seen_or_heard]
    plain = sum(line == "neutral" for line, _ in lines) / len(lines)
    against = sum(line not in ("neutral", emotion) for line, emotion in lines) / len(lines)
    assert len(lines) > 500
    assert plain + against >= 0.30
    assert plain > 0.2 and against > 0.1  # both kinds, not one of them
    assert sum(line == emotion for line, emotion in lines) > 0.2 * len(lines)


def test_every_combination_of_inputs_occurs_and_blank_clips_have_none(draws: list[TrainSample]) -> None:
    def inputs(sample: TrainSample) -> tuple[bool, bool, bool]:
        return "local" in sample.features, "audio" in sample.features, sample.transcript is not None

    counts = Counter(inputs(s) for s in draws)
    assert len(counts) == 8
    blank = [s for s in draws if inputs(s) == (False, False, False)]
    assert 0.01 * DRAWS < len(blank) < 0.08 * DRAWS
    assert all(s.task == "emotion" and not s.features and not s.clues and s.clip == "text" for s in blank)
    assert len({canonical(s.answer) for s in blank}) > 5  # the prior is learned over many labels


def test_lines_alone_always_carry_their_emotion(draws: list[TrainSample]) -> None:
    alone = [s for s in draws if not s.features and s.transcript]
    assert len(alone) > 50
    assert all(line_emotion(s.transcript or "") == canonical(s.answer) for s in alone)


def test_clues_name_only_the_samples_own_observations(draws: list[TrainSample]) -> None:
    told = [s for s in draws if s.clues]
    assert len(told) > 100
    for sample in told:
        parts = sample.clip.split("+")
        for clue in sample.clues:
            about = re.search(r"of ((?:face|voice)/\w+/\d)", clue)
            if about:
                assert about[1] in parts, (clue, sample.clip)
            else:
                assert any(word in (sample.transcript or "").lower() for word in re.findall(r"[“\"'](\w+)", clue)), clue
        if sample.task == "visual":
            assert all("face/" in clue for clue in sample.clues)
        if sample.task == "audio":
            assert all("voice/" in clue for clue in sample.clues)


def test_label_questions_have_no_clues_and_the_recordings_own_words_stay_out(draws: list[TrainSample]) -> None:
    assert not any(s.clues for s in draws if s.task == "emotion")
    assert not any("the words of voice" in clue for s in draws for clue in s.clues)


def test_reasons_are_read_back_as_their_label(draws: list[TrainSample]) -> None:
    reasons = [s for s in draws if s.task == "reason"]
    assert len(reasons) > 150
    for sample in reasons:
        heard = true_emotion(sample)
        if sample.labels:
            read = parse_emotion(sample.answer, sample.labels)
            assert read is not None, sample.answer
            assert heard is None or canonical(read) == heard, sample.answer
        elif heard is not None:
            assert heard in {canonical(word) for word in parse_open(sample.answer)}, sample.answer


def test_descriptions_need_something_described(draws: list[TrainSample]) -> None:
    kinds = Counter(s.task for s in draws)
    assert kinds["visual"] > 20 and kinds["audio"] > 20
    assert all("local" in s.features for s in draws if s.task == "visual")
    assert all("audio" in s.features for s in draws if s.task == "audio")


def test_features_have_the_shapes_and_the_owners_of_the_sample(draws: list[TrainSample], pool: Pool) -> None:
    shapes = {"global": (1, 6), "local": (2, 135), "temporal": (4, 36), "audio": (3, 5)}
    for sample in draws:
        for name, rows in sample.features.items():
            assert rows.dtype == np.float32 and np.isfinite(rows).all()
            assert rows.shape == shapes.get(name, rows.shape)
        for name, outputs in (("voice_emotion", pool.voice_outputs), ("face_emotion", pool.face_outputs)):
            if name in sample.features:
                kind = name.split("_")[0]
                owner = next(part for part in sample.clip.split("+") if part.startswith(kind))
                np.testing.assert_array_equal(sample.features[name], outputs[owner])


def test_head_outputs_are_dropped_now_and_then(pool: Pool, settings: Settings) -> None:
    def share(**changes: float) -> float:
        combiner = Combiner(pool, settings(**changes), seed=1)
        heard = [s for s in (combiner.draw() for _ in range(400)) if "audio" in s.features]
        return sum("voice_emotion" in s.features for s in heard) / len(heard)

    assert share(head_dropout=0.0) == 1.0
    assert share(head_dropout=1.0) == 0.0
    assert share(head_dropout=0.5) == pytest.approx(0.5, abs=0.12)


def test_seeds_repeat_and_differ(pool: Pool, settings: Settings) -> None:
    def plain(seed: int) -> list[tuple[object, ...]]:
        combiner = Combiner(pool, settings(), seed)
        samples = [combiner.draw() for _ in range(60)]
        return [
            (s.clip, s.task, s.labels, s.transcript, s.answer, s.clues, {n: r.tolist() for n, r in s.features.items()})
            for s in samples
        ]

    assert plain(3) == plain(3)
    assert plain(3) != plain(4)


def test_emotions_that_a_pool_lacks_are_not_drawn_for_that_input(pool: Pool, settings: Settings) -> None:
    few = Pool(
        {"sad": pool.voices["sad"]}, {"happy": pool.faces["happy"]}, pool.texts, pool.voice_outputs, pool.face_outputs
    )
    combiner = Combiner(few, settings(), seed=0)
    for sample in (combiner.draw() for _ in range(300)):
        assert not ("audio" in sample.features and "local" in sample.features)
        if "audio" in sample.features and sample.task == "emotion":
            assert canonical(sample.answer) == "sad"

"""Clips as they are: every draw by its number alone, frequencies as settings say, the answer among the labels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from emotion_llama.errors import ManifestError
from emotion_llama.labels import canonical
from emotion_llama.model.processing import TrainSample
from emotion_llama.train.asking import Opinions
from emotion_llama.train.clip_samples import ClipSampler, closed_samples
from emotion_llama.train.config import TrainConfig
from emotion_llama.train.examples import Example

Make = dict[str, Callable[..., Example]]
MakeConfig = Callable[..., TrainConfig]
MakeSampler = Callable[..., ClipSampler]
DRAWS = 2000
HEADS = {"face_emotion", "voice_emotion"}
VIDEO, AUDIO = {"global", "local", "temporal", "face_emotion"}, {"audio_mix", "voice_emotion"}


def bound(share: float, draws: int) -> float:
    """Five standard deviations of a share."""
    return float(5 * np.sqrt(share * (1 - share) / draws)) + 1e-9


def drawn(sampler: ClipSampler, count: int = DRAWS) -> list[TrainSample]:
    return [sampler.draw(index) for index in range(count)]


def inputs(sample: TrainSample) -> frozenset[str]:
    found = {"video": VIDEO & set(sample.features), "audio": AUDIO & set(sample.features), "text": sample.transcript}
    return frozenset(name for name, there in found.items() if there)


def plain(sample: TrainSample) -> tuple[Any, ...]:
    features = {name: rows.tolist() for name, rows in sample.features.items()}
    return (*(v for name, v in vars(sample).items() if name != "features"), features)


@pytest.fixture
def sampler_of(make_config: MakeConfig) -> Callable[..., ClipSampler]:
    """A sampler over examples of one's own, without opinions."""

    def made(examples: list[Example], *words: str, opinions: Opinions | None = None, seed: int = 0) -> ClipSampler:
        config = make_config("samples.blank=0", *words)
        return ClipSampler(examples, config.data.sources, config.model.features, opinions or {}, config.samples, seed)

    return made


EVERYTHING = (
    "samples.tasks={emotion: 4, reason: 3, visual: 2, audio: 1}", "samples.drop={video: 0.3, audio: 0.3, text: 0.3}",
    "samples.text_only=0.1", "samples.named_sets=0.3", "samples.made_up_sets=0.3",
    "samples.feature_drop={local: 0.3, face_emotion: 0.3, voice_emotion: 0.3}",
)  # fmt: skip


def test_a_draw_is_a_function_of_seed_and_number_alone(make_sampler: MakeSampler) -> None:
    one, other = make_sampler(ClipSampler, *EVERYTHING), make_sampler(ClipSampler, *EVERYTHING)
    forwards = [plain(one.draw(n)) for n in range(40)]
    assert [plain(other.draw(n)) for n in reversed(range(40))] == forwards[::-1]
    assert plain(one.draw(1_000_003)) == plain(other.draw(1_000_003))
    another = make_sampler(ClipSampler, *EVERYTHING, seed=1)
    assert sum(plain(another.draw(n)) == forwards[n] for n in range(40)) < 5


def test_the_answer_is_among_the_labels_and_is_the_clips_own(
    make_sampler: MakeSampler, examples: list[Example]
) -> None:
    truth = {e.id: e for e in examples}
    samples = [s for s in drawn(make_sampler(ClipSampler, *EVERYTHING)) if s.task == "emotion"]
    assert len(samples) > 400
    for sample in samples:
        assert truth[sample.clip].side == "train"
        assert canonical(sample.answer) == truth[sample.clip].emotion
        assert not sample.labels or sample.answer in sample.labels
        assert not sample.clues and sample.source == truth[sample.clip].source


def test_features_are_the_clips_own(make_sampler: MakeSampler, examples: list[Example], opinions: Opinions) -> None:
    truth = {e.id: e for e in examples}
    for sample in drawn(make_sampler(ClipSampler, *EVERYTHING), 300):
        for name, rows in sample.features.items():
            own = opinions[name][sample.clip] if name in HEADS else truth[sample.clip].arrays[name]
            np.testing.assert_array_equal(rows, own)


def test_tasks_come_as_often_as_asked(make_sampler: MakeSampler) -> None:
    words = ("samples.tasks={emotion: 5, reason: 2, visual: 2, audio: 1}", "samples.blank=0")
    only = tuple(f"data.sources.{name}.weight=0" for name in ("voices", "faces", "texts"))
    found = Counter(s.task for s in drawn(make_sampler(ClipSampler, *words, *only)))  # films can be asked anything
    for task, share in (("emotion", 0.5), ("reason", 0.2), ("visual", 0.2), ("audio", 0.1)):
        assert found[task] / DRAWS == pytest.approx(share, abs=bound(share, DRAWS)), task


def test_a_task_without_anything_to_tell_is_a_label_question(make_sampler: MakeSampler) -> None:
    for sample in drawn(make_sampler(ClipSampler, "samples.tasks={visual: 1, audio: 1}")):
        if sample.task == "visual":
            assert sample.source in ("faces", "films") and any("lip corners" in clue for clue in sample.clues)
        if sample.task == "audio":
            assert sample.source in ("voices", "films") and any("is loud" in clue for clue in sample.clues)
        if sample.source == "texts":
            assert sample.task == "emotion"


def test_clues_come_only_from_inputs_that_are_there(make_sampler: MakeSampler) -> None:
    words = ("samples.tasks={reason: 1}", "samples.drop={video: 0.5, audio: 0.5, text: 0.5}", "samples.blank=0.2")
    told = [s for s in drawn(make_sampler(ClipSampler, *words)) if s.clues]
    assert len(told) > 500
    for sample in told:
        there = inputs(sample)
        for clue in sample.clues:
            sense = "audio" if "voice of" in clue else "video" if "lip corners" in clue or "room of" in clue else "text"
            assert sense in there, (clue, there)
            assert sample.clip in clue or sense == "text"


def test_a_source_may_have_a_task_mix_of_its_own(make_sampler: MakeSampler) -> None:
    words = ("samples.tasks={emotion: 1}", "data.sources.films.tasks={audio: 1}", "samples.blank=0")
    found = Counter((s.source, s.task) for s in drawn(make_sampler(ClipSampler, *words)))
    assert set(found) == {(name, "emotion") for name in ("voices", "faces", "texts")} | {("films", "audio")}


def test_inputs_are_left_out_as_often_as_asked_never_all(make_sampler: MakeSampler) -> None:
    only = tuple(f"data.sources.{name}.weight=0" for name in ("voices", "faces", "texts"))
    drop = {"video": 0.2, "audio": 0.5, "text": 0.7}
    samples = drawn(make_sampler(ClipSampler, "samples.blank=0", f"samples.drop={drop}".replace("'", ""), *only))
    assert all(inputs(s) for s in samples)
    refilled = np.prod(list(drop.values())) / 3  # all were dropped, and one of the three came back
    for name, share in drop.items():
        kept = 1 - share + refilled
        found = sum(name in inputs(s) for s in samples) / DRAWS
        assert found == pytest.approx(kept, abs=bound(kept, DRAWS)), name


def test_even_certain_dropout_leaves_one_input(make_sampler: MakeSampler) -> None:
    samples = drawn(make_sampler(ClipSampler, "samples.blank=0", "samples.drop={video: 1, audio: 1, text: 1}"), 500)
    assert {len(inputs(s)) for s in samples} == {1}
    assert {name for s in samples if s.source == "films" for name in inputs(s)} == {"video", "audio", "text"}


def test_words_alone_and_nothing_at_all_come_as_often_as_asked(make_sampler: MakeSampler) -> None:
    only = tuple(f"data.sources.{name}.weight=0" for name in ("voices", "faces", "texts"))
    samples = drawn(make_sampler(ClipSampler, "samples.text_only=0.3", "samples.blank=0.1", *only))
    counts = Counter(inputs(s) for s in samples)
    for there, share in (
        (frozenset(), 0.1), (frozenset({"text"}), 0.27), (frozenset({"video", "audio", "text"}), 0.63),
    ):  # fmt: skip
        assert counts[there] / DRAWS == pytest.approx(share, abs=bound(share, DRAWS)), there
    assert sum(counts.values()) == DRAWS and len(counts) == 3
    blank = [s for s in samples if not inputs(s)]
    assert all(s.task == "emotion" and not s.clues and s.answer for s in blank)
    assert len({s.answer for s in blank}) > 5  # the prior is learned over many labels


def test_feature_groups_are_hidden_as_often_as_asked(make_sampler: MakeSampler) -> None:
    only = tuple(f"data.sources.{name}.weight=0" for name in ("voices", "faces", "texts"))
    for share in (0.0, 0.4, 1.0):
        drop = "{" + ", ".join(f"{name}: {share}" for name in HEADS) + "}"
        samples = drawn(make_sampler(ClipSampler, "samples.blank=0", f"samples.feature_drop={drop}", *only), 1000)
        for name in HEADS:
            hidden = sum(name not in s.features for s in samples) / 1000
            assert hidden == pytest.approx(share, abs=bound(share, 1000)), name
        assert all({"global", "audio_mix"} <= set(s.features) for s in samples)


def test_hiding_groups_never_takes_an_input_away(make_sampler: MakeSampler) -> None:
    drop = "{" + ", ".join(f"{name}: 1" for name in (*VIDEO, *AUDIO)) + "}"
    sampler = make_sampler(ClipSampler, "samples.blank=0", "samples.text_only=0", f"samples.feature_drop={drop}")
    expected = {
        "voices": {"audio", "text"}, "faces": {"video"}, "texts": {"text"}, "films": {"video", "audio", "text"},
    }  # fmt: skip
    for sample in drawn(sampler, 500):
        assert inputs(sample) == expected[sample.source]
        assert len(VIDEO & set(sample.features)) <= 1 and len(AUDIO & set(sample.features)) <= 1


@pytest.mark.parametrize("share", [0.0, 0.6, 1.0])
def test_reasons_are_asked_for_the_right_label_as_often_as_told(
    make_sampler: MakeSampler, examples: list[Example], share: float
) -> None:
    truth = {e.id: e for e in examples}
    words = ("samples.tasks={emotion: 1, reason: 1}", f"samples.told={share}")
    kinds = {task: [s for s in drawn(make_sampler(ClipSampler, *words)) if s.task == task] for task in
             ("emotion", "reason")}  # fmt: skip
    assert all(len(samples) > 500 for samples in kinds.values())
    told = [s for s in kinds["reason"] if len(s.labels) == 1]
    count = len(kinds["reason"])
    assert len(told) / count == pytest.approx(share, abs=bound(share, count))
    assert all(s.labels == (truth[s.clip].label,) for s in told)
    assert all(sorted(s.labels) == sorted(truth[s.clip].labels) for s in kinds["emotion"])  # the set they always have
    assert not any(len(s.labels) == 1 for s in kinds["emotion"])


def test_sources_are_drawn_by_weight(make_sampler: MakeSampler) -> None:
    weights = {"voices": 4, "faces": 3, "texts": 2, "films": 1}
    words = [f"data.sources.{name}.weight={weight}" for name, weight in weights.items()]
    found = Counter(s.source for s in drawn(make_sampler(ClipSampler, *words)))
    for name, weight in weights.items():
        assert found[name] / DRAWS == pytest.approx(weight / 10, abs=bound(weight / 10, DRAWS))
    none = make_sampler(ClipSampler, "data.sources.voices.weight=0")
    assert "voices" not in {s.source for s in drawn(none, 500)}


@pytest.mark.parametrize(("balance", "power"), [("natural", 1.0), ("balanced", 0.0), ("tempered", 0.5)])
def test_labels_come_by_the_balance_asked_for(
    make: Make, sampler_of: Callable[..., ClipSampler], balance: str, power: float
) -> None:
    counts = {"happy": 64, "sad": 16, "angry": 4}
    examples = [make["text"](label, "p0", take) for label, count in counts.items() for take in range(count)]
    sampler = sampler_of(examples, f"samples.balance={balance}", "samples.temper=0.5")
    found = Counter(s.answer for s in drawn(sampler))
    total = sum(count**power for count in counts.values())
    for label, count in counts.items():
        share = count**power / total
        assert found[label] / DRAWS == pytest.approx(share, abs=bound(share, DRAWS)), label
    assert len({s.clip for s in drawn(sampler)}) == 84  # every clip of a label in turn


def test_written_reasons_are_the_answer(make: Make, sampler_of: Callable[..., ClipSampler]) -> None:
    told = replace(make["film"]("happy", "p0"), reasoning="She laughs out loud.")
    unlabelled = replace(make["film"]("sad", "p1"), label=None, emotion=None, reasoning="He weeps.")
    sampler = sampler_of(
        [told, unlabelled], "samples.tasks={emotion: 1, reason: 1, visual: 1}", "samples.drop={text: 1}"
    )
    for sample in drawn(sampler, 400):
        assert sample.answer, "an answer is never empty"
        if sample.task == "reason":
            assert sample.answer == ("She laughs out loud." if sample.clip == told.id else "He weeps.")
        assert sample.task != "emotion" or sample.clip == told.id


def test_a_clip_without_a_label_is_never_asked_for_one(make: Make, sampler_of: Callable[..., ClipSampler]) -> None:
    bare = replace(make["text"]("sad", "p1"), label=None, emotion=None, reasoning="He is unhappy.", observations=())
    sampler = sampler_of([bare], "samples.tasks={emotion: 1, visual: 1, audio: 1, reason: 1}", "samples.blank=0.5")
    assert {(s.task, s.answer) for s in drawn(sampler, 100)} == {("reason", "He is unhappy.")}


def test_general_questions_are_asked_in_their_own_words(make: Make, sampler_of: Callable[..., ClipSampler]) -> None:
    asked = replace(
        make["face"]("happy", "p0"), label=None, emotion=None, question="How many people?", reasoning="One."
    )
    sample = sampler_of([asked]).draw(0)
    assert (sample.question, sample.answer, sample.labels, sample.transcript) == ("How many people?", "One.", (), None)
    assert "global" in sample.features


def test_nothing_to_draw_from_is_an_error(sampler_of: Callable[..., ClipSampler], make: Make) -> None:
    with pytest.raises(ManifestError, match="at least one source with clips and a weight above 0"):
        sampler_of([])
    with pytest.raises(ManifestError, match="at least one source"):
        sampler_of([make["voice"]("sad", "p0")], "data.sources.voices.weight=0")


def test_closed_questions_show_everything_and_ask_the_sets_own_order(
    examples: list[Example], opinions: Opinions, make_config: MakeConfig
) -> None:
    groups = make_config().model.features
    held = [e for e in examples if e.side == "validation"]
    copies = [replace(e, id=f"{e.id}#1", copy=1) for e in held]
    questions = closed_samples([*held, *copies], groups, opinions, limit=None, seed=0)
    assert {s.clip for s in questions} == {e.id for e in held if e.labels}
    truth = {e.id: e for e in held}
    for sample in questions:
        own = truth[sample.clip]
        assert sample.labels == own.labels and sample.answer == own.label and sample.task == "emotion"
        assert sample.transcript == own.transcript
        assert set(sample.features) == {g.name for g in groups} & (
            {*own.arrays} | {n for n in HEADS if own.id in opinions[n]}
        )
    few = closed_samples(held, groups, opinions, limit=5, seed=0)
    assert Counter(s.source for s in few) == {"voices": 5, "faces": 5, "films": 5}
    assert [s.clip for s in few] == [s.clip for s in closed_samples(held, groups, opinions, 5, 0)]
    assert [s.clip for s in few] != [s.clip for s in closed_samples(held, groups, opinions, 5, 1)]

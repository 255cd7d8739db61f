"""Questions whose answers can be checked: what is asked of a clip, and what is known of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from emotion_llama.labels import canonical
from emotion_llama.train.material import Material
from emotion_llama.train.person import with_baselines
from emotion_llama.train.preference.questions import draw_questions, finder
from emotion_llama.train.preference.rewards import label_match, score
from emotion_llama.train.preference.settings import RewardSettings

TASKS = "samples.tasks={emotion: 1, reason: 1, visual: 1, audio: 1}"
INPUT = {"face": "video", "scene": "video", "voice": "audio", "words": "text"}


@pytest.fixture(scope="module")
def material(examples, make_config, heads, opinions):
    return Material(examples, make_config().model.features, heads, opinions, {}, {})


def test_a_question_is_asked_once_and_of_its_side_only(material, make_config):
    for side, count in (("train", 120), ("validation", 30)):
        found = draw_questions(make_config(TASKS), material, side, count)
        asked = [(s.sample.clip, s.sample.task) for s in found]
        assert len(found) == count == len(set(asked))
        assert {clip for clip, _ in asked} <= {e.id for e in material.examples if e.side == side}
        assert {task for _, task in asked} == {"emotion", "reason", "visual", "audio"}
    assert draw_questions(make_config(), material, "validation", 0) == []
    nobody = replace(material, examples=[e for e in material.examples if e.side == "train"])
    assert draw_questions(make_config(), nobody, "validation", 5) == []


def test_there_are_no_more_questions_than_clips_and_tasks(material, make_config):
    few = [e for e in material.examples if e.source == "voices" and e.person == "voices/p0"]
    found = draw_questions(make_config(), replace(material, examples=few), "train", 1000)
    assert 12 <= len(found) <= len(few) == 16  # each clip is asked for its emotion alone


def test_the_same_seed_asks_the_same(material, make_config):
    def asked(*changes):
        found = draw_questions(make_config(TASKS, *changes), material, "train", 40)
        return [(s.sample.clip, s.facts) for s in found]

    assert asked() == asked() != asked("seed=1")


def test_the_right_label_is_the_asked_sets_own_word(material, make_config):
    config = make_config(TASKS, "samples.named_sets=0.5", "samples.made_up_sets=0.4", "samples.told=0.3")
    emotions = {e.id: e.emotion for e in material.examples}
    found = draw_questions(config, material, "train", 300)
    for question in found:
        facts, sample = question.facts, question.sample
        assert facts.labels == sample.labels and facts.task == sample.task
        assert canonical(facts.label) == emotions[sample.clip]
        assert facts.label in facts.labels or not facts.labels
        assert facts.words == (frozenset() if facts.labels else {facts.label})
        if sample.task == "emotion" and facts.labels:
            assert sample.answer == facts.label and label_match(sample.answer, facts) == 1.0
    shapes = Counter(min(len(q.facts.labels), 2) for q in found)
    assert set(shapes) == {0, 1, 2}  # free words, told, sets


def test_only_inputs_that_are_shown_bear_evidence(material, make_config):
    config = make_config(TASKS, "samples.drop={video: 0.5, audio: 0.5, text: 0.5}")
    measured = {e.id: e.observations for e in material.examples}
    modality = {group.name: group.modality for group in material.groups}
    hidden = 0
    for question in draw_questions(config, material, "train", 200):
        sample, facts = question.sample, question.facts
        shown = {modality[name] for name in sample.features} | ({"text"} if sample.transcript is not None else set())
        assert set(facts.evidence) == {o for o in measured[sample.clip] if INPUT[o.channel] in shown}
        assert facts.transcript == sample.transcript
        hidden += len(facts.evidence) < len(measured[sample.clip])
    assert hidden > 20


def test_answers_of_training_earn_what_applies(material, make_config):
    for question in draw_questions(make_config(TASKS), material, "train", 80):
        earned = score(question.sample.answer, question.facts, RewardSettings(max_words=200))
        assert earned["format"] == 1.0 and earned["label_match"] in (1.0, None)


def test_nothing_general_and_nothing_blank_is_asked(material, make_config):
    general = [replace(e, question="What is a face?", reasoning="A front.") for e in material.examples[:40]]
    mixed = replace(material, examples=[*general, *material.examples[40:]])
    found = draw_questions(make_config(TASKS, "samples.blank=0.9"), mixed, "train", 100)
    assert not {q.sample.clip for q in found} & {e.id for e in general}
    assert all(q.sample.features or q.sample.transcript is not None for q in found)


def test_clips_beside_their_own_person_are_asked_about_too(material, make_config):
    config = make_config("data.sources.voices.baseline=others", "model.recentre=[audio_mix]")
    population = {"audio_mix": next(e.arrays["audio_mix"] for e in material.examples if e.source == "voices")[0]}
    shifted = with_baselines([replace(e, take=e.id) for e in material.examples], config.data.sources, population, 0)
    assert shifted
    found = draw_questions(
        config, replace(material, examples=[*material.examples, *shifted], population=population), "train", 150
    )
    assert any(q.sample.clip.endswith("@person") for q in found)


def test_own_pairs_find_their_clip_by_either_name(material, make_config):
    config = make_config("samples.named_sets=1.0", "samples.told=1.0", "samples.feature_drop={audio_mix: 1.0}")
    find = finder(config, material)
    (sample,) = find("films/p0/happy0", "reason")
    assert sample.task == "reason" and sorted(sample.labels) == sorted(material.examples[-1].labels)
    assert sample.transcript == "I saw it." and {"audio_mix", "global", "temporal"} <= set(sample.features)
    assert [s.clip for s in find("p0/happy0", "emotion")] == [
        f"{source}/p0/happy0" for source in ("voices", "faces", "texts", "films")
    ]
    assert find("films/p4/happy0", "emotion") == []  # on the validation side
    assert find("gone", "emotion") == []


def test_changed_copies_are_nothing_that_pairs_are_about(material, make_config):
    copied = [replace(e, id=f"{e.id}#1", copy=1) for e in material.examples[:5]]
    find = finder(make_config(), replace(material, examples=[*material.examples, *copied]))
    assert find(copied[0].id, "emotion") == [] and len(find(material.examples[0].id, "emotion")) == 1

from __future__ import annotations

import json

import numpy as np
import pytest

from emotion_llama.answer import parse_emotion
from emotion_llama.errors import ManifestError, UsageError
from emotion_llama.model.score import ClipReader
from emotion_llama.model.together import Question
from emotion_llama.train.preference.answers import answer_tokens, mean_rewards, write_answers
from emotion_llama.train.preference.pairs import Pair, among, pairs_from_samples, read_pairs, write_pairs
from emotion_llama.train.preference.rewards import count_clues, score, total
from emotion_llama.train.preference.settings import PreferenceSettings


def only(kind, **changes):
    shares = {"wrong_label": 0.0, "other_clip": 0.0, "self_play": 0.0, kind: 1.0}
    return PreferenceSettings(max_new_tokens=6, pairs=shares, **changes)


def test_wrong_label_is_the_models_own_favourite_among_the_wrong_ones(model, processor, ask):
    samples = [ask(n) for n in range(6)]
    pairs = pairs_from_samples(samples, model, processor, only("wrong_label"))
    reader = ClipReader(model, processor)
    for pair, sample in zip(pairs, samples, strict=True):
        scores = reader.score_from_scratch(
            reader.read(sample.sample.features, sample.sample.transcript), sample.facts.labels, orders=1
        ).mean
        ranked = [sample.facts.labels[n] for n in np.argsort(-scores)]
        assert pair.rejected == next(label for label in ranked if label != sample.facts.label)
        assert pair.sample.answer == sample.facts.label and pair.kind == "wrong_label"


def test_chosen_reasons_are_composed_from_the_measurements_and_the_rejected_ones_end_wrong(model, processor, ask):
    samples = [ask(n, "reason") for n in (0, 1, 2)]
    for pair, sample in zip(pairs_from_samples(samples, model, processor, only("wrong_label")), samples, strict=True):
        assert score(pair.sample.answer, sample.facts, only("wrong_label").rewards)["supported_clues"] == 1.0
        assert parse_emotion(pair.sample.answer, sample.facts.labels) == sample.facts.label
        assert parse_emotion(pair.rejected, sample.facts.labels) not in (None, sample.facts.label)


def test_another_clips_reasons_are_contradicted_here(model, processor, ask):
    samples = [ask(n, "reason") for n in range(3)]  # loud smile, quiet, loud frown
    pairs = pairs_from_samples(samples, model, processor, only("other_clip"))
    facts = {s.sample.clip: s.facts for s in samples}
    assert len(pairs) >= 2
    for pair in pairs:
        assert count_clues(pair.rejected, facts[pair.sample.clip])[1] > 0
        assert count_clues(pair.sample.answer, facts[pair.sample.clip])[1] == 0
        assert parse_emotion(pair.rejected, pair.sample.labels) == facts[pair.sample.clip].label


def test_self_play_rejects_own_answers_that_score_lower(model, processor, ask):
    settings = only("self_play")
    samples = [ask(n) for n in range(6)]
    pairs = pairs_from_samples(samples, model, processor, settings)
    facts = {s.sample.clip: s.facts for s in samples}
    assert pairs and {p.kind for p in pairs} == {"self_play"}
    for pair in pairs:
        own, best = (
            total(score(text, facts[pair.sample.clip], settings.rewards), settings.rewards)
            for text in (pair.rejected, pair.sample.answer)
        )
        assert best - own >= settings.pairs.min_gap


def test_kinds_are_mixed_seeded_and_replaced_where_they_cannot_be_had(model, processor, ask):
    samples = [ask(n, "reason" if n % 2 and n % 4 != 3 else "emotion") for n in range(12)]
    settings = PreferenceSettings(max_new_tokens=6)
    pairs = pairs_from_samples(samples, model, processor, settings, seed=3)
    assert len(pairs) == 12 and len({p.kind for p in pairs}) > 1
    again = pairs_from_samples(samples, model, processor, settings, seed=3)
    assert [(p.rejected, p.kind) for p in pairs] == [(p.rejected, p.kind) for p in again]
    emotion = pairs_from_samples(
        [ask(0)], model, processor, PreferenceSettings(pairs={"wrong_label": 1e-9, "self_play": 0})
    )
    assert emotion[0].kind == "wrong_label"  # a bare label has no clues that another clip could contradict
    with pytest.raises(UsageError, match="none of 1 samples gave a rejected answer of the kinds other_clip"):
        pairs_from_samples([ask(0)], model, processor, only("other_clip"))


def test_pairs_file_round_trip(ask, tmp_path):
    samples = [ask(n).sample for n in range(3)]
    odd = "“other”\nline\u2028and\x85another"  # all of these end a line somewhere
    pairs = [Pair(s, odd, "self_play") for s in samples]
    write_pairs(pairs, tmp_path / "pairs.jsonl")
    assert read_pairs(tmp_path / "pairs.jsonl", among(samples)) == pairs
    row = json.loads((tmp_path / "pairs.jsonl").read_text("utf-8").split("\n")[0])
    assert row == {
        "clip": "clip0",
        "task": "emotion",
        "chosen": "happy",
        "rejected": odd,
        "kind": "self_play",
    }


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", r"pairs.jsonl:2: expected clip, task, chosen and rejected as JSON"),
        ('{"clip": "clip0", "task": "emotion", "chosen": "sad"}', "pairs.jsonl:2: .*rejected"),
        (
            '{"clip": "gone", "task": "emotion", "chosen": "sad", "rejected": "x"}',
            "'gone' with task 'emotion', found 0",
        ),
        ('{"clip": "clip0", "task": "audio", "chosen": "sad", "rejected": "x"}', "task 'audio', found 0"),
        ('{"clip": "clip0", "task": "emotion", "chosen": "sad", "rejected": " sad"}', "two different answers"),
        ('{"clip": "clip0", "task": "emotion", "chosen": "", "rejected": "x"}', "the chosen one not empty"),
    ],
)
def test_bad_lines_are_named(ask, tmp_path, line, message):
    path = tmp_path / "pairs.jsonl"
    path.write_text('{"clip": "clip1", "task": "emotion", "chosen": "sad", "rejected": "happy"}\n' + line, "utf-8")
    with pytest.raises(ManifestError, match=message):
        read_pairs(path, among([ask(0).sample, ask(1).sample]))


def test_answers_in_a_batch_are_those_written_alone(model, processor, ask):
    samples = [ask(n).sample for n in range(5)]
    settings = PreferenceSettings(max_new_tokens=6, batch_size_validation=4)
    together = write_answers(model, processor, samples, settings)
    alone = [write_answers(model, processor, [s], settings)[0] for s in samples]
    reader = ClipReader(model, processor)
    stepwise = [
        reader.answer(reader.read(s.features, s.transcript), Question(s.task, s.labels, max_new_tokens=6))
        for s in samples
    ]
    assert together == alone == stepwise
    drawn = [write_answers(model, processor, samples, settings, temperature=1.0) for _ in range(2)]
    assert drawn[0] == drawn[1] != together


def test_mean_rewards_are_means_of_single_scores(model, processor, ask):
    samples = [ask(n, "reason") for n in range(3)]
    settings = PreferenceSettings(max_new_tokens=6)
    texts = write_answers(model, processor, [s.sample for s in samples], settings)
    single = [score(text, s.facts, settings.rewards) for text, s in zip(texts, samples, strict=True)]
    found = mean_rewards(model, processor, samples, settings)
    assert found["n"] == 3 and "wheel_f1" not in found
    assert found["format"] == pytest.approx(np.mean([s["format"] for s in single]))
    assert found["reward"] == pytest.approx(np.mean([total(s, settings.rewards) for s in single]))


def test_tokens_are_cut_after_the_end():
    assert answer_tokens([5, 6, 2, 7, 2], 2) == [5, 6, 2]
    assert answer_tokens([5, 6], 2) == [5, 6]

"""The regression beside every score: fitted on the right clips, fused late, silent where it cannot be fitted."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emotion_llama.analyze.calibration import Calibration
from emotion_llama.clip import Modality
from emotion_llama.encoders.heads import EmotionHead
from emotion_llama.labels import canonical
from emotion_llama.train.baseline import Baseline, first_array
from emotion_llama.train.config import FeatureSettings
from emotion_llama.train.examples import Example
from emotion_llama.train.scoring import compared
from emotion_llama.train.validate import Answered

GROUPS = (
    FeatureSettings(name="local", modality="video"),
    FeatureSettings(name="audio_mix", modality="audio"),
    FeatureSettings(name="voice_emotion", modality="audio", head="voice_emotion"),
)


ROWS = np.zeros((1, 4), np.float32)


def asked(examples: list[Example], source: str, inputs: tuple[Modality, ...]) -> list[Answered]:
    """A question about every test clip of a source, answered at random."""
    rng = np.random.default_rng(0)
    return [
        Answered(e.id, source, e.labels, rng.standard_normal(len(e.labels)), np.zeros(len(e.labels)),
                 e.labels.index(str(e.label)), inputs, 0.0)
        for e in examples if e.source == source and e.side == "test"
    ]  # fmt: skip


def accuracy(answers: list[Answered], found: list[dict[str, float] | None]) -> float:
    """Share of right answers; every question must have one."""
    right = [one.labels[one.right] for one in answers]
    said = [max(one, key=one.__getitem__) for one in found if one is not None]
    return float(np.mean([a == b for a, b in zip(said, right, strict=True)]))


@pytest.fixture
def baseline(examples: list[Example], heads: dict[str, EmotionHead]) -> Baseline:
    return Baseline(examples, GROUPS, heads, seed=0)


def test_an_input_is_read_where_its_head_reads(examples: list[Example], heads: dict[str, EmotionHead]) -> None:
    clip = examples[0]
    assert first_array("audio", GROUPS, heads, clip) == "audio_statistics"
    assert first_array("audio", GROUPS, {}, clip) == "audio_mix"
    assert first_array("video", GROUPS, heads, clip) == "local"
    assert first_array("text", GROUPS, heads, clip) is None


def test_a_head_for_stills_reads_stills_alone(examples: list[Example], heads: dict[str, EmotionHead]) -> None:
    groups = (*GROUPS, FeatureSettings(name="face_emotion", modality="video", head="face_emotion", still=True))
    still, moving = (replace(examples[0], arrays=dict.fromkeys(names, ROWS)) for names in ((), ("temporal",)))
    assert first_array("video", groups, heads, still) == "face_view"
    assert first_array("video", groups, heads, moving) == "local"


def test_the_regression_learns_what_the_array_shows(examples: list[Example], baseline: Baseline) -> None:
    answers = asked(examples, "voices", ("audio", "text"))
    found = baseline.answers(answers)
    assert len(found) == len(answers) > 10 and None not in found
    assert accuracy(answers, found) > 0.5 > 3 / 8
    assert all(sum(one.values()) == pytest.approx(1) for one in found if one is not None)


def test_it_never_learns_from_what_it_answers(examples: list[Example], heads: dict[str, EmotionHead]) -> None:
    """Labels of validation and test people change nothing."""
    other = [e if e.side == "train" else replace(e, label="happy", emotion="happy") for e in examples]
    answers = asked(examples, "voices", ("audio",))
    plain = Baseline(examples, GROUPS, heads, seed=0).answers(answers)
    for one, same in zip(plain, Baseline(other, GROUPS, heads, seed=0).answers(answers), strict=True):
        assert one == pytest.approx(same)


def test_inputs_are_fused_by_adding_log_chances(examples: list[Example], heads: dict[str, EmotionHead]) -> None:
    baseline = Baseline(examples, GROUPS, heads, seed=0)
    both = baseline.answers(asked(examples, "films", ("video", "audio", "text")))
    heard = baseline.answers(asked(examples, "films", ("audio",)))
    seen = baseline.answers(asked(examples, "films", ("video",)))
    for fused, one, other in zip(both, heard, seen, strict=True):
        assert fused is not None and one is not None and other is not None
        product = {label: one[label] * other[label] for label in fused}
        assert fused == pytest.approx({label: p / sum(product.values()) for label, p in product.items()}, abs=1e-4)


def test_clips_without_a_training_side_are_read_by_all_others(
    examples: list[Example], heads: dict[str, EmotionHead]
) -> None:
    """A source that is all test is answered by what other sources taught; recentred clips by recentred ones."""
    strange = [replace(e, source="new") for e in examples if e.source == "voices" and e.side == "test"]
    others = [e for e in examples if e.source != "films"]
    answers = asked(strange, "new", ("audio",))
    found = Baseline([*others, *strange], GROUPS, heads, seed=0).answers(answers)
    assert accuracy(answers, found) > 0.5
    assert {canonical(label) for one in found if one for label in one} == {canonical(x) for x in answers[0].labels}


def test_without_training_clips_there_is_no_regression(examples: list[Example], heads: dict[str, EmotionHead]) -> None:
    only = [e for e in examples if e.side == "test"]
    answers = asked(only, "voices", ("audio",))
    assert set(map(type, Baseline(only, GROUPS, heads, seed=0).answers(answers))) == {type(None)}


def test_scores_stand_beside_the_regression(examples: list[Example], baseline: Baseline) -> None:
    answers = asked(examples, "voices", ("audio",))
    beside = baseline.answers(answers)
    row = compared(answers, beside, Calibration(), ["p"] * len(answers), 0)
    assert row["baseline"]["war"] == pytest.approx(accuracy(answers, beside))
    assert row["above_baseline"]["war"][0] == pytest.approx(row["war"] - row["baseline"]["war"])
    assert row["above_baseline"]["war"][2] < 0  # answers at random are worse, and the interval says so
    low, high = row["intervals"]["war"]
    assert low <= row["war"] <= high
    assert "baseline" not in compared(answers, [None, *beside[1:]], Calibration(), ["p"] * len(answers), 0)


def test_what_the_heads_add_is_shown(examples: list[Example]) -> None:
    answers = []
    for one in asked(examples, "voices", ("audio",)):
        known = {canonical(label): float(place == one.right) for place, label in enumerate(one.labels)}
        answers.append(replace(one, opinions={"voice_emotion": known}))
    sure = Calibration(default_opinion_weight={"voice_emotion": 1.0})
    row = compared(answers, [None] * len(answers), sure, ["p"] * len(answers), 0)
    assert row["war"] == 1.0 > row["without_heads"]["war"]


def test_words_of_ones_own_are_learned_as_they_are(examples: list[Example], heads: dict[str, EmotionHead]) -> None:
    """ "tense" is in no list of synonyms: it has no other name."""
    own = {"happy": "tense", "sad": "calm", "angry": "amused"}
    kept = [e for e in examples if e.source == "voices" and e.emotion in own]
    renamed = [
        replace(e, label=own[str(e.emotion)], emotion=own[str(e.emotion)], labels=tuple(own.values())) for e in kept
    ]
    answers = asked(renamed, "voices", ("audio",))
    found = Baseline(renamed, GROUPS, heads, seed=0).answers(answers)
    assert answers and None not in found and accuracy(answers, found) > 0.5

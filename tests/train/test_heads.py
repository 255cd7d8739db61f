"""Head fitting on invented people: nobody is judged by a head that saw them, and nothing is learned from noise."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from emotion_llama.errors import ManifestError
from emotion_llama.train.examples import Example
from emotion_llama.train.heads import fit_head

LABELS = ("angry", "happy", "sad")
WIDTH = 30


def people(count: int, side: str, seed: int, signal: float) -> list[Example]:
    """`count` people with four recordings of each emotion; one column a label carries `signal`."""
    rng = np.random.default_rng(seed)
    found = []
    for person in range(count):
        for take, emotion in enumerate(LABELS * 4):
            row = rng.standard_normal(WIDTH).astype(np.float32)
            row[LABELS.index(emotion)] += signal
            found.append(
                Example(f"{side}{person}-{take}", "made", emotion, f"{side}{person}", side, None, (), {"row": row})
            )
    return found


def leak(examples: list[Example]) -> list[Example]:
    """Give every person an own code for each emotion: perfect for who knows the person, worth nothing for others."""
    found = []
    for e in examples:
        rng = np.random.default_rng([int(e.person.removeprefix(e.side)), len(e.side), LABELS.index(e.emotion)])
        code = 4 * rng.standard_normal(200).astype(np.float32)
        found.append(replace(e, arrays={"row": np.concatenate([e.arrays["row"], code])}))
    return found


def accuracy(outputs: dict[str, np.ndarray], examples: list[Example]) -> float:
    return float(np.mean([LABELS[int(outputs[e.id].argmax())] == e.emotion for e in examples]))


def test_real_signal_is_learned_and_reported_by_side() -> None:
    train, validation, test = people(12, "train", 0, 3.0), people(4, "validation", 1, 3.0), people(4, "test", 2, 3.0)
    fitted = fit_head("voice_emotion", [*train, *validation, *test], "row", seed=0)
    assert fitted.head.labels == LABELS and fitted.head.name == "voice_emotion"
    assert set(fitted.outputs) == {e.id for e in (*train, *validation, *test)}
    for side, examples in (("train", train), ("validation", validation), ("test", test)):
        assert accuracy(fitted.outputs, examples) > 0.85
        assert fitted.recall[side] == pytest.approx(accuracy(fitted.outputs, examples))  # classes are balanced
    for row in fitted.outputs.values():
        assert row.shape == (1, len(LABELS)) and row.dtype == np.float32
        assert row.sum() == pytest.approx(1, abs=1e-4)


def test_outputs_of_training_people_come_from_heads_that_never_saw_them() -> None:
    train = leak(people(10, "train", 3, 0.0))
    fitted = fit_head(
        "made", [*train, *leak(people(4, "validation", 4, 0.0)), *leak(people(4, "test", 5, 0.0))], "row", 0
    )
    seen = np.exp(fitted.head.log_probabilities(np.stack([e.arrays["row"] for e in train])))
    knows = float(np.mean([LABELS[int(p.argmax())] == e.emotion for p, e in zip(seen, train, strict=True)]))
    assert knows > 0.9  # the leak is there, and the final head has it
    assert accuracy(fitted.outputs, train) < 0.55  # what the language model is shown has not


def test_shuffled_labels_stay_near_chance() -> None:
    rng = np.random.default_rng(6)
    everyone = [p for n, side in enumerate(("train", "validation", "test")) for p in people(12, side, 7 + n, 3.0)]
    shuffled = [replace(e, emotion=str(rng.choice(LABELS))) for e in everyone]
    fitted = fit_head("made", shuffled, "row", 0)
    assert all(recall < 0.48 for recall in fitted.recall.values()), fitted.recall


def test_validation_and_test_people_do_not_change_the_head() -> None:
    train = people(6, "train", 8, 2.0)
    one = fit_head("made", [*train, *people(3, "validation", 9, 2.0), *people(3, "test", 10, 2.0)], "row", 0)
    other = fit_head("made", [*train, *people(3, "validation", 11, -2.0), *people(3, "test", 12, -2.0)], "row", 0)
    assert one.strength == other.strength
    np.testing.assert_array_equal(one.head.weight, other.head.weight)
    for e in train:
        np.testing.assert_array_equal(one.outputs[e.id], other.outputs[e.id])


def test_labels_that_training_lacks_get_no_output() -> None:
    train, validation, test = people(6, "train", 0, 3.0), people(2, "validation", 1, 3.0), people(2, "test", 2, 3.0)
    strange = replace(validation[0], id="strange", emotion="bored")
    fitted = fit_head("made", [*train, *validation, strange, *test], "row", 0)
    assert "strange" not in fitted.outputs and fitted.head.labels == LABELS


def test_a_side_without_examples_is_left_out_of_the_report() -> None:
    fitted = fit_head("made", people(6, "train", 0, 3.0), "row", 0)
    assert set(fitted.recall) == {"train"}


def test_a_label_that_one_person_alone_has_is_refused() -> None:
    train = people(6, "train", 0, 3.0)
    train = [replace(e, emotion="bored") if e.person == "train0" and e.emotion == "sad" else e for e in train]
    with pytest.raises(ManifestError, match="bored"):
        fit_head("made", train, "row", 0)

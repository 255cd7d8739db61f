from __future__ import annotations

import numpy as np
import pytest
import torch

from emotion_llama.errors import ModelError
from emotion_llama.model import ClipReader, TrainSample
from emotion_llama.model.packing import MAX_PACKED_TOKENS
from emotion_llama.model.score import label_orders
from emotion_llama.model.together import Question

SINGLE = ("happy", "sad", "angry", "neutral")
MIXED = ("happy", "very sad", "happy and calm", "bored")


@pytest.fixture()
def reader(model, processor):
    return ClipReader(model, processor)


def test_fixture_labels_are_what_the_tests_need(processor):
    assert {len(processor.answer_ids(label)) for label in SINGLE} == {1}
    assert max(len(processor.answer_ids(label)) for label in MIXED) > 2


@pytest.mark.parametrize(("labels", "end"), [(SINGLE, False), (SINGLE, True), (MIXED, True), (MIXED, False)])
def test_cached_scores_equal_scores_from_scratch(reader, features, labels, end):
    prefix = reader.read(features, "they are talking by the door")
    fast = reader.score(prefix, labels, orders=3, seed=5, end=end)
    slow = reader.score_from_scratch(prefix, labels, orders=3, seed=5, end=end)
    assert fast.orders == slow.orders
    np.testing.assert_allclose(fast.per_order, slow.per_order, atol=1e-4)
    assert fast.label_mass == pytest.approx(slow.label_mass, abs=1e-5)
    assert fast.order_sensitivity == pytest.approx(slow.order_sensitivity, abs=1e-4)


def test_end_token_is_scored_unless_every_label_is_one_token(reader, features):
    prefix = reader.read(features, None)
    assert not reader.score(prefix, SINGLE).end_scored
    assert reader.score(prefix, MIXED).end_scored
    without, with_end = reader.score(prefix, SINGLE), reader.score(prefix, SINGLE, end=True)
    assert (with_end.per_order < without.per_order).all()  # the end token only takes likelihood away


def test_scores_are_ordinary_log_softmax_of_the_prompt(reader, model, processor, features):
    """An answer independent of the scorer: the collated prompt through the plain model."""
    prefix = reader.read(features, "hello")
    scores = reader.score(prefix, SINGLE, orders=1)
    batch = processor.for_generation([TrainSample("x", "emotion", SINGLE, "hello", "", features)])
    with torch.no_grad():
        logp = model(**batch).logits[0, -1].log_softmax(-1)
    expected = [float(logp[processor.answer_ids(label)[0]]) for label in SINGLE]
    np.testing.assert_allclose(scores.per_order[0], expected, atol=1e-4)
    assert scores.label_mass == pytest.approx(float(np.exp(expected).sum()), abs=1e-5)


def test_summary_numbers_follow_from_the_orders(reader, features):
    found = reader.score(reader.read(features, "hello"), SINGLE, orders=4, seed=1)
    assert found.per_order.shape == (4, 4)
    np.testing.assert_allclose(found.mean, found.per_order.mean(0))
    among = np.exp(found.per_order) / np.exp(found.per_order).sum(1, keepdims=True)
    assert found.order_sensitivity == pytest.approx(among.std(0).mean())
    assert 0 < found.label_mass < 1


def test_many_orders_go_through_in_several_forwards(reader, processor, features):
    prefix = reader.read(features, "hello")
    suffix = processor.token_ids(processor.render("emotion", SINGLE, "hello", features).suffix)
    assert 24 * len(suffix) > MAX_PACKED_TOKENS > len(suffix)
    fast, slow = (score(prefix, SINGLE, orders=24) for score in (reader.score, reader.score_from_scratch))
    np.testing.assert_allclose(fast.per_order, slow.per_order, atol=1e-4)


def test_a_prefix_can_be_used_again(reader, features):
    prefix = reader.read(features, "hello")
    first = reader.score(prefix, MIXED)
    reader.answer(prefix, Question("reason", SINGLE, max_new_tokens=5))
    assert prefix.cache.get_seq_length() == prefix.length
    np.testing.assert_array_equal(reader.score(prefix, MIXED).per_order, first.per_order)


def test_merged_lora_gives_the_same_scores(reader, model, features):
    before = reader.score(reader.read(features, "hello"), SINGLE)
    model.merge_lora()
    assert not any("lora" in name for name, _ in model.named_parameters())
    np.testing.assert_allclose(reader.score(reader.read(features, "hello"), SINGLE).mean, before.mean, atol=1e-4)


def test_prior_is_the_blank_clip_and_is_computed_once(reader):
    prior = reader.prior(SINGLE, orders=2, seed=3)
    assert reader.prior(SINGLE, orders=2, seed=3) is prior
    blank = reader.score_from_scratch(reader.read({}, None), SINGLE, orders=2, seed=3)
    np.testing.assert_allclose(prior.per_order, blank.per_order, atol=1e-4)


def test_answer_equals_generate_and_its_pieces(reader, model, processor, features):
    prefix = reader.read(features, "hello")
    question = Question("reason", SINGLE, ("a smile",), max_new_tokens=12)
    answer = reader.answer(prefix, question)
    sample = TrainSample("x", "reason", SINGLE, "hello", "", features, ("a smile",))
    batch = processor.for_generation([sample])
    ids = model.generate(**batch, max_new_tokens=12, do_sample=False)[0, batch["input_ids"].shape[1] :]
    assert answer == processor.decode(ids.tolist())
    pieces = []
    reader.write([reader.begin(prefix, question)], lambda number, piece: pieces.append((number, piece)) is None)
    assert "".join(piece for _, piece in pieces) == answer and {number for number, _ in pieces} == {0}
    assert len(pieces) > 3


def test_orders_are_seeded_and_different():
    orders = label_orders(SINGLE, 4, seed=0)
    assert len(set(orders)) == 4
    assert orders == label_orders(SINGLE, 4, seed=0) != label_orders(SINGLE, 4, seed=1)
    assert all(sorted(order) == sorted(SINGLE) for order in orders)
    assert len(label_orders(("a", "b"), 4, seed=0)) == 2
    assert label_orders(SINGLE, 1, seed=0) == (SINGLE,)


def test_several_orders_do_not_depend_on_the_given_one(reader, features):
    """Whoever lists the labels in another order gets the same answer."""
    other = (*SINGLE[2:], *SINGLE[:2])
    assert label_orders(SINGLE, 4, seed=0) == label_orders(other, 4, seed=0)
    prefix = reader.read(features, "hello")
    first, second = reader.score(prefix, SINGLE), reader.score(prefix, other)
    same = [first.mean[SINGLE.index(label)] for label in other]
    np.testing.assert_allclose(second.mean, same, atol=1e-4)


def test_every_label_stands_as_often_in_front_as_at_the_back():
    orders = label_orders(SINGLE, 4, seed=0)
    places = [[order.index(label) for order in orders] for label in SINGLE]
    assert {sum(place) for place in places} == {2 * (len(SINGLE) - 1)}


def test_labels_with_the_same_tokens_are_refused(reader, features):
    prefix = reader.read(features, None)
    with pytest.raises(ModelError, match="happy, happy"):
        reader.score(prefix, ("happy", "happy"))
    with pytest.raises(ModelError, match="found none"):
        reader.score(prefix, ())


def test_too_long_a_transcript_is_refused_not_cut(reader, features):
    prefix = reader.read(features, "word " * 90)
    with pytest.raises(ModelError, match="language model reads 512"):
        reader.score(prefix, SINGLE)

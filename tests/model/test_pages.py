"""Clips and questions that are read side by side give what each gives alone."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from transformers import DynamicCache

from emotion_llama.model import ClipReader
from emotion_llama.model.pages import MOST_PADDING, MOST_TOKENS, Passage, lay_out, pages
from emotion_llama.model.together import Question

LABELS = ("happy", "sad", "angry", "neutral", "calm surprised")
CLIPS = ("hello", None, "they are talking by the door, and nobody listens", "no", "a")


@pytest.fixture(params=["plain", "compiled"])
def reader(request, model, processor, tmp_path):
    if request.param == "plain":
        return ClipReader(model, processor)
    pytest.importorskip("openvino", reason="needs openvino (emotion-llama[fast])")
    from emotion_llama.model.compiled import CompiledStepper

    return ClipReader(model, processor, CompiledStepper(model, None, tmp_path, 1, torch.float32))


def clips(features):
    given = [features, {}, features, {name: rows for name, rows in features.items() if name != "audio"}, {}]
    return list(zip(given, CLIPS, strict=True))


@pytest.mark.parametrize("orders", [1, 4])
def test_labels_of_several_clips_are_those_of_each(reader, features, orders):
    together = reader.score_together(reader.read_together(clips(features)), LABELS, orders=orders)
    for clip, found in zip(clips(features), together, strict=True):
        alone = reader.score(reader.read(*clip), LABELS, orders=orders)
        np.testing.assert_allclose(found.per_order, alone.per_order, atol=1e-4)
        assert (found.orders, found.end_scored) == (alone.orders, alone.end_scored)
        assert found.label_mass == pytest.approx(alone.label_mass, abs=1e-5)
    assert len({one.mean.tobytes() for one in together}) == len(CLIPS)


def test_questions_that_are_read_together_are_answered_as_each(reader, features):
    prefixes = reader.read_together(clips(features))
    asked = [Question("reason", LABELS[:1], ("a smile",) * number, 10) for number in range(len(prefixes))]
    begun = reader.begin_together(list(zip(prefixes, asked, strict=True)))
    alone = [reader.begin(reader.read(*clip), question) for clip, question in zip(clips(features), asked, strict=True)]
    for one, other in zip(begun, alone, strict=True):
        torch.testing.assert_close(one.logits, other.logits, atol=1e-4, rtol=1e-4)
        assert (one.length, one.most) == (other.length, other.most)
    assert reader.write(begun) == [reader.write([one])[0] for one in alone]


def test_a_cache_that_forgets_is_read_by_itself(model, processor, features):
    reader = ClipReader(model, processor)
    alone = [reader.score(reader.read(*clip), LABELS[:4]).mean for clip in clips(features)[:2]]
    prefixes = reader.read_together(clips(features)[:2])
    for prefix in prefixes:
        for layer in prefix.cache.layers:
            layer.is_sliding = True
    calls = []
    model.register_forward_pre_hook(lambda _, a, k: calls.append(len(k["input_ids"])), with_kwargs=True)
    found = reader.score_together(prefixes, LABELS[:4])
    assert calls == [1, 1]
    np.testing.assert_allclose([one.mean for one in found], alone, atol=1e-4)


def passage(length, start=0):
    return Passage([5] * length, DynamicCache(), start, [length - 1])


def nothing(clips):
    return {}, {}


def test_pages_hold_passages_of_about_the_same_length():
    lengths = [100, 10, 97, 11, 300, 10, 290, 3000, 2900]
    found = list(pages([passage(length) for length in lengths]))
    assert sorted(number for page in found for number in page) == list(range(len(lengths)))
    for page in found:
        own, whole = sum(lengths[one] for one in page), max(lengths[one] for one in page) * len(page)
        assert own >= (1 - MOST_PADDING) * whole and (len(page) == 1 or whole <= MOST_TOKENS)
    assert [sorted(lengths[one] for one in page) for page in found][:2] == [[10, 10, 11], [97, 100]]
    assert list(pages([])) == []


def test_nothing_is_masked_where_nothing_is_padded():
    assert lay_out([passage(5), passage(5)], nothing).sees is None
    page = lay_out([passage(5), replace(passage(3), start=2)], nothing)
    assert page.sees is not None and page.sees.shape == (2, 5, 2 + 5)
    assert page.wanted.nonzero().tolist() == [[0, 4], [1, 2]]
    assert page.positions.tolist() == [[0, 1, 2, 3, 4], [2, 3, 4, 0, 0]]
    assert not page.sees[0, :, :2].any() and page.sees[1, :3, :2].all(), "only the second was preceded by something"
    assert bool(page.sees.any(-1).all()), "no row without anything to see"

"""Texts written side by side are those written one by one, and each can end on its own."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from transformers import DynamicCache

from emotion_llama.model import ClipReader
from emotion_llama.model.drafts import LONGEST, MOST_ROWS
from emotion_llama.model.together import Question

LABELS = ("happy", "sad", "angry", "neutral")
QUESTIONS = (
    ("they are talking by the door", Question("reason", LABELS, ("a smile",), 12)),
    (None, Question("visual", LABELS, (), 5)),
    ("hello", Question("audio", LABELS, ("a loud voice", "a smile", "no rest"), 20)),
    ("hello", Question("reason", ("sad",), (), 1)),
)


@pytest.fixture()
def reader(model, processor):
    return ClipReader(model, processor)


def begun(reader, features):
    return [reader.begin(reader.read(features, words), question) for words, question in QUESTIONS]


def alone(reader, features):
    return [reader.answer(reader.read(features, words), question) for words, question in QUESTIONS]


def test_side_by_side_they_are_what_each_is_alone(reader, features):
    told = {}
    found = reader.write(
        begun(reader, features), lambda number, piece: told.setdefault(number, []).append(piece) is None
    )
    assert found == alone(reader, features)
    assert ["".join(told.get(number, [])) for number in range(4)] == found
    assert len({len(one) for one in found}) > 1, "they end at different steps"


def test_one_that_nobody_wants_any_more_ends_alone(reader, features):
    seen = []

    def told(number, piece):
        seen.append(number)
        return number != 0

    found, whole = reader.write(begun(reader, features), told), alone(reader, features)
    assert found[1:] == whole[1:] and seen.count(0) == 1
    assert whole[0].startswith(found[0]) and len(found[0]) < len(whole[0])


def test_a_prefix_is_not_used_up(reader, features):
    prefix = reader.read(features, "hello")
    question = Question("reason", LABELS, max_new_tokens=6)
    first = reader.write([reader.begin(prefix, question), reader.begin(prefix, question)])
    assert first[0] == first[1] == reader.answer(prefix, question)
    assert prefix.cache.get_seq_length() == prefix.length


@pytest.mark.parametrize("how", ["right", "half right", "wrong"])
def test_guesses_change_how_often_the_model_is_asked_and_not_what_it_writes(reader, features, how):
    wanted = alone(reader, features)
    guesses = {
        "right": wanted,
        "half right": [one[: len(one) // 2] + "nonsense" for one in wanted],
        "wrong": ["no"] * 4,
    }
    asked = [
        reader.begin(reader.read(features, words), replace(question, drafts=(guess,)))
        for (words, question), guess in zip(QUESTIONS, guesses[how], strict=True)
    ]
    sizes = []
    forward = reader.model.forward
    reader.model.forward = lambda *args, **kwargs: sizes.append(kwargs["input_ids"].shape) or forward(*args, **kwargs)
    told = {}
    assert reader.write(asked, lambda number, piece: told.setdefault(number, []).append(piece) is None) == wanted
    assert ["".join(told.get(number, [])) for number in range(4)] == wanted
    assert all(texts * count <= MOST_ROWS or count == 1 for texts, count in sizes)


def test_a_text_that_was_guessed_takes_a_fraction_of_the_steps(reader, features):
    prefix, question = reader.read(features, "hello"), Question("reason", LABELS, max_new_tokens=24)
    text = reader.answer(prefix, question)
    steps = []
    forward = reader.model.forward
    reader.model.forward = lambda *args, **kwargs: (
        steps.append(kwargs.get("input_ids", kwargs.get("inputs_embeds")).shape[1]) or forward(*args, **kwargs)
    )
    drafted = replace(question, drafts=(text,))
    begun = reader.begin(prefix, drafted)
    ids, written = reader.processor.answer_ids(text), steps.clear()
    assert written is None and reader.write([begun]) == [text]
    assert max(steps) == 1 + LONGEST
    if reader.processor.decode(ids) == text:  # random tokens may join to others when they are read again
        assert len(steps) < len(ids)


def test_caches_that_forget_their_beginning_are_not_laid_side_by_side(reader, features):
    readings, wanted = begun(reader, features), alone(reader, features)
    for layer in readings[0].cache.layers:
        layer.is_sliding = True
    sizes = []
    forward = reader.model.forward
    reader.model.forward = lambda *args, **kwargs: sizes.append(len(kwargs["input_ids"])) or forward(*args, **kwargs)
    told = []
    assert reader.write(readings, lambda number, piece: told.append(number) is None) == wanted
    assert set(sizes) == {1} and set(told) == {0, 1, 2, 3}
    assert isinstance(readings[0].cache, DynamicCache)


def test_scoring_and_writing_in_two_threads_do_not_touch_each_other(reader, features):
    prefix = reader.read(features, "hello")
    wanted, scores = alone(reader, features), reader.score(prefix, LABELS)
    with ThreadPoolExecutor(2) as threads:
        scored = threads.submit(lambda: [reader.score(prefix, LABELS).mean for _ in range(30)])
        for _ in range(5):
            assert reader.write(begun(reader, features)) == wanted
        for mean in scored.result():
            np.testing.assert_allclose(mean, scores.mean, atol=1e-5)


def test_nothing_to_write(reader):
    assert reader.write([]) == []

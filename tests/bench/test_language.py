"""Figures of the language model, measured for real on the tiny one; what is counted is counted twice."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from emotion_llama.bench import language
from emotion_llama.bench.language import Asked, measure_language
from emotion_llama.model import ClipReader
from emotion_llama.model.together import Question

LABELS = ("happy", "sad", "angry", "neutral")


@pytest.fixture
def reader(model: Any, processor: Any) -> ClipReader:
    return ClipReader(model, processor)


@pytest.fixture
def asked(features: Any) -> Asked:
    return Asked(features, "hello", LABELS, Question("reason", ("happy",), ("a smile",), 8))


def test_every_figure_is_measured(reader: ClipReader, asked: Asked) -> None:
    found = measure_language(reader, reader, [asked], rounds=1, tokens=5)
    prompt = reader.prompt(reader.read(asked.features, "hello"), "reason", ("happy",), ("a smile",))
    assert "a smile" in prompt and found.prompt_tokens > 50
    assert found.written_tokens == 5 and found.together == 4
    # of one round, a ratio is that of the two figures
    assert found.decode_ratio == pytest.approx(found.decode_tok_s / found.plain_decode_tok_s)
    assert found.together_ratio == pytest.approx(found.decode_together_tok_s / found.decode_tok_s)
    scoring = found.label_scoring
    assert scoring.ratio == pytest.approx(scoring.from_scratch_s / scoring.shared_prefix_s)
    with pytest.raises(ValueError, match="at least 2"):
        measure_language(reader, reader, [asked], rounds=1, tokens=1)


def test_texts_are_written_one_by_one_or_side_by_side(reader: ClipReader, asked: Asked) -> None:
    calls: list[int] = []
    reader.model.register_forward_pre_hook(
        lambda _, a, k: calls.append(len(k.get("input_ids", k.get("inputs_embeds")))), with_kwargs=True
    )
    language.decode_s(reader, [asked, asked], 6, batch=2)
    assert calls[:4] == [1] * 4, "two clips and two questions were read before"
    assert set(calls[4:]) == {2}
    calls.clear()
    language.decode_s(reader, [asked, asked], 6, batch=1)
    assert set(calls) == {1}
    calls.clear()
    language.plain_decode_s(reader, [asked], 6)
    assert len(calls) == 6


def test_a_text_that_is_guessed_has_more_tokens_a_step(reader: ClipReader, asked: Asked) -> None:
    (text,) = reader.write([reader.begin(reader.read(asked.features, "hello"), asked.reason)])
    guessed = replace(asked, reason=replace(asked.reason, drafts=(text,)))
    blank = replace(asked, reason=replace(asked.reason, drafts=("nothing of it",)))
    assert language.tokens_a_step(reader, [guessed], 12) >= language.tokens_a_step(reader, [blank], 12) > 0


def test_slower_decoding_is_seen(reader: ClipReader, asked: Asked) -> None:
    usual_s = language.decode_s(reader, [asked], 4, batch=1)
    decoder = reader.model.language_model.get_decoder()
    decoder.register_forward_pre_hook(lambda *_: time.sleep(0.03))
    assert language.decode_s(reader, [asked], 4, batch=1) > max(usual_s, 0.03 / 3)
    assert language.first_piece_s(reader, asked) > 2 * 0.03


def test_flop_are_those_that_torch_counts(reader: ClipReader, asked: Asked) -> None:
    prompt = language.prompt_batch(reader, language.sample_of(asked, asked.reason, reader))
    length = int(prompt["input_ids"].shape[1])
    model = reader.model
    model.merge_lora()
    model.set_attn_implementation("eager")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(input_ids=prompt["input_ids"][:, :1].repeat(1, length).fill_(5), use_cache=False, logits_to_keep=1)
    # torch counts attention to later tokens, too
    config = model.config.text_config
    unseen = 2 * config.num_hidden_layers * config.hidden_size * length * (length - 1)
    assert language.prefill_flop(model, length) == pytest.approx(counter.get_total_flops() - unseen, rel=0.01)


def test_bytes_a_token_are_all_weights_with_the_table_once(reader: ClipReader) -> None:
    model = reader.model
    model.merge_lora()
    whole = sum(one.numel() for one in model.language_model.parameters())  # words and head are one table here
    assert language.weight_bytes(ClipReader(model, reader.processor)) == 4 * whole
    model.language_model.to(torch.bfloat16)
    assert language.weight_bytes(ClipReader(model, reader.processor)) == 2 * whole

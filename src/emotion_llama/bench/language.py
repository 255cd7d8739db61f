"""The language model alone, on encoded features: first token, tokens a second, prefill, label scorings."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import cycle, islice
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from transformers import DynamicCache
from transformers.generation.streamers import BaseStreamer

from emotion_llama.bench.figures import LabelScoring, LanguageFigures, Way
from emotion_llama.bench.timing import Side, in_turn, ratio, timed, wait
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.pages import Page, Passage, Read, lay_out
from emotion_llama.model.processing import Features, TrainSample
from emotion_llama.model.score import ClipReader
from emotion_llama.model.steps import Begun, PlainStepper, Stepper, Steps
from emotion_llama.model.together import Question

TOGETHER = 4


@dataclass(frozen=True)
class Asked:
    """A clip as the language model gets it: features by group, words, the labels to score, and the reason asked for."""

    features: Features
    transcript: str | None
    labels: tuple[str, ...]
    reason: Question


def sample_of(asked: Asked, question: Question, reader: ClipReader) -> TrainSample:
    """The whole prompt of one question, for the library's own `generate`."""
    features = reader.processor.complete(asked.features)
    return TrainSample("bench", question.task, question.labels, asked.transcript, "", features, question.clues)


def prompt_batch(reader: ClipReader, sample: TrainSample) -> dict[str, Any]:
    """One prompt as keywords of the model, on its device."""
    batch = reader.processor.for_generation([sample])
    batch.pop("clip_ids")
    return {name: _on(value, reader.model.device) for name, value in batch.items()}


def _on(value: Any, device: torch.device) -> Any:
    return {name: one.to(device) for name, one in value.items()} if isinstance(value, dict) else value.to(device)


def measure_language(
    reader: ClipReader,
    plain: ClipReader,
    asked: Sequence[Asked],
    *,
    rounds: int,
    tokens: int,
    ways: Mapping[str, ClipReader] | None = None,
) -> LanguageFigures:
    """Measure `reader`; `plain` is the same model in float32 for the library's `generate`.

    `asked`: one clip or several (those written side by side). `ways`: readers of the same model by how they write.
    `tokens`: most that a text may have, at least 2. Everything is done once before it counts.
    """
    if tokens < 2:
        raise ValueError(f"tokens: expected at least 2, found {tokens}")
    together, first = list(islice(cycle(asked), TOGETHER)), asked[0]
    device = str(reader.model.device)
    decoding: list[Side] = [
        lambda: decode_s(reader, together, tokens, batch=1),
        lambda: decode_s(reader, together, tokens, batch=TOGETHER),
        lambda: plain_decode_s(plain, together, tokens),
    ]
    in_turn(decoding, 1)
    one_s, together_s, plain_s = in_turn(decoding, rounds)
    usual = ClipReader(reader.model, reader.processor)
    page = prompt_page(reader, first)
    length = page.ids.shape[1]
    passes: list[Side] = [
        lambda: first_piece_s(reader, first),
        lambda: prefill_s(reader, page),
        lambda: prefill_s(usual, page),
    ]
    in_turn(passes, 1)
    ttft_s, reading_s, usual_s = in_turn(passes, rounds)
    return LanguageFigures(
        prompt_tokens=length,
        written_tokens=tokens,
        ttft_s=median(ttft_s),
        decode_tok_s=1 / median(one_s),
        tokens_a_step=tokens_a_step(reader, together, tokens),
        together=TOGETHER,
        decode_together_tok_s=1 / median(together_s),
        together_ratio=ratio(one_s, together_s),
        plain_decode_tok_s=1 / median(plain_s),
        decode_ratio=ratio(plain_s, one_s),
        prefill_tok_s=length / median(reading_s),
        plain_prefill_tok_s=length / median(usual_s),
        prefill_ratio=ratio(usual_s, reading_s),
        **_scoring(reader, first, rounds, device),
        ways=measure_ways(ways or {}, plain, together, rounds=rounds, tokens=tokens),
        weight_bytes_a_token=weight_bytes(reader),
        prefill_flop=prefill_flop(reader.model, length),
    )


def measure_ways(
    ways: Mapping[str, ClipReader], plain: ClipReader, asked: Sequence[Asked], *, rounds: int, tokens: int
) -> dict[str, Way]:
    """Measure ways of reading a prompt and writing the same texts, in turn.

    The first is what the texts and the reading of the others are held against.
    """
    page = prompt_page(plain, asked[0])
    sides: list[Side] = [lambda: plain_decode_s(plain, asked, tokens)]
    for reader in ways.values():
        sides += [
            lambda reader=reader: decode_s(reader, asked, tokens, batch=1),  # type: ignore[misc]
            lambda reader=reader: decode_s(reader, asked, tokens, batch=len(asked)),  # type: ignore[misc]
            lambda reader=reader: prefill_s(reader, page),  # type: ignore[misc]
        ]
    if not ways:
        return {}
    in_turn(sides, 1)
    plain_s, *found = in_turn(sides, rounds)
    texts = {name: [_written_ids(reader, one, tokens) for one in asked] for name, reader in ways.items()}
    exact = next(iter(texts.values()))
    measured = zip(ways, found[::3], found[1::3], found[2::3], strict=True)
    return {
        name: Way(
            decode_tok_s=1 / median(one_s),
            decode_together_tok_s=1 / median(together_s),
            decode_ratio=ratio(plain_s, one_s),
            same_text=sum(map(_same, exact, texts[name])) / sum(map(len, exact)),
            prefill_tok_s=page.ids.shape[1] / median(reading_s),
            prefill_ratio=ratio(found[2], reading_s),
        )
        for name, one_s, together_s, reading_s in measured
    }


def _written_ids(reader: ClipReader, asked: Asked, tokens: int) -> list[int]:
    return reader.processor.answer_ids(reader.write([_begun(reader, asked, tokens)])[0])


def _begun(reader: ClipReader, asked: Asked, tokens: int) -> Begun:
    return reader.begin(reader.read(asked.features, asked.transcript), replace(asked.reason, max_new_tokens=tokens))


def _same(exact: Sequence[int], found: Sequence[int]) -> int:
    pairs = enumerate(zip(exact, found, strict=False))
    return next((place for place, (one, other) in pairs if one != other), min(len(exact), len(found)))


def decode_s(reader: ClipReader, asked: Sequence[Asked], tokens: int, *, batch: int) -> float:
    """Seconds a token, behind the first, of reasons as they are, `batch` side by side; `tokens`: most of each."""
    begun = [_begun(reader, one, tokens) for one in asked]
    texts: list[str] = []

    def write() -> None:
        for place in range(0, len(begun), batch):
            texts.extend(reader.write(begun[place : place + batch]))

    return timed(write, str(reader.model.device)) / _count(reader, texts)


def _count(reader: ClipReader, texts: Sequence[str]) -> int:
    """Tokens behind the first of each text, its end counted."""
    return max(1, sum(len(reader.processor.answer_ids(text)) for text in texts))


def tokens_a_step(reader: ClipReader, asked: Sequence[Asked], tokens: int) -> float:
    """Tokens that one step of the language model adds to a text that is written alone: more than 1 by good guesses."""
    counting = _CountingStepper(reader.stepper)
    counted = ClipReader(reader.model, reader.processor, counting)
    texts = [counted.write([_begun(counted, one, tokens)])[0] for one in asked]
    return _count(reader, texts) / max(1, counting.steps)


class _CountingStepper:
    """Counts the tokens that another stepper reads, and its steps."""

    def __init__(self, stepper: Stepper) -> None:
        self._stepper, self.tokens, self.steps = stepper, 0, 0
        self.bytes_a_weight = stepper.bytes_a_weight

    def read(self, page: Page) -> list[Read]:
        self.tokens += sum(passage.length for passage in page.passages)
        return self._stepper.read(page)

    def joins(self, begun: Sequence[Begun]) -> bool:
        return self._stepper.joins(begun)

    def start(self, begun: Sequence[Begun]) -> Steps:
        return _CountedSteps(self, self._stepper.start(begun))


class _CountedSteps:
    def __init__(self, stepper: _CountingStepper, steps: Steps) -> None:
        self._stepper, self._steps = stepper, steps

    def next(self, tokens: Sequence[Sequence[int]], rows: Sequence[int]) -> Tensor:
        self._stepper.steps += 1
        return self._steps.next(tokens, rows)

    def forget(self, counts: Sequence[int]) -> None:
        self._steps.forget(counts)


class _Moments(BaseStreamer):  # type: ignore[misc]  # untyped library
    """Remembers when the prompt and each token came."""

    def __init__(self) -> None:
        self.at_s: list[float] = []

    def put(self, value: Tensor) -> None:
        self.at_s.append(time.perf_counter())

    def end(self) -> None:
        """Nothing to do."""


@torch.inference_mode()
def plain_decode_s(reader: ClipReader, asked: Sequence[Asked], tokens: int) -> float:
    """Seconds a token, behind the first, of the same reasons by the library's `generate`, one after the other."""
    spent_s, written = 0.0, 0
    for one in asked:
        moments, processor = _Moments(), reader.processor
        found = reader.model.generate(
            **prompt_batch(reader, sample_of(one, one.reason, reader)),
            max_new_tokens=tokens,
            do_sample=False,
            eos_token_id=processor.end_id,
            pad_token_id=processor.pad_id,
            suppress_tokens=[reader.model.config.placeholder_token_id],  # it would ask for features
            streamer=moments,
        )
        wait(str(found.device))
        spent_s += moments.at_s[-1] - moments.at_s[1]  # the prompt is put first, then token by token
        written += len(moments.at_s) - 2
    return spent_s / max(1, written)


def first_piece_s(reader: ClipReader, asked: Asked) -> float:
    """Seconds from encoded features to the first piece of a reason that can be shown."""
    told: list[float] = []

    def tell(_: int, piece: str) -> bool:
        told.append(time.perf_counter())
        return False

    start = time.perf_counter()
    reader.write([reader.begin(reader.read(asked.features, asked.transcript), asked.reason)], tell)
    return (told[0] if told else time.perf_counter()) - start


def prompt_page(reader: ClipReader, asked: Asked) -> Page:
    """The whole prompt of a reason, to be read at once."""
    sample = sample_of(asked, asked.reason, reader)
    ids, empty = (
        prompt_batch(reader, sample)["input_ids"][0].tolist(),
        DynamicCache(config=reader.model.config.text_config),
    )
    return lay_out([Passage(ids, empty, 0, [len(ids) - 1], sample.features)], reader.processor.collate)


@torch.inference_mode()
def prefill_s(reader: ClipReader, page: Page) -> float:
    """Seconds to read a prompt from nothing."""
    return timed(lambda: reader.stepper.read(page), str(reader.model.device))


def scored_tokens(reader: ClipReader, asked: Asked, orders: int) -> int:
    """Tokens that the language model reads of one clip and the questions for its label."""
    counting = _CountingStepper(reader.stepper)
    counted = ClipReader(reader.model, reader.processor, counting)
    counted.score(counted.read(asked.features, asked.transcript), asked.labels, orders=orders)
    return counting.tokens


def _scoring(reader: ClipReader, asked: Asked, rounds: int, device: str) -> dict[str, Any]:
    prefix = reader.read(asked.features, asked.transcript)

    def whole_s(orders: int) -> float:
        def work() -> object:
            return reader.score(reader.read(asked.features, asked.transcript), asked.labels, orders=orders)

        return timed(work, device)

    sides: list[Side] = [
        lambda: timed(lambda: reader.score(prefix, asked.labels, orders=4), device),
        lambda: timed(lambda: reader.score(prefix, asked.labels, orders=1), device),
        lambda: whole_s(4),
        lambda: whole_s(1),
        lambda: timed(lambda: reader.score_from_scratch(prefix, asked.labels, orders=4), device),
    ]
    in_turn(sides[:4], 1)
    four_s, one_s, shared_s, shared_one_s, scratch_s = in_turn(sides, rounds)
    return {
        "label_scorings_s": 1 / median(four_s),
        "label_scorings_one_order_s": 1 / median(one_s),
        "label_scoring": LabelScoring(
            tokens=scored_tokens(reader, asked, 4),
            tokens_one_order=scored_tokens(reader, asked, 1),
            shared_prefix_s=median(shared_s),
            shared_prefix_one_order_s=median(shared_one_s),
            from_scratch_s=median(scratch_s),
            ratio=ratio(scratch_s, shared_s),
        ),
    }


def weight_bytes(reader: ClipReader) -> int:
    """Bytes of weights that one more token needs: all but the table of words, of which it needs one row; the head."""
    model, stepper = reader.model, reader.stepper
    table = {id(one) for one in model.get_input_embeddings().parameters()}
    layers = [one for one in model.language_model.get_decoder().parameters() if id(one) not in table]
    head = list(model.get_output_embeddings().parameters())
    if isinstance(stepper, PlainStepper):
        return sum(int(one.numel() * one.element_size()) for one in (*layers, *head))
    counts = [sum(one.numel() for one in group) for group in (layers, head)]
    in_layers, in_head = stepper.bytes_a_weight
    return int(counts[0] * in_layers + counts[1] * in_head)


def prefill_flop(model: EmotionLlamaForConditionalGeneration, length: int) -> float:
    """FLOP of reading so many tokens: linear layers, attention to what came before, the head at the last one.

    Projectors, norms and activations are left out: together less than a hundredth.
    """
    linear = [one for one in model.language_model.get_decoder().modules() if isinstance(one, nn.Linear)]
    weights = sum(one.weight.numel() for one in linear)
    config = model.config.text_config
    head_width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    attention = 2.0 * config.num_hidden_layers * config.num_attention_heads * head_width * length * (length + 1)
    return float(2 * weights * length + attention + 2 * config.hidden_size * config.vocab_size)

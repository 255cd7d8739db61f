"""The emotion as the likeliest label, not as parsed text: log-likelihoods of all labels under several label orders.

One pass over soft tokens and transcript fills a key-value cache. All label orders and all labels then go through the
model together, as one packed sequence: each order's suffix follows the shared prefix, each label follows its order's
suffix, and a mask keeps them from seeing one another. Nothing is computed twice and the cache is not copied.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from transformers import DynamicCache

from emotion_llama.clip import Task
from emotion_llama.errors import ModelError
from emotion_llama.model.drafts import Drafts
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.packing import Packed, chunks, pack
from emotion_llama.model.pages import Passage, Read, lay_out, pages
from emotion_llama.model.processing import EmotionLlamaProcessor, Features
from emotion_llama.model.steps import Begun, PlainStepper, Stepper
from emotion_llama.model.together import Question, Told, write_together
from emotion_llama.prompt import Layout


@dataclass(frozen=True)
class ClipPrefix:
    """A clip the model has read: its inputs and the key-value cache behind them. Never changed; forked for each use."""

    features: Features
    transcript: str | None
    cache: DynamicCache
    length: int


@dataclass(frozen=True)
class LabelLikelihoods:
    """What the model thinks of each label.

    `per_order` (O, L): log-likelihood of each label under each label order, columns as in `labels`. `mean` (L,): its
    mean over orders. `order_sensitivity`: mean over labels of the standard deviation, across orders, of the
    probability among the asked labels (before calibration). `label_mass`: probability, at the answer's first token, of
    the asked labels' first tokens together (mean over orders); low means that the model wanted to say something else.
    `end_scored`: whether the end token after the label is part of the likelihood.
    """

    labels: tuple[str, ...]
    orders: tuple[tuple[str, ...], ...]
    per_order: NDArray[np.float64]
    mean: NDArray[np.float64]
    order_sensitivity: float
    label_mass: float
    end_scored: bool


class ClipReader:
    """Scores labels and writes answers about clips, reading each clip once.

    The model is put in evaluation mode. Labels are scored with the end token as soon as one of them has several tokens,
    so that a label cannot win by being the start of another; where every label is one token the choice is made at that
    token, the end adds next to nothing, and it is left out: one forward pass decides. `end` overrides this.
    `stepper`: what runs the language model, by default the library that it was trained with.
    """

    def __init__(
        self,
        model: EmotionLlamaForConditionalGeneration,
        processor: EmotionLlamaProcessor,
        stepper: Stepper | None = None,
    ) -> None:
        self.model = model.eval()
        self.processor = processor
        self.stepper = stepper or PlainStepper(self.model)
        self._priors: dict[tuple[tuple[str, ...], int, int, bool | None, int], LabelLikelihoods] = {}

    @property
    def language(self) -> str:
        """Code of the language that the model is asked in and answers in."""
        return self.processor.config.language

    def in_layout(self, layout: Layout | None) -> ClipReader:
        """Give a reader of the same model for another layout; `None` = the configuration's own."""
        processor = self.processor.in_layout(layout)
        return self if processor is self.processor else ClipReader(self.model, processor, self.stepper)

    def read(self, features: Features, transcript: str | None) -> ClipPrefix:
        """Run soft tokens and transcript through the model and keep the cache.

        `features`: group → (N, E), present ones only. Raises `ModelError` for features that do not fit the model.
        """
        return self.read_together([(features, transcript)])[0]

    @torch.inference_mode()
    def read_together(self, clips: Sequence[tuple[Features, str | None]]) -> list[ClipPrefix]:
        """Do what `read` does for several clips, side by side."""
        passages, kept = [], []
        for given, transcript in clips:
            features = self.processor.complete(given)
            ids = self.processor.token_ids(self.processor.render("emotion", (), transcript, features).prefix)
            empty = DynamicCache(config=self.model.config.text_config)
            passages.append(Passage(ids, empty, 0, [len(ids) - 1], features))
            kept.append((dict(features), transcript))
        return [
            ClipPrefix(*clip, read.cache, passage.length)
            for clip, passage, read in zip(kept, passages, self._read(passages), strict=True)
        ]

    def score(
        self,
        prefix: ClipPrefix,
        labels: Sequence[str],
        *,
        orders: int = 4,
        seed: int = 0,
        end: bool | None = None,
        phrasing: int = 0,
    ) -> LabelLikelihoods:
        """Score every label under up to `orders` seeded label orders, from the prefix's cache.

        `phrasing` chooses the wording of the question (`prompt.instruction`).
        Raises `ModelError` if there are no labels or two labels have the same tokens.
        """
        return self.score_together([prefix], labels, orders=orders, seed=seed, end=end, phrasing=phrasing)[0]

    @torch.inference_mode()
    def score_together(
        self,
        prefixes: Sequence[ClipPrefix],
        labels: Sequence[str],
        *,
        orders: int = 4,
        seed: int = 0,
        end: bool | None = None,
        phrasing: int = 0,
    ) -> list[LabelLikelihoods]:
        """Do what `score` does for several clips, side by side."""
        answers, end = self._answers(labels, end)
        chosen = label_orders(labels, orders, seed)
        passages: list[Passage] = []
        owners: list[tuple[int, Packed, dict[int, int]]] = []
        for number, prefix in enumerate(prefixes):
            suffixes = [self._suffix_ids(prefix, "emotion", order, phrasing=phrasing) for order in chosen]
            for group in chunks(suffixes, answers):
                packed = pack(group, answers, prefix.length)
                passage, rows = self._packed(prefix, packed)
                passages.append(passage)
                owners.append((number, packed, rows))
        rows_of: list[list[list[float]]] = [[] for _ in prefixes]
        mass_of: list[list[float]] = [[] for _ in prefixes]
        for (number, packed, index), read in zip(owners, self._read(passages), strict=True):
            logp = read.logits.float().log_softmax(-1)  # (W, V)
            for places in packed.places:
                found = [[index[place] for place in run] for run in places]
                picked = [float(logp[run, answer].sum()) for run, answer in zip(found, answers, strict=True)]
                rows_of[number].append(picked)
                mass_of[number].append(_first_mass(logp[found[0][0]], answers))
        return [_likelihoods(labels, chosen, rows, mass, end) for rows, mass in zip(rows_of, mass_of, strict=True)]

    @torch.inference_mode()
    def score_from_scratch(
        self, prefix: ClipPrefix, labels: Sequence[str], *, orders: int = 4, seed: int = 0, end: bool | None = None
    ) -> LabelLikelihoods:
        """Give what `score` gives, the plain and slow way: one full forward for each label of each order, no cache."""
        answers, end = self._answers(labels, end)
        chosen = label_orders(labels, orders, seed)
        rows: list[list[float]] = []
        mass: list[float] = []
        for order in chosen:
            prompt = self.processor.render("emotion", order, prefix.transcript, prefix.features)
            ids = self.processor.token_ids((*prompt.prefix, *prompt.suffix))
            runs = [self._full_logp(ids, answer, prefix.features) for answer in answers]
            picked = [float(run[range(len(answer)), answer].sum()) for run, answer in zip(runs, answers, strict=True)]
            rows.append(picked)
            mass.append(_first_mass(runs[0][0], answers))
        return _likelihoods(labels, chosen, rows, mass, end)

    def prior(
        self,
        labels: Sequence[str],
        *,
        orders: int = 4,
        seed: int = 0,
        end: bool | None = None,
        phrasing: int = 0,
    ) -> LabelLikelihoods:
        """Score the labels on the blank clip (no features, not transcribed): the model's bias. Computed once."""
        key = (tuple(labels), orders, seed, end, phrasing)
        if key not in self._priors:
            blank = self.read({}, None)
            self._priors[key] = self.score(blank, labels, orders=orders, seed=seed, end=end, phrasing=phrasing)
        return self._priors[key]

    def prompt(
        self, prefix: ClipPrefix, task: Task, labels: Sequence[str], clues: Sequence[str] = (), phrasing: int = 0
    ) -> str:
        """Give the whole prompt of a task as a person reads it (soft tokens as ⟨name×count⟩), for the record."""
        return self.processor.render(task, labels, prefix.transcript, prefix.features, clues, phrasing).text

    def begin(self, prefix: ClipPrefix, question: Question) -> Begun:
        """Read a question about a clip. Raises `ModelError` where clip and question are longer than the model reads."""
        return self.begin_together([(prefix, question)])[0]

    @torch.inference_mode()
    def begin_together(self, asked: Sequence[tuple[ClipPrefix, Question]]) -> list[Begun]:
        """Do what `begin` does for several questions, side by side."""
        ids = [self._suffix_ids(clip, one.task, one.labels, one.clues) for clip, one in asked]
        passages = [
            Passage(own, clip.cache, clip.length, [len(own) - 1]) for (clip, _), own in zip(asked, ids, strict=True)
        ]
        return [
            Begun(
                read.cache, passage.start + passage.length, read.logits[0], one.max_new_tokens, self._drafts(one, own)
            )
            for (_, one), own, passage, read in zip(asked, ids, passages, self._read(passages), strict=True)
        ]

    def write(self, begun: Sequence[Begun], told: Told = lambda number, piece: True) -> list[str]:
        """Write the likeliest text behind each question, all of them at once, from readings of this model.

        `told` gets a text's number and its next piece; the pieces join to the text, and false ends it.
        """
        return write_together(self.stepper, self.processor, begun, told)

    def answer(self, prefix: ClipPrefix, question: Question) -> str:
        """Write the likeliest answer to one question."""
        return self.write([self.begin(prefix, question)])[0]

    def _answers(self, labels: Sequence[str], end: bool | None) -> tuple[list[list[int]], bool]:
        answers = [self.processor.answer_ids(self.processor.label(label)) for label in labels]
        if not answers or len({tuple(answer) for answer in answers}) < len(answers):
            raise ModelError(
                f"labels to score: expected one or more different ones, found {', '.join(labels) or 'none'}"
            )
        end = any(len(answer) > 1 for answer in answers) if end is None else end
        return [[*answer, self.processor.end_id] if end else answer for answer in answers], end

    def _suffix_ids(
        self, prefix: ClipPrefix, task: Task, labels: Sequence[str], clues: Sequence[str] = (), phrasing: int = 0
    ) -> list[int]:
        prompt = self.processor.render(task, labels, prefix.transcript, prefix.features, clues, phrasing)
        ids = self.processor.token_ids(prompt.suffix)
        self.processor.check_length("under analysis", prefix.length + len(ids))
        return ids

    def _inputs(self, ids: Sequence[int], features: Features) -> dict[str, object]:
        tensors, present = self.processor.collate([features])
        device = self.model.device
        return {
            "input_ids": torch.tensor([ids], device=device),
            "features": {name: rows.to(device) for name, rows in tensors.items()},
            "feature_mask": {name: rows.to(device) for name, rows in present.items()},
        }

    def _drafts(self, question: Question, ids: list[int]) -> Drafts:
        drafts = [[*self.processor.answer_ids(text), self.processor.end_id] for text in question.drafts]
        return Drafts([*drafts, ids])

    def _read(self, passages: Sequence[Passage]) -> list[Read]:
        """Read passages, those of about the same length side by side."""
        found: dict[int, Read] = {}
        for page in pages(passages):
            laid_out = lay_out([passages[number] for number in page], self.processor.collate)
            found |= zip(page, self.stepper.read(laid_out), strict=True)
        return [found[number] for number in range(len(passages))]

    def _packed(self, prefix: ClipPrefix, packed: Packed) -> tuple[Passage, dict[int, int]]:
        """Give the passage of a packed sequence, and the row of logits of each place that predicts something."""
        wanted = sorted({place for suffix in packed.places for run in suffix for place in run})
        positions = torch.tensor(packed.positions)
        passage = Passage(packed.ids, prefix.cache, prefix.length, wanted, {}, positions, packed.sees)
        return passage, {place: row for row, place in enumerate(wanted)}

    def _full_logp(self, ids: list[int], answer: list[int], features: Features) -> Tensor:
        """Give log-probabilities (answer tokens, V) after a full forward over prompt and answer."""
        logits = self.model(**self._inputs(ids + answer, features), use_cache=False).logits
        logp: Tensor = logits[0, len(ids) - 1 : -1].float().log_softmax(-1)
        return logp


def label_orders(labels: Sequence[str], orders: int, seed: int) -> tuple[tuple[str, ...], ...]:
    """Give up to `orders` different orders of the labels (fewer if L! is less).

    One order is the given one. Several do not depend on it, so that the answer does not either: seeded permutations of
    the sorted labels, each followed by its reverse, so that every label stands as far to the front as to the back.
    """
    if orders == 1:
        return (tuple(labels),)
    rng = np.random.default_rng(seed)
    found: list[tuple[str, ...]] = []
    words, wanted = sorted(labels), min(orders, math.factorial(len(labels)))
    while len(found) < wanted:
        order = tuple(words[index] for index in rng.permutation(len(words)))
        found += [one for one in dict.fromkeys((order, order[::-1])) if one not in found]
    return tuple(found[:wanted])


def _likelihoods(
    labels: Sequence[str],
    orders: tuple[tuple[str, ...], ...],
    rows: Sequence[Sequence[float]],
    mass: Sequence[float],
    end: bool,
) -> LabelLikelihoods:
    per_order = np.asarray(rows, np.float64)  # (O, L)
    among = np.exp(per_order - np.logaddexp.reduce(per_order, axis=1, keepdims=True))  # (O, L) probabilities
    spread = float(among.std(axis=0).mean())
    return LabelLikelihoods(tuple(labels), orders, per_order, per_order.mean(axis=0), spread, float(np.mean(mass)), end)


def _first_mass(logp: Tensor, answers: Sequence[Sequence[int]]) -> float:
    return float(logp[sorted({answer[0] for answer in answers})].exp().sum())

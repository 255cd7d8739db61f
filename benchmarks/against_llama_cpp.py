"""Writing by llama.cpp against writing by our int8 graph: the same merged weights at 8 bits, the same soft tokens.

    pip install llama-cpp-python      # compiles; not among the requirements
    python benchmarks/against_llama_cpp.py [--rounds 5] [--clips 8] [--json docs/llama-cpp.json]

Both read the prompts of cuts of the sample recordings, soft tokens included, and write the same reasons; in turn, round
after round. `decode_ratio` is the median of the rounds' quotients, llama.cpp's seconds over ours: above 1, ours is
faster. llama.cpp writes token by token, ours as it does for users, with guesses; `step_ratio`: both token by token.
Reading the prompts is timed apart. What both think of the same texts is compared token by token: how often they would
write the same next word, and how far their chances are apart.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import llama_cpp
import numpy as np
import torch
from numpy.typing import NDArray

from emotion_llama.analyze.analyzer import EmotionLlama
from emotion_llama.analyze.numerics import Numerics
from emotion_llama.analyze.preset import load_preset
from emotion_llama.bench.clips import asked_of
from emotion_llama.bench.language import Asked, prompt_page
from emotion_llama.bench.machine import describe
from emotion_llama.bench.samples import cuts
from emotion_llama.clip import Clip
from emotion_llama.model.pages import Page
from emotion_llama.model.score import ClipReader
from emotion_llama.train.export.gguf_llm import export_gguf_llm
from emotion_llama.train.export.source import open_source


class LlamaCpp:
    """llama.cpp with one sequence."""

    def __init__(self, path: Path, threads: int, width: int, vocab: int) -> None:
        llama_cpp.llama_log_set(_SILENT, ctypes.c_void_p(0))
        llama_cpp.llama_backend_init()
        self._model = llama_cpp.llama_model_load_from_file(str(path).encode(), llama_cpp.llama_model_default_params())
        options = llama_cpp.llama_context_default_params()
        options.n_ctx, options.n_batch, options.n_ubatch = 1024, 1024, 1024
        options.n_threads = options.n_threads_batch = threads
        self._context = llama_cpp.llama_init_from_model(self._model, options)
        self._width, self._vocab, self._at = width, vocab, 0

    def read(self, embeds: NDArray[np.float32]) -> NDArray[np.float32]:
        """Read a prompt (T, D) from nothing; gives the logits (V,) behind it."""
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self._context), True)
        batch = llama_cpp.llama_batch_init(len(embeds), self._width, 1)
        ctypes.memmove(batch.embd, np.ascontiguousarray(embeds).ctypes.data, embeds.nbytes)
        self._at = 0
        return self._decoded(batch, len(embeds))

    def next(self, token: int) -> NDArray[np.float32]:
        """Read one token more."""
        batch = llama_cpp.llama_batch_init(1, 0, 1)
        batch.token[0] = token
        return self._decoded(batch, 1)

    def _decoded(self, batch: Any, count: int) -> NDArray[np.float32]:
        batch.n_tokens = count
        for place in range(count):
            batch.pos[place] = self._at + place
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
            batch.logits[place] = place == count - 1
        if llama_cpp.llama_decode(self._context, batch) != 0:
            raise RuntimeError("llama_decode failed")
        self._at += count
        llama_cpp.llama_batch_free(batch)
        logits = llama_cpp.llama_get_logits_ith(self._context, -1)
        return np.ctypeslib.as_array(logits, shape=(self._vocab,)).copy()


@llama_cpp.llama_log_callback
def _SILENT(level: int, text: bytes, data: Any) -> None:
    """Says nothing."""


@dataclass
class Run:
    """One way's seconds for reading and for writing, token by token; its logits of each step. Ours also as it is."""

    read_s: float
    step_s: float
    logits: list[NDArray[np.float32]]
    write_s: float


def theirs(llama: LlamaCpp, embeds: NDArray[np.float32], tokens: list[int]) -> Run:
    """Read the prompt, then given tokens one by one, which is how it writes."""
    start = time.perf_counter()
    logits = [llama.read(embeds)]
    read_s, start = time.perf_counter() - start, time.perf_counter()
    logits += [llama.next(token) for token in tokens]
    spent_s = time.perf_counter() - start
    return Run(read_s, spent_s, logits, spent_s)


@torch.inference_mode()
def ours(reader: ClipReader, page: Page, asked: Asked, tokens: list[int]) -> Run:
    """The same by our reader, which begins to write behind what it has read; and the text as it writes it, guessing."""
    start = time.perf_counter()
    reader.stepper.read(page)
    read_s = time.perf_counter() - start
    begun = reader.begin(reader.read(asked.features, asked.transcript), asked.reason)
    start = time.perf_counter()
    steps = reader.stepper.start([begun])
    logits = [begun.logits.float().numpy(), *(steps.next([[token]], [0])[0, -1].float().numpy() for token in tokens)]
    step_s = time.perf_counter() - start
    begun = reader.begin(reader.read(asked.features, asked.transcript), asked.reason)
    start = time.perf_counter()
    reader.write([begun])
    return Run(read_s, step_s, logits, time.perf_counter() - start)


def agreement(one: list[NDArray[np.float32]], other: list[NDArray[np.float32]]) -> dict[str, float]:
    """Over all steps: share with the same likeliest word, mean difference of the likeliest words' chances."""
    chances = [torch.tensor(np.stack(run)).softmax(-1) for run in (one, other)]
    best = [found.argmax(-1) for found in chances]
    rows = torch.arange(len(best[0]))
    apart = (chances[0][rows, best[0]] - chances[1][rows, best[0]]).abs()
    return {"same_word": float((best[0] == best[1]).float().mean()), "mean_abs_chance": float(apart.mean())}


@dataclass(frozen=True)
class Case:
    """A clip: its prompt, also as embeddings (T, D), and the text that is written."""

    asked: Asked
    prompt: Page
    embeds: NDArray[np.float32]
    tokens: list[int]

    @classmethod
    @torch.inference_mode()
    def of(cls, model: EmotionLlama, plain: ClipReader, clip: Clip) -> Case:
        """Look at a clip, and let the int8 graph write its reason."""
        asked, _ = asked_of(model, clip)
        prompt = prompt_page(plain, asked)
        embeds = plain.model.embed(prompt.ids, prompt.features, prompt.present)[0].float().numpy()
        text = model.reader.answer(model.reader.read(asked.features, asked.transcript), asked.reason)
        return cls(asked, prompt, embeds, plain.processor.answer_ids(text))


def _summed(runs: Iterable[Run]) -> Run:
    found = list(runs)
    seconds = [sum(getattr(one, name) for one in found) for name in ("read_s", "step_s", "write_s")]
    return Run(seconds[0], seconds[1], [], seconds[2])


def _joined(runs: Sequence[Run]) -> list[NDArray[np.float32]]:
    return [logits for run in runs for logits in run.logits]


def main() -> None:
    """Measure and print; with --json also write."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--clips", type=int, default=8)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    preset = load_preset("nano", device="cpu", dtype="auto", threads=None, numerics=Numerics(quantize="int8"))
    model = EmotionLlama(replace(preset, keep_features=False))
    plain = replace(preset, dtype=torch.float32, numerics=Numerics()).load_reader()
    clips = [Case.of(model, plain, clip) for clip in cuts(given.clips)]
    config = plain.model.config.text_config
    with TemporaryDirectory() as folder:
        path = Path(folder) / "merged.gguf"
        export_gguf_llm(open_source(preset.name), path, "q8_0")
        llama = LlamaCpp(path, preset.threads, config.hidden_size, config.vocab_size)
        pairs: list[tuple[Run, Run]] = []
        rounds: list[tuple[Run, Run]] = []
        for number in range(given.rounds + 1):
            found = [
                (theirs(llama, case.embeds, case.tokens), ours(model.reader, case.prompt, case.asked, case.tokens))
                for case in clips
            ]
            if number == 0:  # for warming up, and for what both think of each word
                pairs = found
                continue
            rounds.append((_summed(one for one, _ in found), _summed(two for _, two in found)))
            print(f"round {number} of {given.rounds}", flush=True)
    exact = [ours(plain, case.prompt, case.asked, case.tokens) for case in clips]
    tokens, length = sum(len(case.tokens) for case in clips), sum(len(case.embeds) for case in clips)
    found = {
        "machine": describe(preset, False).model_dump(),
        "llama_cpp": llama_cpp.__version__,
        "rounds": given.rounds,
        "texts": len(clips),
        "prompt_tokens": length,
        "written_tokens": tokens,
        "llama_cpp_tok_s": tokens / median(one.write_s for one, _ in rounds),
        "ours_tok_s": tokens / median(two.write_s for _, two in rounds),
        "decode_ratio": median(one.write_s / two.write_s for one, two in rounds),
        "step_ratio": median(one.step_s / two.step_s for one, two in rounds),
        "llama_cpp_prefill_tok_s": length / median(one.read_s for one, _ in rounds),
        "ours_prefill_tok_s": length / median(two.read_s for _, two in rounds),
        "prefill_ratio": median(one.read_s / two.read_s for one, two in rounds),
        "llama_cpp_against_float32": agreement(_joined(exact), _joined([one for one, _ in pairs])),
        "ours_against_float32": agreement(_joined(exact), _joined([two for _, two in pairs])),
    }
    print(json.dumps(found, indent=2))
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()

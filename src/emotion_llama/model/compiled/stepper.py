"""Prompts read and texts written by a compiled graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from threading import Lock, local
from typing import Any

import numpy as np
import openvino as ov
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from emotion_llama.model.compiled.graph import INPUTS, LOGITS, ROWS, state_name
from emotion_llama.model.compiled.store import stored_graph
from emotion_llama.model.compiled.weights import GROUP, Quantize
from emotion_llama.model.modeling import EmotionLlamaForConditionalGeneration
from emotion_llama.model.pages import Page, Read, seen, side_by_side
from emotion_llama.model.steps import Begun, Steps, unpadded

_HIDDEN = np.finfo(np.float32).min
"""Added to what a token does not see."""


class CompiledStepper:
    """Runs a graph of the same weights (`quantize` `None`), or of weights in fewer bits. Any thread may ask.

    `folder`: where graphs are kept. The graph is made or read when it is first needed.
    """

    def __init__(
        self,
        model: EmotionLlamaForConditionalGeneration,
        quantize: Quantize | None,
        folder: Path,
        threads: int,
        dtype: torch.dtype,
    ) -> None:
        self.quantize = quantize
        self._model, self._folder = model, folder
        self._making, self._own = Lock(), local()
        self._options = {
            "PERFORMANCE_HINT": "LATENCY",
            "INFERENCE_NUM_THREADS": threads,
            "INFERENCE_PRECISION_HINT": "bf16" if dtype == torch.bfloat16 and quantize is None else "f32",
            "KV_CACHE_PRECISION": "f32",
        }

    @property
    def bytes_a_weight(self) -> tuple[float, float]:
        """Bytes of a weight, with its share of the scale and the zero point of its group."""
        plain = 2.0 if self._options["INFERENCE_PRECISION_HINT"] == "bf16" else 4.0
        in_8 = 1.0 + 4.0 / GROUP
        sizes = {None: (plain, plain), "int8": (in_8, in_8), "int4": (0.5 + 4.5 / GROUP, in_8)}
        return sizes[self.quantize]

    @cached_property
    def _compiled(self) -> Any:
        file = stored_graph(self._model.language_model, self.quantize, self._folder)
        return ov.Core().compile_model(file, "CPU", self._options)

    def _request(self, use: str) -> Any:
        """Of this thread alone, and one for each use: a question can be read while texts are under way."""
        if not hasattr(self._own, use):
            self.warm()
            setattr(self._own, use, self._compiled.create_infer_request())
        return getattr(self._own, use)

    def warm(self) -> None:
        """Read or make the graph now."""
        with self._making:
            _ = self._compiled

    def read(self, page: Page) -> list[Read]:
        """Read passages side by side."""
        layers, request = len(page.passages[0].behind.layers), self._request("reading")
        _begin(request, side_by_side(page.before))
        sees = seen(page)
        mask = np.where(sees.numpy(), np.float32(0), _HIDDEN)[:, None]  # (B, 1, P, T + P)
        embeds = self._model.embed(page.ids, page.features, page.present)
        wanted = page.wanted.flatten().nonzero()[:, 0].tolist()
        logits = _infer(request, embeds, page.positions.numpy(), mask, wanted)
        return page.split(logits, _held(request, layers))

    def joins(self, begun: Sequence[Begun]) -> bool:
        """The graph keeps all that was read: any texts can be written side by side."""
        return True

    def start(self, begun: Sequence[Begun]) -> Steps:
        """Begin to write; what this thread began before is forgotten."""
        return _CompiledSteps(self._request("writing"), self._model.get_input_embeddings(), begun)


class _CompiledSteps:
    def __init__(self, request: Any, embedding: nn.Module, begun: Sequence[Begun]) -> None:
        self._request, self._embedding = request, embedding
        lengths = torch.tensor([one.length for one in begun])
        self._lengths = lengths.numpy()
        self._mask = np.where(unpadded(lengths).numpy(), np.float32(0), _HIDDEN)  # (B, T)
        _begin(request, side_by_side([(one.cache, one.length) for one in begun]))

    def next(self, tokens: Sequence[Sequence[int]], rows: Sequence[int]) -> Tensor:
        chosen, count = np.asarray(rows, np.int32), len(tokens[0])
        self._lengths = self._lengths[chosen]
        past = self._mask[chosen]
        later = np.triu(np.full((count, count), _HIDDEN, np.float32), 1)  # (L, L): a token does not see the next ones
        mask = np.concatenate(
            [
                np.broadcast_to(past[:, None], (len(rows), count, past.shape[1])),
                np.broadcast_to(later, (len(rows), count, count)),
            ],
            2,
        )  # (B, L, T + L)
        embeds = self._embedding(torch.tensor(tokens))
        positions = self._lengths[:, None] + np.arange(count)
        logits = _infer(self._request, embeds, positions, mask[:, None], range(len(rows) * count), chosen)
        self._mask = np.pad(past, ((0, 0), (0, count)))
        self._lengths = self._lengths + count
        return logits.reshape(len(rows), count, -1)

    def forget(self, counts: Sequence[int]) -> None:
        forgotten, width = np.asarray(counts), self._mask.shape[1]
        self._mask = np.where(np.arange(width) < width - forgotten[:, None], self._mask, _HIDDEN)
        self._lengths = self._lengths - forgotten


def _begin(request: Any, layers: Sequence[Sequence[Tensor]]) -> None:
    """Forget what was read before; go on behind these keys and values (B, heads, T, width), where there are any."""
    request.reset_state()
    states = {state.name: state for state in request.query_state()} if layers else {}
    for number, layer in enumerate(layers):
        for part, rows in zip(("keys", "values"), layer, strict=True):
            states[state_name(number, part)].state = ov.Tensor(rows.float().contiguous().numpy())


def _held(request: Any, layers: int) -> list[tuple[Tensor, Tensor]]:
    """Keys and values (B, heads, T, width) that the graph holds now."""
    states = {state.name: torch.from_numpy(state.state.data.copy()) for state in request.query_state()}
    return [(states[state_name(number, "keys")], states[state_name(number, "values")]) for number in range(layers)]


def _infer(
    request: Any,
    embeds: Tensor,
    positions: NDArray[np.int64],
    mask: NDArray[np.float32],
    wanted: Sequence[int],
    rows: NDArray[np.int32] | None = None,
) -> Tensor:
    """Logits (W, V)."""
    given = (embeds.float().numpy(), positions, np.ascontiguousarray(mask), np.asarray(wanted, np.int64))
    kept = np.arange(len(embeds), dtype=np.int32) if rows is None else rows
    found = request.infer({**dict(zip(INPUTS, given, strict=True)), ROWS: kept})
    return torch.from_numpy(found[LOGITS])

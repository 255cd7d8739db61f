"""Texts written on by a compiled graph."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import torch
from torch import Tensor
from transformers import PreTrainedModel

from emotion_llama.model.compiled.graph import INPUTS, LOGITS, ROWS, state_name
from emotion_llama.model.compiled.store import stored_graph
from emotion_llama.model.compiled.weights import GROUP, Quantize
from emotion_llama.model.steps import Begun, Steps, side_by_side, unpadded

_HIDDEN = np.finfo(np.float32).min
"""Added to what a token does not see."""


class CompiledStepper:
    """Writes on by a graph of the same weights (`quantize` `None`), or of weights in fewer bits. One thread at a time.

    `folder`: where graphs are kept. The graph is made or read at the first text.
    """

    def __init__(
        self, language_model: PreTrainedModel, quantize: Quantize | None, folder: Path, threads: int, dtype: torch.dtype
    ) -> None:
        self.quantize = quantize
        self._language_model, self._folder = language_model, folder
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
        sizes = {None: (plain, plain), "int8": (1.0, 1.0), "int4": (0.5 + 4.5 / GROUP, 1.0)}
        return sizes[self.quantize]

    @cached_property
    def _request(self) -> Any:
        file = stored_graph(self._language_model, self.quantize, self._folder)
        return ov.Core().compile_model(file, "CPU", self._options).create_infer_request()

    def warm(self) -> None:
        """Read or make the graph now."""
        _ = self._request

    def joins(self, begun: Sequence[Begun]) -> bool:
        """The graph keeps all that was read: any texts can be written side by side."""
        return True

    def start(self, begun: Sequence[Begun]) -> Steps:
        """Begin to write; what was begun before on the same graph is forgotten."""
        return _CompiledSteps(self._request, begun)


class _CompiledSteps:
    def __init__(self, request: Any, begun: Sequence[Begun]) -> None:
        self._request = request
        lengths = torch.tensor([one.length for one in begun])
        self._lengths = lengths.numpy()
        self._mask = np.where(unpadded(lengths).numpy(), np.float32(0), _HIDDEN)  # (B, T)
        request.reset_state()
        states = {state.name: state for state in request.query_state()}
        for layer in range(len(begun[0].cache.layers)):
            for part in ("keys", "values"):
                rows = side_by_side(begun, layer, part).float().contiguous()
                states[state_name(layer, part)].state = ov.Tensor(rows.numpy())

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
        tokens_in, positions_in, mask_in = INPUTS
        found = self._request.infer({
            tokens_in: np.asarray(tokens, np.int64),
            positions_in: self._lengths[:, None] + np.arange(count),
            mask_in: np.ascontiguousarray(mask[:, None]),
            ROWS: chosen,
        })  # fmt: skip
        self._mask = np.pad(past, ((0, 0), (0, count)))
        self._lengths = self._lengths + count
        return torch.from_numpy(found[LOGITS])

    def forget(self, counts: Sequence[int]) -> None:
        forgotten, width = np.asarray(counts), self._mask.shape[1]
        self._mask = np.where(np.arange(width) < width - forgotten[:, None], self._mask, _HIDDEN)
        self._lengths = self._lengths - forgotten

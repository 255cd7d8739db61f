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
        self._request, self._step = request, 0
        lengths = torch.tensor([one.length for one in begun])
        self._lengths = lengths.numpy()
        self._mask = np.where(unpadded(lengths).numpy(), 0, np.finfo(np.float32).min).astype(np.float32)  # (B, T)
        request.reset_state()
        states = {state.name: state for state in request.query_state()}
        for layer in range(len(begun[0].cache.layers)):
            for part in ("keys", "values"):
                rows = side_by_side(begun, layer, part).float().contiguous()
                states[state_name(layer, part)].state = ov.Tensor(rows.numpy())

    def next(self, tokens: Sequence[int], rows: Sequence[int]) -> Tensor:
        chosen = np.asarray(rows, np.int32)
        mask = np.pad(self._mask[chosen], ((0, 0), (0, 1)))
        self._mask, self._lengths = mask, self._lengths[chosen]
        tokens_in, positions_in, mask_in = INPUTS
        found = self._request.infer({
            tokens_in: np.asarray(tokens, np.int64)[:, None],
            positions_in: (self._lengths + self._step)[:, None],
            mask_in: mask[:, None, None],
            ROWS: chosen,
        })  # fmt: skip
        self._step += 1
        return torch.from_numpy(found[LOGITS][:, -1])

"""From one encoder's rows to soft tokens of the language model."""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn

from emotion_llama.errors import ModelError
from emotion_llama.model.configuration import FeatureGroup

_GELU_RMS = 0.652
"""Root mean square of GELU(x) for standard normal x."""


LIMIT = 6.0
"""Standardised features are held within this: single frames of speech encoders have outliers of a hundred times the
typical size in a few columns, and one of them would drown the rest of its soft token."""

_ATTENTION_WIDTH = 128
"""Columns of queries and keys in the attention between rows."""


class Projector(nn.Module):
    """Standardise `(B, N, E)` features, then map them to `(B, N, D)` soft tokens.

    `mean` and `std` (E,) are fitted on the training data by `standardise`; until then they are 0 and 1. Kinds:
    "linear" is the paper's; "plain" is the same on the features as they are, which the released weights were trained
    with; "mlp" adds one hidden GELU layer of width D; "gated" multiplies the linear map by a learned
    gate in 0–1; "attention" lets the rows of a group attend to one another first; "conv-attention" mixes neighbouring
    rows by a convolution over three of them before that (the strongest fusion of the MER2024 baselines).
    """

    mean: Tensor
    std: Tensor

    def __init__(self, group: FeatureGroup, hidden: int) -> None:
        super().__init__()
        self.name = group.name
        self.kind = group.projector
        if group.projector != "plain":
            self.register_buffer("mean", torch.zeros(group.width))
            self.register_buffer("std", torch.ones(group.width))
        self.mix: RowAttention | None = None
        self.gate: nn.Linear | None = None
        if group.projector == "mlp":
            self.layers = nn.Sequential(nn.Linear(group.width, hidden), nn.GELU(), nn.Linear(hidden, hidden))
            return
        self.layers = nn.Sequential(nn.Linear(group.width, hidden))
        if group.projector == "gated":
            self.gate = nn.Linear(group.width, hidden)
        elif group.projector not in ("linear", "plain"):
            self.mix = RowAttention(group.width, convolve=group.projector == "conv-attention")

    def forward(self, features: Tensor, present: Tensor | None = None) -> Tensor:
        """Map (B, N, E) to (B, N, D), computed in the precision of the projector; `present` (B, N) bool marks rows."""
        if self.kind == "plain":
            plain: Tensor = self.layers(features.to(cast(nn.Linear, self.layers[0]).weight.dtype))
            return plain
        standard = (features.to(self.mean.dtype) - self.mean) / self.std  # (B, N, E)
        standard = standard.clamp(-LIMIT, LIMIT)
        if self.mix is not None:
            standard = self.mix(standard, present)
        projected: Tensor = self.layers(standard)  # (B, N, D)
        return projected if self.gate is None else projected * 2 * torch.sigmoid(self.gate(standard))

    @torch.no_grad()
    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Set the standardisation; a column that never varied (std 0) is only centred.

        Raises `ModelError` on a wrong width, a value that is not finite, or where features are read as they are.
        """
        if self.kind == "plain":
            raise ModelError(f"projector {self.name!r}: a plain one reads features as they are; leave them unscaled")
        for key, value in (("mean", mean), ("std", std)):
            if value.shape != self.mean.shape or not bool(torch.isfinite(value).all()):
                raise ModelError(
                    f"projector {self.name!r}: expected {len(self.mean)} finite numbers as {key}, "
                    f"found shape {tuple(value.shape)}"
                )
        self.mean.copy_(mean)
        self.std.copy_(torch.where(std > 1e-8, std, torch.ones_like(std)))

    @torch.no_grad()
    def initialise(self, size: float) -> None:
        """Draw the layers so that standardised features give soft tokens with elements of RMS `size`.

        Word embeddings of small language models are far below 1: soft tokens of PyTorch's default size drown them.
        """
        linear = [layer for layer in self.layers if isinstance(layer, nn.Linear)]
        for layer in linear:
            nn.init.normal_(layer.weight, std=layer.in_features**-0.5)
            nn.init.zeros_(layer.bias)
        linear[-1].weight *= size if len(linear) == 1 else size / _GELU_RMS
        if self.gate is not None:  # starts open: the linear map as it is
            nn.init.zeros_(self.gate.weight)
            nn.init.zeros_(self.gate.bias)
        if self.mix is not None:
            self.mix.initialise()


class RowAttention(nn.Module):
    """Rows of one feature group attend to one another: `(B, N, E)` to `(B, N, E)`, starting as the identity.

    Queries and keys have `_ATTENTION_WIDTH` columns (or E if that is less), one head; a row that is absent is not
    attended to.
    """

    def __init__(self, width: int, *, convolve: bool) -> None:
        super().__init__()
        inner = min(width, _ATTENTION_WIDTH)
        self.convolution = nn.Conv1d(width, width, 3, padding=1, groups=width) if convolve else None
        self.query, self.key = nn.Linear(width, inner), nn.Linear(width, inner)
        self.value = nn.Linear(width, inner)
        self.out = nn.Linear(inner, width)

    def forward(self, rows: Tensor, present: Tensor | None = None) -> Tensor:
        """Add to each row what it takes from the others."""
        if present is not None:
            rows = rows * present.unsqueeze(-1)  # absent rows must not reach their neighbours either
        mixed = rows if self.convolution is None else rows + self.convolution(rows.mT).mT  # (B, N, E)
        mask = None
        if present is not None:  # a clip without any row attends to itself: its output is not used
            mask = (present | ~present.any(1, keepdim=True)).unsqueeze(1)  # (B, 1, N)
        seen = nn.functional.scaled_dot_product_attention(
            self.query(mixed), self.key(mixed), self.value(mixed), attn_mask=mask
        )  # (B, N, inner)
        return mixed + self.out(seen)  # type: ignore[no-any-return]

    @torch.no_grad()
    def initialise(self) -> None:
        """Start as the identity: the ways back into the rows are zero."""
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        if self.convolution is not None:
            for parameter in self.convolution.parameters():
                nn.init.zeros_(parameter)

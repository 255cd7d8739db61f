"""From one encoder's rows to soft tokens of the language model."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from emotion_llama.errors import ModelError
from emotion_llama.model.configuration import FeatureGroup

_GELU_RMS = 0.652
"""Root mean square of GELU(x) for standard normal x."""


LIMIT = 6.0
"""Standardised features are held within this: single frames of speech encoders have outliers of a hundred times the
typical size in a few columns, and one of them would drown the rest of its soft token."""


class Projector(nn.Module):
    """Standardise `(B, N, E)` features, then map them to `(B, N, D)` soft tokens.

    `mean` and `std` (E,) are fitted on the training data by `standardise`; until then they are 0 and 1.
    The linear form is the paper's; "mlp" adds one hidden GELU layer of width D.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, group: FeatureGroup, hidden: int) -> None:
        super().__init__()
        self.name = group.name
        self.register_buffer("mean", torch.zeros(group.width))
        self.register_buffer("std", torch.ones(group.width))
        if group.projector == "linear":
            self.layers = nn.Sequential(nn.Linear(group.width, hidden))
        else:
            self.layers = nn.Sequential(nn.Linear(group.width, hidden), nn.GELU(), nn.Linear(hidden, hidden))

    def forward(self, features: Tensor) -> Tensor:
        """Map (B, N, E) to (B, N, D), computed in the precision of the projector."""
        standard = (features.to(self.mean.dtype) - self.mean) / self.std  # (B, N, E)
        projected: Tensor = self.layers(standard)  # (B, N, D)
        return projected

    @torch.no_grad()
    def standardise(self, mean: Tensor, std: Tensor) -> None:
        """Set the standardisation; a column that never varied (std 0) is only centred.

        Raises `ModelError` on a wrong width or a value that is not finite.
        """
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

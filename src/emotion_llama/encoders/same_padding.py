"""TensorFlow's "same" padding, for nets whose weights were trained there.

PyTorch pads both sides alike; TensorFlow gives the odd pixel to the right and the bottom, which moves every feature.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def pad_same(x: Tensor, kernel: int, stride: int, fill: float = 0.0) -> Tensor:
    """Pad `(B, C, H, W)` so that a `kernel`/`stride` window gives ceil(H / stride) × ceil(W / stride) outputs."""
    top, bottom = _sides(x.shape[-2], kernel, stride)
    left, right = _sides(x.shape[-1], kernel, stride)
    return F.pad(x, (left, right, top, bottom), value=fill)


def _sides(size: int, kernel: int, stride: int) -> tuple[int, int]:
    outputs = -(-size // stride)
    total = max((outputs - 1) * stride + kernel - size, 0)
    return total // 2, total - total // 2

"""The steps all conversions share: find the raw file, fold a batch norm, check the numbers, write the file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from emotion_llama.errors import AssetCorruptError, AssetMissingError


def raw_file(raw_dir: Path, name: str) -> Path:
    """Path of a raw file; `AssetMissingError` if it is not there."""
    path = raw_dir / name
    if not path.is_file():
        raise AssetMissingError(f"{path} is missing, so it cannot be converted; run: emotion-llama fetch nano")
    return path


def fold_batch_norm(kernel: Tensor, norm: dict[str, Tensor], epsilon: float) -> tuple[Tensor, Tensor]:
    """Kernel and bias of one convolution that does what convolution and batch norm did.

    `kernel` is `(out, …)`; `norm` has gamma, beta, mean and variance `(out,)`. Computed in float64.
    """
    scale = norm["gamma"].double() / torch.sqrt(norm["variance"].double() + epsilon)
    bias = norm["beta"].double() - norm["mean"].double() * scale
    folded = kernel.double() * scale.reshape(-1, *[1] * (kernel.dim() - 1))
    return folded.float(), bias.float()


def require_close(raw: Path, what: str, found: Tensor, expected: Sequence[float], tolerance: float) -> None:
    """Raise `AssetCorruptError` unless every number of `found` is within `tolerance` of the stored one."""
    difference = (found.double().flatten() - torch.tensor(expected, dtype=torch.float64)).abs().max().item()
    if not difference <= tolerance:  # also refuses NaN
        raise AssetCorruptError(
            f"{raw}: the converted net's {what} differs from the stored check by {difference:.3g}, "
            f"allowed is {tolerance:g}; delete the file and run: emotion-llama fetch nano"
        )


def save_tensors(tensors: dict[str, Tensor], path: Path) -> None:
    """Write a safetensors file under a temporary name, then rename it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".part")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, partial, metadata={"format": "pt"})
    partial.replace(path)


def waves(*shape: int) -> Tensor:
    """A smooth made-up input in -1 to 1 for the numeric checks, the same on every machine."""
    count = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return (torch.sin(count * 0.0137) * torch.cos(count * 0.00071)).reshape(shape).float()

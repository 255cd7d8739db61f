"""Reading a net's weights from an asset folder."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import nn

from emotion_llama.errors import AssetCorruptError, AssetMissingError, ModelError

Net = TypeVar("Net", bound=nn.Module)


def asset_file(folder: Path, name: str) -> Path:
    """Path of one file of an asset folder; `AssetMissingError` if it is not there."""
    path = folder / name
    if not path.is_file():
        raise AssetMissingError(f"{path} is missing; fetch it with: emotion-llama fetch nano")
    return path


def load_weights(net: Net, path: Path, device: str) -> Net:
    """Fill `net` strictly from a safetensors file; it comes back in float32, frozen, in evaluation mode, on `device`.

    Raises `AssetCorruptError` if the file cannot be read and `ModelError` if its tensors are not the net's.
    """
    try:
        tensors = load_file(path)
    except (SafetensorError, OSError) as error:
        raise AssetCorruptError(
            f"{path}: not a readable safetensors file ({error}); delete it and run: emotion-llama fetch nano"
        ) from error
    try:
        net.load_state_dict(tensors, strict=True)
    except RuntimeError as error:
        raise ModelError(f"{path}: the tensors do not fit {type(net).__name__}: {error}") from error
    return net.float().eval().requires_grad_(False).to(device)

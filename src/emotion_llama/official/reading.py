"""Released weight files opened without running what is in them, and without holding them in memory twice."""

from __future__ import annotations

import math
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from emotion_llama.errors import ModelError

_LAYERS = ("model", "module", "state_dict")
"""Names under which training scripts keep the tensors in their files."""


_BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "U8": 1, "BOOL": 1}


def read_pickle(path: Path) -> dict[str, Tensor]:
    """Give the tensors of a `.pth` file by name: mapped from the disk, not copied, where the file's form allows it.

    The state dictionary may stand alone or under "model", "module" or "state_dict"; what stands beside it (optimizer,
    settings) is left. Raises `ModelError` for a file that is damaged, holds code, or holds no tensors.
    """
    if not path.is_file():
        raise ModelError(f"{path}: expected a weight file, found none; check the path")
    try:
        found = _load(path)
    except pickle.UnpicklingError as error:
        raise ModelError(
            f"{path}: holds more than weights, and opening that could run code ({_first_line(error)}); get the file "
            "from where it was published"
        ) from error
    except (OSError, RuntimeError, EOFError, ValueError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path}: not a readable weight file ({_first_line(error)}); it may be cut short: download it again"
        ) from error
    for name in _LAYERS:
        if isinstance(found, Mapping) and isinstance(found.get(name), Mapping):
            found = found[name]
    tensors = (
        {str(key): value for key, value in found.items() if isinstance(value, Tensor)}
        if isinstance(found, Mapping)
        else {}
    )
    if not tensors:
        raise ModelError(f"{path}: expected tensors by name, found {type(found).__name__} without any")
    return tensors


def _load(path: Path) -> Any:
    try:
        return torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (RuntimeError, ValueError) as error:  # the form before 2020 cannot be mapped
        if "mmap" not in str(error):
            raise
        return torch.load(path, map_location="cpu", weights_only=True)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0][:200]


class Shard:
    """One weight file of a Hugging Face folder, read tensor by tensor."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._pickled = None if path.suffix == ".safetensors" else read_pickle(path)

    def names(self) -> list[str]:
        """Names of the tensors, as the file has them."""
        if self._pickled is not None:
            return list(self._pickled)
        with self._opened() as file:
            return list(file.keys())

    def shape(self, name: str) -> tuple[int, ...]:
        """Shape of a tensor, which is not read for it."""
        if self._pickled is not None:
            return tuple(self._pickled[name].shape)
        with self._opened() as file:
            return tuple(file.get_slice(name).get_shape())

    def bytes(self, name: str) -> int:
        """Size of a tensor in the file."""
        if self._pickled is not None:
            return int(self._pickled[name].nbytes)
        with self._opened() as file:
            piece = file.get_slice(name)
            return int(math.prod(piece.get_shape()) * _BYTES[piece.get_dtype()])

    def read(self, name: str) -> Tensor:
        """Read one tensor."""
        if self._pickled is not None:
            return self._pickled[name]
        with self._opened() as file:
            tensor: Tensor = file.get_tensor(name)
            return tensor

    def _opened(self) -> Any:
        try:
            return safe_open(self.path, framework="pt")
        except (SafetensorError, OSError) as error:
            raise ModelError(
                f"{self.path}: not a readable safetensors file ({error}); it may be cut short: download it again"
            ) from error


def open_shards(folder: Path) -> dict[str, Shard]:
    """Give, for each tensor name of a Hugging Face folder, the file that holds it.

    Reads `*.safetensors`, or `pytorch_model*.bin` where there are none. Raises `ModelError` for a folder without
    weights or with a file that cannot be read.
    """
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("pytorch_model*.bin"))
    if not files:
        raise ModelError(f"{folder}: expected model*.safetensors or pytorch_model*.bin, found neither")
    return {name: shard for shard in map(Shard, files) for name in shard.names()}

"""Emotion heads: small linear classifiers on frozen encoder features, whose probabilities are one soft token each.

A head turns features that a 135M language model is slow to learn from (a 3072-wide voice vector) into eight or nine
probabilities that it learns from at once. Heads are trained apart from the language model, on people who are in no test
split, and the language model is trained on out-of-fold outputs, so that it learns how far to trust them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from emotion_llama.errors import ModelError


@dataclass(frozen=True)
class EmotionHead:
    """A standardising linear classifier. `labels` are canonical emotion names, the columns of its output."""

    name: str
    labels: tuple[str, ...]
    mean: NDArray[np.float32]  # (E,)
    scale: NDArray[np.float32]  # (E,)
    weight: NDArray[np.float32]  # (E, K)
    bias: NDArray[np.float32]  # (K,)

    def log_probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give log-probabilities (T, K) of feature rows (T, E). Raises `ModelError` on another width."""
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ModelError(
                f"head {self.name!r}: expected features (T, {len(self.mean)}), found {features.shape}; "
                "the checkpoint and the encoders do not belong together"
            )
        logits = ((features - self.mean) / self.scale) @ self.weight + self.bias  # (T, K)
        shifted = logits - logits.max(axis=1, keepdims=True)
        result: NDArray[np.float32] = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
        return result.astype(np.float32)


def save_heads(heads: dict[str, EmotionHead], path: Path) -> None:
    """Write heads to one safetensors file; label names go into its metadata. Weights are stored in half precision."""
    tensors: dict[str, NDArray[np.generic]] = {}
    for name, head in heads.items():
        tensors[f"{name}.mean"] = head.mean.astype(np.float32)
        tensors[f"{name}.scale"] = head.scale.astype(np.float32)
        tensors[f"{name}.weight"] = head.weight.astype(np.float16)
        tensors[f"{name}.bias"] = head.bias.astype(np.float32)
    labels = {name: list(head.labels) for name, head in heads.items()}
    save_file(tensors, path, metadata={"labels": json.dumps(labels)})
    path.chmod(0o644)  # the library makes it private; a checkpoint is there to be shared


def load_heads(path: Path) -> dict[str, EmotionHead]:
    """Read what `save_heads` wrote. Raises `ModelError` naming the file and the missing key."""
    if not path.is_file():
        raise ModelError(f"{path}: the checkpoint has no heads file; expected what training writes beside the adapter")
    try:
        with safe_open(path, framework="numpy") as file:
            labels = json.loads((file.metadata() or {}).get("labels", "{}"))
            if not labels:
                raise ModelError(f"{path}: no label names in the metadata; it was not written by this package")
            return {name: _load_head(file, name, tuple(words), path) for name, words in labels.items()}
    except (SafetensorError, ValueError) as error:
        raise ModelError(f"{path}: cannot be read as a heads file ({error}); fetch or train it again") from error


def _load_head(file: Any, name: str, labels: tuple[str, ...], path: Path) -> EmotionHead:
    mean, scale, weight, bias = (
        file.get_tensor(f"{name}.{part}").astype(np.float32) for part in ("mean", "scale", "weight", "bias")
    )
    expected = ((len(mean),), (len(mean),), (len(mean), len(labels)), (len(labels),))
    found = (mean.shape, scale.shape, weight.shape, bias.shape)
    if found != expected:
        raise ModelError(f"{path}: head {name!r}: expected shapes {expected} for {len(labels)} labels, found {found}")
    return EmotionHead(name, labels, mean, scale, weight, bias)

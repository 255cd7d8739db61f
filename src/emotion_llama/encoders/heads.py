"""Emotion heads: small classifiers on frozen encoder features, whose probabilities are one soft token each.

A head turns features that a 135M language model is slow to learn from (a 6144-wide voice vector) into eight or nine
probabilities that it learns from at once. Heads are trained apart from the language model, on people who are in no test
split, and the language model is trained on out-of-fold outputs, so that it learns how far to trust them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from emotion_llama.errors import ModelError, OutputError

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Layer:
    """One linear layer: (n, I) @ weight (I, O) + bias (O,)."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True)
class EmotionHead:
    """Standardise, optionally reduce, then one or several small nets whose log-probabilities are averaged.

    `array` names the encoder output whose rows it reads; `labels` are canonical emotion names, the columns of its
    output. `reduce` (E, R): principal directions, `None` = the rows as they are. A member is a linear layer, or linear
    layers with GELU (tanh form) between them. `temperature` divides the averaged log-probabilities.
    """

    name: str
    array: str
    labels: tuple[str, ...]
    mean: Floats  # (E,)
    scale: Floats  # (E,)
    members: tuple[tuple[Layer, ...], ...]
    reduce: Floats | None = None  # (E, R)
    temperature: float = 1.0
    facts: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def linear(
        cls, name: str, array: str, labels: tuple[str, ...], standard: tuple[Floats, Floats], layer: Layer
    ) -> EmotionHead:
        """Make a head of one linear layer (E, K) on rows standardised by (mean, scale)."""
        return cls(name, array, labels, *standard, members=((layer,),))

    def log_probabilities(self, features: Floats) -> Floats:
        """Give log-probabilities (T, K) of feature rows (T, E). Raises `ModelError` on another width."""
        if features.ndim != 2 or features.shape[1] != len(self.mean):
            raise ModelError(
                f"head {self.name!r}: expected features (T, {len(self.mean)}), found {features.shape}; "
                "the checkpoint and the encoders do not belong together"
            )
        rows = (features - self.mean) / self.scale
        if self.reduce is not None:
            rows = rows @ self.reduce  # (T, R)
        mean = np.mean([_log_softmax(_forward(member, rows)) for member in self.members], axis=0)
        return _log_softmax(mean / self.temperature)

    def opinion(self, features: Floats) -> Floats:
        """Give the head's soft-token row (1, K) for feature rows (T, E): their mean log-probabilities as chances."""
        mean = self.log_probabilities(features).mean(axis=0, keepdims=True)  # (1, K)
        row: Floats = np.exp(_log_softmax(mean)).astype(np.float32)
        return row


def _forward(member: tuple[Layer, ...], rows: Floats) -> Floats:
    for layer in member[:-1]:
        hidden = rows @ layer.weight + layer.bias
        rows = 0.5 * hidden * (1 + np.tanh(0.7978845608 * (hidden + 0.044715 * hidden**3)))  # GELU
    return rows @ member[-1].weight + member[-1].bias


def _log_softmax(logits: Floats) -> Floats:
    shifted = logits - logits.max(axis=1, keepdims=True)
    result: Floats = (shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))).astype(np.float32)
    return result


def save_heads(heads: dict[str, EmotionHead], path: Path) -> None:
    """Write heads to one safetensors file; names and facts go into its metadata. Weights are in half precision.

    Raises `OutputError` if it cannot be written.
    """
    tensors: dict[str, NDArray[np.generic]] = {}
    about: dict[str, Any] = {}
    for name, head in heads.items():
        tensors[f"{name}.mean"] = head.mean.astype(np.float32)
        tensors[f"{name}.scale"] = head.scale.astype(np.float32)
        if head.reduce is not None:
            tensors[f"{name}.reduce"] = head.reduce.astype(np.float16)
        for number, member in enumerate(head.members):
            for depth, layer in enumerate(member):
                tensors[f"{name}.{number}.{depth}.weight"] = layer.weight.astype(np.float16)
                tensors[f"{name}.{number}.{depth}.bias"] = layer.bias.astype(np.float32)
        about[name] = {
            "labels": list(head.labels),
            "array": head.array,
            "depths": [len(member) for member in head.members],
            "temperature": head.temperature,
            **head.facts,
        }
    partial = path.with_name(path.name + ".partial")
    try:
        save_file(tensors, partial, metadata={"heads": json.dumps(about)})
        partial.chmod(0o644)  # the library makes it private; a checkpoint is there to be shared
        partial.replace(path)
    except (OSError, SafetensorError) as error:
        partial.unlink(missing_ok=True)
        raise OutputError(f"{path}: cannot be written ({error}); free space or choose another folder") from error


def load_heads(path: Path) -> dict[str, EmotionHead]:
    """Read what `save_heads` wrote. Raises `ModelError` naming the file and the missing key."""
    if not path.is_file():
        raise ModelError(f"{path}: the checkpoint has no heads file; expected what training writes beside the adapter")
    try:
        with safe_open(path, framework="numpy") as file:
            about = json.loads((file.metadata() or {}).get("heads", "{}"))
            if not about:
                raise ModelError(f"{path}: no heads named in the metadata; it was not written by this package")
            return {name: _load_head(file, name, facts, path) for name, facts in about.items()}
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(f"{path}: cannot be read as a heads file ({error}); fetch or train it again") from error


def _load_head(file: Any, name: str, facts: dict[str, Any], path: Path) -> EmotionHead:
    def tensor(part: str) -> Floats:
        return np.asarray(file.get_tensor(f"{name}.{part}"), np.float32)

    rest = dict(facts)
    labels, depths = tuple(rest.pop("labels")), rest.pop("depths")
    array, temperature = str(rest.pop("array")), float(rest.pop("temperature"))
    members = tuple(
        tuple(Layer(tensor(f"{number}.{depth}.weight"), tensor(f"{number}.{depth}.bias")) for depth in range(count))
        for number, count in enumerate(depths)
    )
    reduce = tensor("reduce") if f"{name}.reduce" in set(file.keys()) else None
    head = EmotionHead(name, array, labels, tensor("mean"), tensor("scale"), members, reduce, temperature, rest)
    _check_shapes(head, path)
    return head


def _check_shapes(head: EmotionHead, path: Path) -> None:
    start = len(head.mean) if head.reduce is None else head.reduce.shape[1]
    fits = head.scale.shape == head.mean.shape and (head.reduce is None or len(head.reduce) == len(head.mean))
    for member in head.members:
        width = start
        for layer in member:
            fits = fits and layer.weight.shape == (width, len(layer.bias))
            width = len(layer.bias)
        fits = fits and width == len(head.labels)
    if not fits or not head.members:
        raise ModelError(
            f"{path}: head {head.name!r}: expected layers from {start} numbers to {len(head.labels)} labels, "
            f"found {[[layer.weight.shape for layer in member] for member in head.members]}"
        )

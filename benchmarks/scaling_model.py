"""Memory and time of a training step, by arithmetic: the formulas of docs/scaling.md, one function each.

`benchmarks/scaling.py` holds them against what a small model needs here. Bytes and FLOP; widths and layers are those of
a LLaMA whose weights are frozen, with LoRA and projectors that are trained.
"""

from __future__ import annotations

from dataclasses import dataclass

BYTES_TRAINED = 16
"""A trained parameter in float32, its gradient and two moments of Adam."""

BYTES_GRADIENT = 4


@dataclass(frozen=True)
class Shape:
    """What the formulas need of a model.

    `parameters`: frozen ones, `linear`: those of them in the linear layers of its blocks, `trained`: all others;
    `words`: its vocabulary; `weight_bytes`, `activation_bytes`: of one number.
    """

    parameters: float
    linear: float
    trained: float
    layers: int
    width: int
    mlp: int
    words: int
    weight_bytes: float
    activation_bytes: float


LLAMA_7B = Shape(6.738e9, 6.476e9, 75.0e6, 32, 4096, 11_008, 32_000, 2, 2)
"""Llama-2-7b in bfloat16 with LoRA of rank 64 and the projectors of five feature groups."""


@dataclass(frozen=True)
class Batch:
    """What one process reads in a step: `clips` of `length` tokens each, of which `answer` belong to the answer."""

    clips: int
    length: int
    answer: int
    checkpointing: bool

    @property
    def tokens(self) -> int:
        """All of them."""
        return self.clips * self.length


def weights_bytes(shape: Shape) -> float:
    """Frozen weights."""
    return shape.parameters * shape.weight_bytes


def training_bytes(shape: Shape) -> float:
    """Gradients and moments: what a trained parameter needs beside itself."""
    return shape.trained * (BYTES_TRAINED - 4)


def layer_bytes_a_token(shape: Shape) -> float:
    """What one block keeps of a token for the way back: 16 vectors of its width, 3 of its MLP's."""
    return (16 * shape.width + 3 * shape.mlp) * shape.activation_bytes


def activation_bytes(shape: Shape, batch: Batch) -> float:
    """What a step keeps for the way back.

    With checkpointing one vector a token and layer, and one layer at full size; beside it the answers' logits, their
    logarithms and their gradient in float32.
    """
    logits = 3 * 4 * batch.clips * batch.answer * shape.words
    if batch.checkpointing:
        a_token = shape.layers * shape.width * shape.activation_bytes + layer_bytes_a_token(shape)
    else:
        a_token = shape.layers * layer_bytes_a_token(shape)
    return batch.tokens * a_token + logits


def step_flop(shape: Shape, batch: Batch) -> float:
    """FLOP of one step of one process: forward, backward without gradients of weights, forward again if checkpointed.

    Attention's way back costs twice its way there. LoRA, projectors and norms are left out (some hundredths).
    """
    forwards = 2 if batch.checkpointing else 1
    linear = 2 * shape.linear * batch.tokens * (forwards + 1)
    attention = 4 * shape.layers * shape.width * batch.length * batch.tokens * (forwards + 2)
    head = 2 * shape.width * shape.words * batch.clips * batch.answer * 2
    return float(linear + attention + head)


def all_reduce_s(trained: float, processes: int, bytes_a_s: float) -> float:
    """Seconds to add up the gradients of all processes in a ring whose slowest link carries so many bytes a second."""
    return 2 * (processes - 1) / processes * trained * BYTES_GRADIENT / bytes_a_s


@dataclass(frozen=True)
class Cluster:
    """GPUs and the links between them. `link_bytes_a_s`: of the slowest link of the ring."""

    name: str
    gpus: int
    flop_s: float
    link_bytes_a_s: float


NVLINK = 150e9
"""Bytes a second of a ring inside one machine: assumed, a quarter of the nominal 600 GB/s of an A100."""

NETWORK = 10e9
"""100 Gbit/s between machines, of which four fifths are assumed to be reached."""

A100 = 0.4 * 312e12
"""40 % of the nominal bfloat16 speed."""

CLUSTERS = (
    Cluster("1 A100", 1, A100, NVLINK),
    Cluster("8 A100, one machine", 8, A100, NVLINK),
    Cluster("16 A100, two machines", 16, A100, NETWORK),
    Cluster("32 A100, four machines", 32, A100, NETWORK),
    Cluster("64 A100, eight machines", 64, A100, NETWORK),
)


def clips_per_s(shape: Shape, batch: Batch, cluster: Cluster, accumulate: int = 1) -> tuple[float, float]:
    """Clips a second of all processes, and their efficiency: against so many times one process alone.

    The worst case: nothing of the gradients is sent while the way back is still computed.
    """
    compute_s = accumulate * step_flop(shape, batch) / cluster.flop_s
    step_s = compute_s + all_reduce_s(shape.trained, cluster.gpus, cluster.link_bytes_a_s)
    return cluster.gpus * batch.clips * accumulate / step_s, compute_s / step_s

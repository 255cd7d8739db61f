"""Weights of a graph's matrix products in fewer bits; the library's kernels multiply them as they are stored."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import numpy as np
import openvino as ov
from numpy.typing import NDArray
from openvino import opset13 as op

Quantize = Literal["int8", "int4"]

GROUP = 32
"""Weights that share a scale, and in four bits a zero point."""


def quantise(graph: ov.Model, quantize: Quantize) -> None:
    """Store the weights of all matrix products in 8 or 4 bits, with a scale for each 32.

    The output layer stays at 8 bits: a word is chosen there, and its rounding shows in the text at once. So does a
    layer whose width is no multiple of 32; it gets one scale a row.
    """
    products = list(_products(graph))
    most = max(constant.shape[0] for _, constant in products)
    for product, constant in products:
        values = _values(constant)
        four = quantize == "int4" and len(values) < most and values.shape[1] % GROUP == 0
        stored = _in_four_bits(values) if four else _in_eight_bits(values)
        product.input(1).replace_source_output(stored.output(0))


def join_products(graph: ov.Model) -> None:
    """Make one matrix product of those that multiply the same rows (query, key and value; gate and up).

    A step of one token spends much of its time between products, not in them.
    """
    by_input: dict[tuple[str, int], list[tuple[Any, Any]]] = {}
    for product, constant in _products(graph):
        source = product.input_value(0)
        by_input.setdefault((source.get_node().get_name(), source.get_index()), []).append((product, constant))
    for together in by_input.values():
        if len(together) > 1:
            joined = np.concatenate([_values(constant) for _, constant in together])
            product = op.matmul(together[0][0].input_value(0), op.constant(joined), False, True)
            widths = op.constant(np.array([constant.shape[0] for _, constant in together], np.int64))
            split = op.variadic_split(product, op.constant(np.int64(-1)), widths)
            for place, (old, _) in enumerate(together):
                old.output(0).replace(split.output(place))
    graph.validate_nodes_and_infer_types()


def _products(graph: ov.Model) -> Iterator[tuple[Any, Any]]:
    """Matrix products x Wᵀ with the constants that hold their weights (out, in)."""
    for node in graph.get_ordered_ops():
        if node.get_type_name() != "MatMul":
            continue
        source = node.input_value(1).get_node()
        if source.get_type_name() == "Convert":
            source = source.input_value(0).get_node()
        if source.get_type_name() == "Constant" and len(source.shape) == 2 and node.get_attributes()["transpose_b"]:
            yield node, source


def _values(constant: Any) -> NDArray[np.float32]:
    """Read only when needed: all of a graph's at once would be as much memory again."""
    return np.array(constant.data, np.float32)


def _in_eight_bits(values: NDArray[np.float32]) -> Any:
    grouped = values if values.shape[1] % GROUP else values.reshape(len(values), -1, GROUP)  # (out, groups, 32)
    scale = _no_zero(np.abs(grouped).max(-1, keepdims=True) / 127)
    whole = np.rint(grouped / scale).astype(np.int8)
    product = op.multiply(op.convert(op.constant(whole, ov.Type.i8), "f32"), op.constant(scale))
    return product if grouped is values else _as_rows(product, values)


def _in_four_bits(values: NDArray[np.float32]) -> Any:
    grouped = values.reshape(len(values), -1, GROUP)  # (out, groups, 32)
    low, high = (np.minimum(grouped.min(2, keepdims=True), 0), np.maximum(grouped.max(2, keepdims=True), 0))
    scale = _no_zero((high - low) / 15)
    zero = np.rint(-low / scale)
    whole = np.clip(np.rint(grouped / scale) + zero, 0, 15)
    shifted = op.subtract(op.convert(_packed(whole), "f32"), op.convert(_packed(zero), "f32"))
    return _as_rows(op.multiply(shifted, op.constant(scale)), values)


def _as_rows(grouped: Any, values: NDArray[np.float32]) -> Any:
    return op.reshape(grouped, op.constant(np.array(values.shape, np.int64)), False)


def _packed(values: NDArray[np.float32]) -> Any:
    """A constant of numbers from 0 to 15, two a byte."""
    flat = values.astype(np.uint8).reshape(-1)
    if len(flat) % 2:
        flat = np.append(flat, np.uint8(0))
    stored = ov.Tensor(ov.Type.u4, ov.Shape(values.shape))  # of its own: one over the array would outlive it
    stored.data[:] = (flat[0::2] | (flat[1::2] << 4)).reshape(stored.data.shape)
    return op.constant(stored)


def _no_zero(scale: NDArray[np.floating[Any]]) -> NDArray[np.float32]:
    """A scale by which can be divided, where all weights are zero too."""
    found: NDArray[np.float32] = np.maximum(scale, np.finfo(np.float32).tiny).astype(np.float32)
    return found

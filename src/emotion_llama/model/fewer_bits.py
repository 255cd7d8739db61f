"""A language model's layers held in fewer bits on a GPU, by bitsandbytes."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Literal

import torch
from torch import nn

from emotion_llama.errors import UsageError


def hold_in_fewer_bits(model: nn.Module, quantize: Literal["int8", "int4"], device: str) -> None:
    """Replace the linear layers of a model, in place, by layers of 8 bits or 4 (NormalFloat) on `device`.

    One layer after the other, so that the device never holds the whole in its own number format. Raises `UsageError`
    without bitsandbytes.
    """
    try:
        bits: Any = import_module("bitsandbytes")
    except ImportError as error:
        raise UsageError(
            f"quantize {quantize} on a GPU needs bitsandbytes ({error}); install it, or leave quantize out"
        ) from error
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if type(layer) is nn.Linear:
                setattr(parent, name, _smaller(bits, layer, quantize).to(device))


def _smaller(bits: Any, layer: nn.Linear, quantize: str) -> nn.Module:
    weight, options = layer.weight.detach(), {"bias": layer.bias is not None, "device": "meta"}
    if quantize == "int8":
        small = bits.nn.Linear8bitLt(layer.in_features, layer.out_features, has_fp16_weights=False, **options)
        small.weight = bits.nn.Int8Params(weight.to(torch.float16), requires_grad=False, has_fp16_weights=False)
    else:
        small = bits.nn.Linear4bit(
            layer.in_features, layer.out_features, compute_dtype=weight.dtype, quant_type="nf4", **options
        )
        small.weight = bits.nn.Params4bit(weight, requires_grad=False, quant_type="nf4", module=small)
    if layer.bias is not None:
        small.bias = layer.bias
    made: nn.Module = small
    return made

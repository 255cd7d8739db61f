"""Compiled graphs on disk: tracing takes seconds, reading a stored graph less than one."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path
from typing import Any

import openvino as ov
import torch
import transformers
from transformers import PreTrainedModel

from emotion_llama.errors import OutputError
from emotion_llama.model.compiled.graph import step_graph
from emotion_llama.model.compiled.weights import Quantize, join_products, quantise

FORM = 3
"""Of the graphs; another number makes them anew."""


def stored_graph(language_model: PreTrainedModel, quantize: Quantize | None, folder: Path) -> Path:
    """Give the file of a language model's step below `folder`; it is made where it is not there yet.

    Raises `OutputError` where it cannot be written.
    """
    home = folder / key_of(language_model, quantize)
    file = home / "step.xml"
    if file.is_file():
        return file
    graph = step_graph(language_model)
    join_products(graph)
    if quantize is not None:
        quantise(graph, quantize)
    partial = folder / f"{home.name}.{os.getpid()}"
    try:
        partial.mkdir(parents=True, exist_ok=True)
        ov.save_model(graph, partial / file.name, compress_to_fp16=False)
        partial.rename(home)
    except (OSError, RuntimeError) as error:
        shutil.rmtree(partial, ignore_errors=True)
        if file.is_file():  # another process was faster
            return file
        raise OutputError(f"{home}: the compiled language model cannot be written ({error}); free space") from error
    return file


@torch.no_grad()
def key_of(language_model: PreTrainedModel, quantize: Quantize | None) -> str:
    """Name of a graph by what it is made of: form, libraries, configuration and the weights themselves."""
    made: dict[str, Any] = {
        "form": FORM,
        "quantize": quantize,
        "openvino": ov.__version__,
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "config": language_model.config.to_dict(),
    }
    digest = hashlib.sha256(json.dumps(made, sort_keys=True, default=str).encode())
    for name, value in language_model.state_dict().items():
        # two sums tell weights apart, also such as differ in their order, and take a tenth of the time of a hash
        flat = value.detach().flatten()
        weighed = flat[::7].double().sum() + 2 * flat[::13].double().sum()
        digest.update(f"{name} {tuple(value.shape)} {flat.float().sum():.9g} {weighed:.12g}\n".encode())
    return digest.hexdigest()[:24]

"""Conversions of fetched weights into the form the package reads; each is done once, into the cache, and verified.

A conversion takes the folder with the catalog's raw files and the folder for the results. It raises
`AssetMissingError` if a raw file is not there and `AssetCorruptError` if a raw file cannot be read or the converted net
does not give the stored reference numbers; a file appears in the result folder only when its check has passed.

The converters import torch, so each is imported when it is called; they check their result with the very nets of
`encoders`, the one place where `assets` looks down the layout.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

Conversion = Callable[[Path, Path], None]


def convert_smollm2(raw_dir: Path, out_dir: Path) -> None:
    """`SmolLM2-135M-Instruct.Q4_1.gguf` to a plain Hugging Face folder in bfloat16."""
    import_module("emotion_llama.assets.convert.smollm2").convert(raw_dir, out_dir)


def convert_whisper(raw_dir: Path, out_dir: Path) -> None:
    """The encoder of CTranslate2's `model.bin` to `encoder.safetensors` (float16, exact) and `encoder_config.json`."""
    import_module("emotion_llama.assets.convert.whisper").convert(raw_dir, out_dir)


def convert_face_expression(raw_dir: Path, out_dir: Path) -> None:
    """Keras' `emotion_model.hdf5` to `face_expression.safetensors`, batch norms folded in."""
    import_module("emotion_llama.assets.convert.face_expression").convert(raw_dir, out_dir)


def convert_face_opinion(raw_dir: Path, out_dir: Path) -> None:
    """facex's `model_optimized.tflite` to `face_opinion.tflite`: weights in float32, the last map given out."""
    import_module("emotion_llama.assets.convert.face_opinion").convert(raw_dir, out_dir)


def convert_efficientnet(raw_dir: Path, out_dir: Path) -> None:
    """`efficientnet-lite0-57934424.pth` to `efficientnet_lite0.safetensors`, batch norms folded in."""
    import_module("emotion_llama.assets.convert.efficientnet").convert(raw_dir, out_dir)


CONVERSIONS: MappingProxyType[str, Conversion] = MappingProxyType(
    {
        "smollm2": convert_smollm2,
        "whisper": convert_whisper,
        "face-expression": convert_face_expression,
        "face-opinion": convert_face_opinion,
        "efficientnet-lite0": convert_efficientnet,
    }
)
"""Conversion name (as the catalog writes it) to function `(raw_dir, out_dir)`."""

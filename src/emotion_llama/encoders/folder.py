"""Encoder folders of the library's form: what must lie in them, and reading their weights with nothing lost."""

from __future__ import annotations

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers.utils import logging as library_logging

from emotion_llama.errors import ModelError

FILES = ("config.json", "preprocessor_config.json")

log = logging.getLogger(__name__)


def read_folder_config(folder: Path, needs: Sequence[str] = FILES) -> dict[str, Any]:
    """Give `config.json` of an encoder folder. Raises `ModelError` if the folder lacks a file."""
    for name in needs:
        if not (folder / name).is_file():
            raise ModelError(
                f"{folder}: expected an encoder folder with its weights and {' and '.join(needs)}; {name} is missing; "
                "copy the whole folder, or make one with: emotion-llama pretrain, or emotion-llama convert"
            )
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except ValueError as error:
        raise ModelError(f"{folder / 'config.json'}: not readable as JSON ({error}); copy the folder again") from error
    if not isinstance(config, dict):
        raise ModelError(f"{folder / 'config.json'}: expected an object, found {type(config).__name__}; copy it again")
    return config


def read_net_config(folder: Path, net: type[Any], needs: Sequence[str] = FILES) -> dict[str, Any]:
    """The same for one kind of net. Raises `ModelError` if the folder holds another."""
    config = read_folder_config(folder, needs)
    wanted, found = net.config_class.model_type, config.get("model_type")
    if found != wanted:
        raise ModelError(f"{folder}: expected a net of type {wanted!r}, found {found!r}; give another folder")
    return config


def load_encoder(net: type[Any], folder: Path, decoder: Sequence[str], device: str, **changes: Any) -> Any:
    """Read an encoder from a folder of the library's form: float32, frozen, in evaluation mode, on `device`.

    Only tensors whose names start with one of `decoder` may be left over; they are listed in the log. `changes` go over
    the folder's configuration. Raises `ModelError` for missing, other or damaged tensors.
    """
    verbosity = library_logging.get_verbosity()
    library_logging.set_verbosity_error()  # its table of tensors left over: they are judged and told below
    try:
        loaded, info = net.from_pretrained(
            folder, local_files_only=True, output_loading_info=True, dtype=torch.float32, **changes
        )
    except (OSError, RuntimeError, ValueError, SafetensorError) as error:
        raise ModelError(f"{folder}: the weights cannot be read as {net.__name__}: {error}; copy them again") from error
    finally:
        library_logging.set_verbosity(verbosity)
    extra = sorted(info["unexpected_keys"])
    wrong = {
        "missing": sorted(info["missing_keys"]),
        "unknown": [name for name in extra if not name.startswith(tuple(decoder))],
        "of another size": sorted(str(key) for key in info["mismatched_keys"]),
    }
    if any(wrong.values()):
        told = "; ".join(f"{kind}: {', '.join(names[:5])}" for kind, names in wrong.items() if names)
        raise ModelError(f"{folder}: the weights do not fit {net.__name__}: {told}; give another folder")
    if extra:
        log.info("%s: left out %d tensors of the decoder: %s", folder, len(extra), ", ".join(extra))
    return loaded.eval().requires_grad_(False).to(device)

"""What is exported: a checkpoint folder, its training record, and the language model it rests on."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from emotion_llama import assets
from emotion_llama.analyze.preset import load_preset
from emotion_llama.assets import Asset
from emotion_llama.errors import ModelError
from emotion_llama.model import EmotionLlamaConfig, EmotionLlamaForConditionalGeneration, adapter_sha256, checkpoint

RECORD_FILE = "training.json"
COMPANIONS = ("heads.safetensors", "calibration.json", RECORD_FILE)
"""What lies beside the weights of a checkpoint and goes with them."""


@dataclass(frozen=True)
class Source:
    """A checkpoint to export. `given_llm` is the language model's folder if it was named, else the config decides."""

    folder: Path
    config: EmotionLlamaConfig
    given_llm: Path | None = None

    @property
    def is_merged(self) -> bool:
        """Whether LoRA is part of the weights already."""
        return checkpoint.is_merged(self.folder)

    @property
    def asset(self) -> Asset | None:
        """The catalog's entry of the language model, `None` if it is not one of ours."""
        found = [asset for asset in assets.load_catalog().assets if asset.name == self.config.llm]
        return found[0] if found else None

    @property
    def base_model(self) -> str | None:
        """Hub name of the language model, `None` where the configuration names none."""
        name = self.asset.origin.split(";")[0].strip() if self.asset is not None else self.config.llm
        return name if isinstance(name, str) and name.count("/") == 1 and not Path(name).is_absolute() else None

    @property
    def llm_name(self) -> str | None:
        """What the language model is called in files for others: hub name, asset, or the last part of a path."""
        name = self.config.llm
        return self.base_model or (Path(name).name if isinstance(name, str) else None)

    @property
    def llm(self) -> str | Path:
        """Where the language model is read: the given folder, the asset's, or the hub name of the configuration.

        Raises `AssetMissingError` if the asset was not fetched, `ModelError` if nothing names a language model.
        """
        if self.given_llm is not None:
            return self.given_llm
        if self.asset is not None:
            return assets.path(self.asset.name)
        if not self.config.llm:
            raise ModelError(f"checkpoint {self.folder}: config.json names no language model (llm); give --llm FOLDER")
        return str(self.config.llm)

    @property
    def tokenizer_folder(self) -> str | Path:
        """Where the tokenizer is read: a merged folder holds its own."""
        return self.folder if self.is_merged else self.llm

    @cached_property
    def record(self) -> dict[str, Any]:
        """`training.json`; empty if there is none. Raises `ModelError` if it is not a JSON object."""
        path = self.folder / RECORD_FILE
        if not path.is_file():
            return {}
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{path}: expected the JSON that training writes, {error}; copy it anew") from error
        if not isinstance(document, dict):
            raise ModelError(f"{path}: expected a JSON object, found {type(document).__name__}; copy it anew")
        return document

    @cached_property
    def sha256(self) -> str:
        """Hash of the checkpoint's weight files."""
        return adapter_sha256(self.folder)

    def load_merged(self, dtype: torch.dtype = torch.float32) -> EmotionLlamaForConditionalGeneration:
        """Load the model with LoRA added to its weights in float32, then in `dtype`; projectors stay float32.

        Needs memory for the language model in float32. Raises `ModelError` for weights that do not fit.
        """
        if self.is_merged:
            return checkpoint.load_merged(self.folder, dtype=dtype)
        try:
            model = checkpoint.load_adapter(self.folder, self.llm, dtype=dtype, merge=True)
        except OSError as error:
            raise ModelError(f"language model {self.llm}: cannot be read ({error}); give its folder: --llm") from error
        return model

    def load_tokenizer(self) -> Any:
        """Read the language model's tokenizer. Raises `ModelError` if there is none."""
        try:
            return AutoTokenizer.from_pretrained(self.tokenizer_folder)
        except (OSError, ValueError) as error:
            raise ModelError(f"tokenizer in {self.tokenizer_folder}: cannot be read ({error}); give --llm") from error


def open_source(name: str | Path, llm: Path | None = None) -> Source:
    """Open a checkpoint by folder or preset name; reads no weights.

    Raises `UsageError` if there is no such folder or `llm` is none, `ModelError` if it is not a checkpoint.
    """
    folder = load_preset(name, device="cpu", dtype="float32", threads=None).folder
    config = checkpoint.read_config(folder)
    if not checkpoint.is_merged(folder):
        checkpoint.require_files(folder)
    if llm is not None and not (llm / "config.json").is_file():
        raise ModelError(f"--llm {llm}: expected a language model's folder with config.json, found none")
    return Source(folder, config, llm)

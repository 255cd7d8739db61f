"""One Hugging Face folder with everything: the language model with LoRA added, projectors, tokenizer, companions."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from safetensors.torch import save_file

from emotion_llama import __version__
from emotion_llama.errors import UsageError
from emotion_llama.model import EmotionLlamaForConditionalGeneration
from emotion_llama.output import MARKER, new_folder, require_space
from emotion_llama.train.export.licence import licence_notes
from emotion_llama.train.export.source import COMPANIONS, Source

Dtype = Literal["float32", "bfloat16", "float16"]
DTYPES: dict[str, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
LICENCE_FILE = "LICENCE.md"


@dataclass(frozen=True)
class Weights:
    """How merged weights are stored: `dtype` of the language model, `max_shard_size` of a file ("5GB")."""

    dtype: str = "bfloat16"
    max_shard_size: str = "5GB"

    def __post_init__(self) -> None:
        if self.dtype not in DTYPES:
            raise UsageError(f"--dtype {self.dtype!r}: give one of {', '.join(DTYPES)}")


def export_merged(
    source: Source, out: Path, *, weights: Weights | None = None, licence: str | None = None, overwrite: bool = False
) -> Path:
    """Write the merged folder and give its path; `el.load` and `AutoModelForCausalLM` open it.

    Raises `UsageError` if `out` is taken or the checkpoint is merged already, `OutputError` if it cannot be written.
    """
    with new_folder(out, source=source.folder, overwrite=overwrite) as folder:
        write_merged(source, folder, weights or Weights(), out)
        write_companions(source, folder, licence)
        write_marker(source, folder, "merged", {"dtype": (weights or Weights()).dtype})
    return out


def write_merged(source: Source, folder: Path, weights: Weights, out: Path) -> None:
    """Fill `folder` (that is to become `out`) with the merged model and the tokenizer."""
    if source.is_merged:
        raise UsageError(f"{source.folder} is merged already; copy the folder, or export the adapter it came from")
    tokenizer = source.load_tokenizer()
    model = source.load_merged(DTYPES[weights.dtype])
    require_space(out, _bytes(model))
    # The wrapper has no generation settings of its own: without the language model's, `generate` knows no end token.
    model.generation_config = model.language_model.generation_config
    if source.asset is None:  # a folder of this machine means nothing on the next one
        model.config.llm = source.llm_name
    try:
        model.save_pretrained(folder, max_shard_size=weights.max_shard_size)
    except ValueError as error:  # the library's words about a size it cannot read
        raise UsageError(f"--max-shard-size {weights.max_shard_size!r}: {error}; give a size such as 5GB") from error
    tokenizer.save_pretrained(folder)


def write_companions(source: Source, folder: Path, licence: str | None) -> None:
    """Copy heads, calibration and training record where the checkpoint has them; write the licence notes."""
    for name in COMPANIONS:
        if (source.folder / name).is_file():
            shutil.copyfile(source.folder / name, folder / name)
    (folder / LICENCE_FILE).write_text(licence_notes(source, licence), encoding="utf-8")


def write_marker(source: Source, folder: Path, kind: str, facts: dict[str, Any]) -> None:
    """Write last what was exported and from what; make every file readable for others."""
    document = {
        "export": kind,
        **facts,
        "checkpoint_sha256": source.sha256,
        "language_model": source.llm_name,
        "package": f"emotion-llama {__version__}",
    }
    (folder / MARKER).write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    for path in folder.rglob("*.safetensors"):
        path.chmod(0o644)  # the library makes them private; an export is there to be shared


def save_projectors(model: EmotionLlamaForConditionalGeneration, path: Path) -> None:
    """Write the projectors alone, float32, as a checkpoint holds them."""
    tensors = {name: value.float().contiguous() for name, value in model.projectors.state_dict().items()}
    save_file(tensors, path)
    path.chmod(0o644)


def _bytes(model: torch.nn.Module) -> int:
    return sum(tensor.nbytes for tensor in {t.data_ptr(): t for t in model.state_dict().values()}.values())

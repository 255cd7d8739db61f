"""SmolLM2-135M-Instruct from its 4-bit GGUF file to a plain Hugging Face folder."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM

from emotion_llama.assets.convert.steps import raw_file, require_close
from emotion_llama.errors import AssetCorruptError

RAW_FILE = "SmolLM2-135M-Instruct.Q4_1.gguf"

_CHECK_TEXT = "<|im_start|>user\nThe person smiles and says: I got the job!<|im_end|>\n<|im_start|>assistant\n"
_CHECK_IDS = (1, 4093, 198, 504, 1055, 30950, 284, 1921, 42, 339, 3363, 260, 2288, 17, 2, 198, 1, 520, 9531, 198)
# Scores of the first 8 vocabulary entries after `_CHECK_TEXT`, from transformers' own float32 reading of the GGUF file.
_CHECK = (16.3425, 15.6706, 17.9997, 14.8163, 14.4509, 13.4885, 12.9145, 13.4869)
_TOLERANCE = 0.25


def convert(raw_dir: Path, out_dir: Path) -> None:
    """Write config.json, model.safetensors (bfloat16), generation_config.json and the tokenizer files to `out_dir`.

    A model loaded from GGUF keeps a quantisation entry and refuses to be saved; so a fresh one is built from the same
    sizes, filled and saved, which then loads in well under a second.
    """
    raw = raw_file(raw_dir, RAW_FILE)
    out_dir.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=out_dir, prefix=".smollm2-") as name:
        folder = Path(name)
        try:
            _plain_model(raw).save_pretrained(folder)
            AutoTokenizer.from_pretrained(raw.parent, gguf_file=raw.name).save_pretrained(folder)
        except (OSError, ValueError, KeyError) as error:
            raise AssetCorruptError(
                f"{raw}: not a readable GGUF model ({error}); delete it and run: emotion-llama fetch nano"
            ) from error
        _check(raw, folder)
        for path in sorted(folder.iterdir()):
            path.replace(out_dir / path.name)


def _plain_model(raw: Path) -> LlamaForCausalLM:
    source: Any = AutoModelForCausalLM.from_pretrained(raw.parent, gguf_file=raw.name, dtype=torch.float32)
    entries = source.config.to_dict()
    sizes = {key: entries[key] for key in entries if key != "quantization_config" and not key.startswith("_")}
    model = LlamaForCausalLM(LlamaConfig(**sizes | {"dtype": "bfloat16"}))
    model.load_state_dict(source.state_dict(), strict=True)
    model.generation_config = GenerationConfig(
        bos_token_id=sizes["bos_token_id"], eos_token_id=sizes["eos_token_id"], pad_token_id=sizes["pad_token_id"]
    )
    return model.to(torch.bfloat16)


def _check(raw: Path, folder: Path) -> None:
    """Read the folder back and compare token ids and scores with the stored ones."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ids = tokenizer(_CHECK_TEXT).input_ids
    if tuple(ids) != _CHECK_IDS or not tokenizer.chat_template:
        raise AssetCorruptError(f"{raw}: the converted tokenizer reads {ids} where {list(_CHECK_IDS)} is stored")
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    with torch.inference_mode():
        scores = model(torch.tensor([ids])).logits[0, -1, :8]
    require_close(raw, "token scores", scores, _CHECK, _TOLERANCE)

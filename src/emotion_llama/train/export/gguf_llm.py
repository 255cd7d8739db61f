"""The merged language model alone as a GGUF file, for llama.cpp and its kin; the projectors go beside it.

Tensors are written one by one. llama.cpp turns pairs of neighbouring columns where the library turns halves, so the
rows of the query and key weights are put in another order (llama.cpp, convert_hf_to_gguf.py, `LlamaModel.permute`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gguf
import numpy as np
from gguf.quants import quant_shape_to_byte_shape, quantize
from numpy.typing import NDArray
from torch import Tensor

from emotion_llama.errors import ModelError, UsageError
from emotion_llama.model import EmotionLlamaConfig, EmotionLlamaForConditionalGeneration
from emotion_llama.output import new_files, require_space
from emotion_llama.train.export.gguf_readme import write_readme
from emotion_llama.train.export.gguf_tokenizer import add_tokenizer
from emotion_llama.train.export.licence import licence_of
from emotion_llama.train.export.merged import save_projectors
from emotion_llama.train.export.source import Source

_Q = gguf.GGMLQuantizationType
TYPES = {
    "f32": (_Q.F32, gguf.LlamaFileType.ALL_F32),
    "f16": (_Q.F16, gguf.LlamaFileType.MOSTLY_F16),
    "bf16": (_Q.BF16, gguf.LlamaFileType.MOSTLY_BF16),
    "q8_0": (_Q.Q8_0, gguf.LlamaFileType.MOSTLY_Q8_0),
}
"""Name of a type → how matrices are stored, and what the file says of itself. Vectors are always float32."""


@dataclass(frozen=True)
class GgufFiles:
    """What an export wrote."""

    model: Path
    projectors: Path
    readme: Path


def export_gguf_llm(source: Source, out: Path, kind: str = "f16", *, overwrite: bool = False) -> GgufFiles:
    """Write `out` (.gguf) with the merged language model, and beside it the projectors and a README.

    `kind`: one of `TYPES`. Raises `UsageError` for a wrong name or a file that is there already, `ModelError` for an
    architecture or tokenizer that cannot be written faithfully, `OutputError` if the disk is full.
    """
    if kind not in TYPES:
        raise UsageError(f"--type {kind!r}: give one of {', '.join(TYPES)}")
    if out.suffix != ".gguf":
        raise UsageError(f"--out {out}: give a file name that ends in .gguf")
    check_architecture(source.config.text_config)
    files = GgufFiles(out, out.with_suffix(".projectors.safetensors"), out.with_suffix(".README.md"))
    with new_files((files.model, files.projectors, files.readme), overwrite=overwrite) as folder:
        tokenizer = source.load_tokenizer()
        model = source.load_merged()
        require_space(out, sum(stored.nbytes for stored in _stored(model, TYPES[kind][0])))
        writer = gguf.GGUFWriter(folder / files.model.name, "llama")
        try:
            _add_facts(writer, source, kind)
            add_tokenizer(writer, tokenizer, model.config.text_config.vocab_size, folder)
            _write_tensors(writer, model, TYPES[kind][0])
        finally:
            writer.close()
        save_projectors(model, folder / files.projectors.name)
        write_readme(folder / files.readme.name, source, tokenizer, files.model.name, files.projectors.name)
    return files


def check_architecture(config: Any) -> None:
    """Raise `ModelError` unless the language model is a plain LLaMA, which is all that is written here."""
    rope = getattr(config, "rope_parameters", None) or {}
    wanted = {
        "model_type": (config.model_type, "llama"),
        "hidden_act": (getattr(config, "hidden_act", None), "silu"),
        "attention_bias": (bool(getattr(config, "attention_bias", False)), False),
        "mlp_bias": (bool(getattr(config, "mlp_bias", False)), False),
        "rope_type": (rope.get("rope_type", "default"), "default"),
    }
    for key, (found, expected) in wanted.items():
        if found != expected:
            raise ModelError(
                f"gguf-llm writes plain LLaMA models: expected {key} {expected!r}, found {found!r}; use "
                "`export merged` and llama.cpp's own converter"
            )


@dataclass(frozen=True)
class _Stored:
    """One tensor of the file: its name there, its values, how it is stored and in how many bytes."""

    name: str
    value: Tensor
    heads: int | None
    kind: Any
    nbytes: int

    def data(self) -> NDArray[np.generic]:
        """Give the bytes that are written."""
        array: NDArray[np.float32] = self.value.detach().float().cpu().numpy()
        if self.heads is not None:
            array = permute(array, self.heads)
        stored: NDArray[np.generic] = quantize(np.ascontiguousarray(array), self.kind)
        return stored


def permute(weight: NDArray[np.float32], heads: int) -> NDArray[np.float32]:
    """Bring a query or key weight (heads · width, D) from halves to neighbouring pairs, head by head."""
    rows = weight.reshape(heads, 2, weight.shape[0] // heads // 2, *weight.shape[1:])
    return rows.swapaxes(1, 2).reshape(weight.shape)


def _stored(model: EmotionLlamaForConditionalGeneration, kind: Any) -> Iterator[_Stored]:
    """Give the language model's tensors in order; a tied head is left out, as llama.cpp expects."""
    config = model.config.text_config
    names = gguf.get_tensor_name_map(gguf.MODEL_ARCH.LLAMA, config.num_hidden_layers)
    for own, value in model.language_model.state_dict().items():
        if own == "lm_head.weight" and config.tie_word_embeddings:
            continue
        name = names.get_name(own, try_suffixes=(".weight", ".bias"))
        if name is None:
            raise ModelError(f"gguf-llm: the language model's tensor {own} has no place in a GGUF file of this kind")
        heads = None
        if own.endswith("q_proj.weight"):
            heads = config.num_attention_heads
        elif own.endswith("k_proj.weight"):
            heads = config.num_key_value_heads
        stored = _kind_for(tuple(value.shape), kind)
        yield _Stored(name, value, heads, stored, _nbytes(tuple(value.shape), stored))


def _kind_for(shape: Sequence[int], kind: Any) -> Any:
    """Vectors are float32; a matrix whose rows do not fill whole blocks is float16, as in llama.cpp's converter."""
    if len(shape) < 2:
        return _Q.F32
    return kind if shape[-1] % gguf.GGML_QUANT_SIZES[kind][0] == 0 else _Q.F16


def _nbytes(shape: Sequence[int], kind: Any) -> int:
    return math.prod(quant_shape_to_byte_shape(shape, kind))


def _write_tensors(writer: gguf.GGUFWriter, model: EmotionLlamaForConditionalGeneration, kind: Any) -> None:
    stored = list(_stored(model, kind))
    for tensor in stored:
        plain = np.dtype(np.float16 if tensor.kind == _Q.F16 else np.float32)
        writer.add_tensor_info(tensor.name, tuple(tensor.value.shape), plain, tensor.nbytes, raw_dtype=tensor.kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_ti_data_to_file()
    for tensor in stored:
        writer.write_tensor_data(tensor.data())


def _add_facts(writer: gguf.GGUFWriter, source: Source, kind: str) -> None:
    config: EmotionLlamaConfig = source.config
    llm = config.text_config
    width = getattr(llm, "head_dim", None) or llm.hidden_size // llm.num_attention_heads
    writer.add_type(gguf.GGUFType.MODEL)
    writer.add_name(f"{source.folder.resolve().name} (Emotion-LLaMA, language model)")
    writer.add_license(licence_of(source))
    writer.add_description(f"language model of the Emotion-LLaMA checkpoint sha256 {source.sha256}, LoRA merged")
    writer.add_context_length(llm.max_position_embeddings)
    writer.add_embedding_length(llm.hidden_size)
    writer.add_block_count(llm.num_hidden_layers)
    writer.add_feed_forward_length(llm.intermediate_size)
    writer.add_head_count(llm.num_attention_heads)
    writer.add_head_count_kv(llm.num_key_value_heads)
    writer.add_key_length(width)
    writer.add_value_length(width)
    writer.add_rope_dimension_count(width)
    writer.add_rope_freq_base(float((getattr(llm, "rope_parameters", None) or {}).get("rope_theta", 10000.0)))
    writer.add_layer_norm_rms_eps(llm.rms_norm_eps)
    writer.add_vocab_size(llm.vocab_size)
    writer.add_file_type(TYPES[kind][1])
    writer.add_quantization_version(gguf.GGML_QUANT_VERSION)

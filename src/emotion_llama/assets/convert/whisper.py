"""Whisper's encoder from the CTranslate2 files that the speech recogniser uses."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from emotion_llama.assets.convert.ctranslate2 import read_variables
from emotion_llama.assets.convert.steps import raw_file, require_close, save_tensors, waves
from emotion_llama.encoders.whisper import CONFIG_FILE, WEIGHTS_FILE
from emotion_llama.encoders.whisper_net import WhisperEncoderConfig, WhisperEncoderNet
from emotion_llama.errors import AssetCorruptError

RAW_FILE = "model.bin"

# Last states of CTranslate2's own float32 encoder on `check_mel()`, frames 0, 40 and 99, columns 0 to 3.
_CHECK = (
    *(-0.99319, -0.16524, -0.48234, -1.66596),
    *(0.70875, 0.59325, -0.00612, -0.32048),
    *(-0.29114, 1.03615, -1.91516, 0.24318),
)
_TOLERANCE = 2e-3  # the two runs differ by 0.0003 at most
_CHECK_FRAMES = (0, 40, 99)


def check_mel() -> Tensor:
    """Made-up log-mel of 2 s, `(1, 80, 200)`."""
    return waves(1, 80, 200)


def convert(raw_dir: Path, out_dir: Path) -> None:
    """Write `encoder.safetensors` (float16, as the source: exact) and `encoder_config.json` into `out_dir`."""
    raw = raw_file(raw_dir, RAW_FILE)
    tensors, config = encoder_tensors(raw)
    _check(raw, tensors, config)
    save_tensors(tensors, out_dir / WEIGHTS_FILE)
    partial = out_dir / (CONFIG_FILE + ".part")
    partial.write_text(config.model_dump_json(indent=2) + "\n", encoding="utf-8")
    partial.replace(out_dir / CONFIG_FILE)


def encoder_tensors(raw: Path) -> tuple[dict[str, Tensor], WhisperEncoderConfig]:
    """The encoder's tensors under transformers' names, and its sizes. `AssetCorruptError` if one is missing."""
    source = {name: torch.from_numpy(np.array(array)) for name, array in read_variables(raw, "encoder/").items()}
    try:
        positions = source["position_encodings/encodings"]
        layers = len(
            {name.split("/")[0] for name in source if name.startswith("layer_") and "/" in name} - {"layer_norm"}
        )
        config = WhisperEncoderConfig(
            width=positions.shape[1],
            layers=layers,
            heads=int(source["num_heads"]),
            mel_bins=source["conv1/weight"].shape[1],
            positions=positions.shape[0],
        )
        tensors = {"embed_positions.weight": positions}
        for name in ("conv1", "conv2"):
            tensors |= _linear(source, name, name)
        for layer in range(layers):
            tensors |= _layer(source, f"layer_{layer}", f"layers.{layer}")
        return tensors | _norm(source, "layer_norm", "layer_norm"), config
    except KeyError as error:
        raise AssetCorruptError(f"{raw}: the encoder has no variable {error}; expected a Whisper model") from error


def _layer(source: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    tensors = _linear(source, f"{old}/self_attention/linear_1", f"{new}.self_attn.out_proj")
    fused = _linear(source, f"{old}/self_attention/linear_0", "qkv")
    for part, weight, bias in zip(
        ("q_proj", "k_proj", "v_proj"), fused["qkv.weight"].chunk(3), fused["qkv.bias"].chunk(3), strict=True
    ):
        tensors[f"{new}.self_attn.{part}.weight"] = weight
        if part != "k_proj":  # Whisper's key projection has no bias; the fused one holds zeros there
            tensors[f"{new}.self_attn.{part}.bias"] = bias
    tensors |= _norm(source, f"{old}/self_attention/layer_norm", f"{new}.self_attn_layer_norm")
    tensors |= _linear(source, f"{old}/ffn/linear_0", f"{new}.fc1")
    tensors |= _linear(source, f"{old}/ffn/linear_1", f"{new}.fc2")
    return tensors | _norm(source, f"{old}/ffn/layer_norm", f"{new}.final_layer_norm")


def _linear(source: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    return {f"{new}.weight": source[f"{old}/weight"], f"{new}.bias": source[f"{old}/bias"]}


def _norm(source: dict[str, Tensor], old: str, new: str) -> dict[str, Tensor]:
    return {f"{new}.weight": source[f"{old}/gamma"], f"{new}.bias": source[f"{old}/beta"]}


def _check(raw: Path, tensors: dict[str, Tensor], config: WhisperEncoderConfig) -> None:
    """Compare with the stored numbers of CTranslate2's own run."""
    net = WhisperEncoderNet(config)
    net.load_state_dict(tensors, strict=True)
    with torch.inference_mode():
        last = net.float().eval()(check_mel())[0, -1]  # (T, D)
    require_close(raw, "encoder output", last[list(_CHECK_FRAMES), :4], _CHECK, _TOLERANCE)

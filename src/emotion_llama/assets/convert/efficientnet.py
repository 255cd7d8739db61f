"""EfficientNet-Lite0 from the PyTorch checkpoint, batch norms folded into the convolutions."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from torch import Tensor

from emotion_llama.assets.convert.steps import fold_batch_norm, raw_file, require_close, save_tensors, waves
from emotion_llama.encoders.efficientnet import WEIGHTS_FILE, EfficientNetLite0Net
from emotion_llama.errors import AssetCorruptError

RAW_FILE = "efficientnet-lite0-57934424.pth"

_EPSILON = 1e-3
_BLOCKS = 16
# in a block: our convolution, its name in the checkpoint, the batch norm after it
_BLOCK_PARTS = (
    ("expand", "_expand_conv", "_bn0"),
    ("depthwise", "_depthwise_conv", "_bn1"),
    ("project", "_project_conv", "_bn2"),
)
# Class scores 0 to 7 of the published PyTorch code on `check_picture()`, batch norms unfolded.
_CHECK = (-0.07868, 0.64620, -0.33829, -0.81988, -0.26527, 1.40248, -1.19505, -1.03385)
_TOLERANCE = 1e-3


def check_picture() -> Tensor:
    """A made-up normalised picture, `(1, 3, 224, 224)`."""
    return waves(1, 3, 224, 224) * 2


def convert(raw_dir: Path, out_dir: Path) -> None:
    """Write `efficientnet_lite0.safetensors` (float32) into `out_dir`."""
    raw = raw_file(raw_dir, RAW_FILE)
    try:
        source: dict[str, Tensor] = torch.load(raw, map_location="cpu", weights_only=True)
    except (RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise AssetCorruptError(
            f"{raw}: not a PyTorch checkpoint ({error}); delete it and run: emotion-llama fetch nano"
        ) from error
    tensors = folded_tensors(raw, source)
    net = EfficientNetLite0Net()
    net.load_state_dict(tensors, strict=True)
    with torch.inference_mode():
        scores = net.eval().classifier(net(check_picture()))[0, :8]
    require_close(raw, "class scores", scores, _CHECK, _TOLERANCE)
    save_tensors(tensors, out_dir / WEIGHTS_FILE)


def folded_tensors(raw: Path, source: dict[str, Tensor]) -> dict[str, Tensor]:
    """The checkpoint's tensors under the names of `EfficientNetLite0Net`. `AssetCorruptError` if one is missing."""
    try:
        tensors = _folded(source, "stem", "_conv_stem", "_bn0")
        for block in range(_BLOCKS):
            for new, conv, norm in _BLOCK_PARTS[0 if block else 1 :]:  # the first block does not expand
                old = f"_blocks.{block}."
                tensors |= _folded(source, f"blocks.{block}.{new}", old + conv, old + norm)
        tensors |= _folded(source, "head", "_conv_head", "_bn1")
        return tensors | {"classifier.weight": source["_fc.weight"], "classifier.bias": source["_fc.bias"]}
    except KeyError as error:
        raise AssetCorruptError(f"{raw}: no tensor {error}; expected an EfficientNet-Lite0 checkpoint") from error


def _folded(source: dict[str, Tensor], new: str, conv: str, norm: str) -> dict[str, Tensor]:
    kernel, bias = fold_batch_norm(
        source[f"{conv}.weight"],
        {
            "gamma": source[f"{norm}.weight"],
            "beta": source[f"{norm}.bias"],
            "mean": source[f"{norm}.running_mean"],
            "variance": source[f"{norm}.running_var"],
        },
        _EPSILON,
    )
    return {f"{new}.weight": kernel, f"{new}.bias": bias}

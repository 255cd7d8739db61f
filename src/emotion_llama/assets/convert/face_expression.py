"""The face-expression net from its Keras file, batch norms folded into the convolutions."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import torch
from torch import Tensor

from emotion_llama.assets.convert.steps import fold_batch_norm, raw_file, require_close, save_tensors, waves
from emotion_llama.encoders.face_expression import SIDE_PX, WEIGHTS_FILE, FaceExpressionNet
from emotion_llama.errors import AssetCorruptError

RAW_FILE = "emotion_model.hdf5"

_EPSILON = 1e-3
_BLOCKS = 4
# Probabilities of the float net on `check_face()`; the quantised tflite form of the same net, an independent run, gives
# .3985 .0000 .0177 .1160 .2464 .0110 .2105.
_CHECK = (0.411516, 0.000036, 0.016846, 0.111516, 0.239685, 0.010690, 0.209711)
_TOLERANCE = 1e-4


def check_face() -> Tensor:
    """A made-up grey face, `(1, 1, 64, 64)`."""
    return waves(1, 1, SIDE_PX, SIDE_PX) * 0.3


def convert(raw_dir: Path, out_dir: Path) -> None:
    """Write `face_expression.safetensors` (float32) into `out_dir`."""
    raw = raw_file(raw_dir, RAW_FILE)
    tensors = folded_tensors(raw)
    net = FaceExpressionNet()
    net.load_state_dict(tensors, strict=True)
    with torch.inference_mode():
        probabilities = net.eval()(check_face())[0]
    require_close(raw, "probabilities", probabilities, _CHECK, _TOLERANCE)
    save_tensors(tensors, out_dir / WEIGHTS_FILE)


def folded_tensors(raw: Path) -> dict[str, Tensor]:
    """The file's tensors under the names of `FaceExpressionNet`. `AssetCorruptError` if one is missing."""
    try:
        with h5py.File(raw, "r") as file:
            return _KerasWeights(file).net()
    except (OSError, KeyError) as error:
        raise AssetCorruptError(
            f"{raw}: not the expression net's Keras file ({error}); delete it and run: emotion-llama fetch nano"
        ) from error


class _KerasWeights:
    """Layers of the open file. Keras numbers its layers in the order they were made, the shortcut of a block first."""

    def __init__(self, file: h5py.File) -> None:
        self.layers = file["model_weights"]

    def net(self) -> dict[str, Tensor]:
        tensors = self._conv("stem1", 1, 1) | self._conv("stem2", 2, 2)
        for block in range(_BLOCKS):
            name, norm, separable = f"blocks.{block}", 3 * block + 3, 2 * block + 1
            tensors |= self._conv(f"{name}.shortcut", block + 3, norm)
            for half in (1, 2):
                tensors |= self._separable(name, half, separable + half - 1, norm + half)
        tensors["classifier.weight"] = self._kernel("conv2d_7", "kernel")
        tensors["classifier.bias"] = self._tensor("conv2d_7", "bias")
        return tensors

    def _conv(self, new: str, conv: int, norm: int) -> dict[str, Tensor]:
        kernel, bias = fold_batch_norm(self._kernel(f"conv2d_{conv}", "kernel"), self._norm(norm), _EPSILON)
        return {f"{new}.weight": kernel, f"{new}.bias": bias}

    def _separable(self, block: str, half: int, separable: int, norm: int) -> dict[str, Tensor]:
        layer = f"separable_conv2d_{separable}"
        depthwise = self._tensor(layer, "depthwise_kernel").permute(2, 3, 0, 1)  # (in, 1, h, w)
        kernel, bias = fold_batch_norm(self._kernel(layer, "pointwise_kernel"), self._norm(norm), _EPSILON)
        return {
            f"{block}.depthwise{half}.weight": depthwise,
            f"{block}.pointwise{half}.weight": kernel,
            f"{block}.pointwise{half}.bias": bias,
        }

    def _norm(self, number: int) -> dict[str, Tensor]:
        layer = f"batch_normalization_{number}"
        names = {"gamma": "gamma", "beta": "beta", "mean": "moving_mean", "variance": "moving_variance"}
        return {new: self._tensor(layer, old) for new, old in names.items()}

    def _kernel(self, layer: str, name: str) -> Tensor:
        return self._tensor(layer, name).permute(3, 2, 0, 1)  # (h, w, in, out) → (out, in, h, w)

    def _tensor(self, layer: str, name: str) -> Tensor:
        path = f"{layer}/{layer}_1/{name}:0"
        if path not in self.layers:
            raise KeyError(path)
        return torch.from_numpy(np.asarray(self.layers[path], dtype=np.float32))

"""Local encoder of the paper: a masked autoencoder's vision transformer over face crops (He et al. 2022).

The paper's own weights cannot be downloaded; `emotion-llama pretrain face-mae` makes such a folder from one's own
recordings, and every hub folder of the family (`ViTMAEModel`) opens too.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import ViTImageProcessorPil, ViTMAEModel

from emotion_llama.encoders.folder import load_encoder, read_net_config
from emotion_llama.errors import ModelError

DECODER = ("decoder.",)
"""Tensors of a pre-training checkpoint that the encoder does without; nothing else may be extra, nothing missing."""


class FaceMae:
    """Face crops of one track to `local` `(1, width)`: patch tokens after the last norm, averaged over all frames.

    As the paper's feature (upstream `mae_340_UTT`): nothing is masked; the folder's `preprocessor_config.json` says
    how pixels are scaled. `folder` holds `config.json`, the weights and that file; the weights are read at the first
    use. Raises `ModelError` for a folder that is no such encoder.
    """

    name = "local"
    tokens = 1

    def __init__(self, folder: Path, device: str = "cpu", batch_size: int = 32) -> None:
        self.folder = folder
        self.device = device
        self.batch_size = batch_size
        self.config = read_net_config(folder, ViTMAEModel)

    @property
    def width(self) -> int:
        """Length of the row: the net's hidden size."""
        return int(self.config["hidden_size"])

    @cached_property
    def _net(self) -> Any:
        return load_encoder(ViTMAEModel, self.folder, DECODER, self.device, mask_ratio=0.0)

    @cached_property
    def _processor(self) -> Any:
        return ViTImageProcessorPil.from_pretrained(self.folder, local_files_only=True)

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode the crops `(n, H, W, 3)` of one face to `(1, width)`. Raises `ModelError` for none or other shapes."""
        mean: NDArray[np.float32] = self.frames(crops).mean(axis=0, keepdims=True)
        return mean

    def frames(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode each crop by itself: `(n, H, W, 3)` to `(n, width)`. Raises `ModelError` for none or other shapes."""
        check_crops(crops, "FaceMae")
        starts = range(0, len(crops), self.batch_size)
        return np.concatenate([self._encode(crops[at : at + self.batch_size]) for at in starts])

    def _encode(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        pixels = self._processor(list(crops), return_tensors="pt")["pixel_values"].to(self.device)
        patches = self._net.embeddings.patch_embeddings.num_patches
        in_order = torch.arange(patches, dtype=torch.float32, device=self.device).expand(len(crops), -1)
        with torch.inference_mode():
            tokens = self._net(pixels, noise=in_order).last_hidden_state  # (B, 1 + P, D), the class token first
        rows: NDArray[np.float32] = tokens[:, 1:].mean(dim=1).cpu().numpy()
        return rows


def check_crops(crops: NDArray[np.uint8], encoder: str) -> None:
    """Raise `ModelError` unless `crops` is `(n, H, W, 3)` of uint8 with n of at least 1."""
    if crops.ndim != 4 or crops.shape[3] != 3 or crops.dtype != np.uint8 or 0 in crops.shape:
        raise ModelError(
            f"{encoder} wants at least one face crop, (n, H, W, 3) of uint8; found shape {crops.shape} of "
            f"{crops.dtype}; leave the input out for a clip without a face"
        )

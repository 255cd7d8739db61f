"""Pictures through any vision transformer of the hub: CLIP, SigLIP, DINOv2, ViT and their relatives."""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoImageProcessor, AutoModel, CLIPVisionModel, SiglipVisionModel

from emotion_llama.encoders.face_mae import check_crops
from emotion_llama.encoders.folder import load_encoder, read_folder_config
from emotion_llama.errors import ModelError

GRID = 4
"""The patches of a whole frame are averaged to a square of so many rows and columns."""

TOWERS = {
    "clip": CLIPVisionModel,
    "clip_vision_model": CLIPVisionModel,
    "siglip": SiglipVisionModel,
    "siglip_vision_model": SiglipVisionModel,
}
"""Models of pictures and text: the tower that sees, by model type. Every other type is opened whole."""

OTHER_PARTS = (
    "text_model.",
    "text_projection.",
    "visual_projection.",
    "logit_",
    "classifier.",
    "decoder.",
    "lm_head.",
    "pooler.",
)
"""Tensors for other uses that the encoder does without; nothing else may be extra, nothing missing."""


class PictureEncoder:
    """Frames to rows of patch states. As `global`: (16, width), a square of 4 × 4, with `global_cls` (1, width), their
    mean; as `local`: one row a face crop, averaged over the crops.

    `folder` is a Hugging Face folder: `config.json`, the weights and `preprocessor_config.json`, which says how pixels
    are scaled. Raises `ModelError` for a folder that lacks a file, or whose net sees no pictures.
    """

    name = "global"
    tokens = GRID**2

    def __init__(self, folder: Path, device: str = "cpu", batch_size: int = 16) -> None:
        self.folder = folder
        self.device = device
        self.batch_size = batch_size
        self.config = read_folder_config(folder)
        seen = self.config.get("vision_config") or self.config
        if "patch_size" not in seen:
            raise ModelError(
                f"{folder}: expected a vision transformer with a patch_size, found a net of type "
                f"{self.config.get('model_type')!r}; give another folder"
            )
        self.patch_px = int(seen["patch_size"])

    @property
    def width(self) -> int:
        """Length of a row: the net's hidden size."""
        return int(self._net.config.hidden_size)

    @cached_property
    def _net(self) -> Any:
        kind = str(self.config.get("model_type"))
        changes = {"add_pooling_layer": False} if kind in ("vit", "deit") else {}
        return load_encoder(TOWERS.get(kind, AutoModel), self.folder, OTHER_PARTS, self.device, **changes)

    @cached_property
    def _processor(self) -> Any:
        return AutoImageProcessor.from_pretrained(self.folder, local_files_only=True, backend="pil")

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The `global` feature of one frame (H, W, 3)."""
        return self.features(rgb)["global"]

    def features(self, rgb: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Give `global` and `global_cls` of one frame (H, W, 3). Raises `ModelError` for another shape."""
        check_crops(rgb[None], "PictureEncoder")
        (patches,) = self._patches(rgb[None])  # (h, w, D)
        rows = np.array_split(patches, min(GRID, len(patches)), axis=0)
        cells = [cell for row in rows for cell in np.array_split(row, min(GRID, row.shape[1]), axis=1)]
        grid = np.stack([cell.mean(axis=(0, 1)) for cell in cells]).astype(np.float32)
        return {"global": grid, "global_cls": patches.mean(axis=(0, 1), keepdims=True)[0]}

    def frames(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode each face crop by itself: `(n, H, W, 3)` to `(n, width)`. Raises `ModelError` for none."""
        check_crops(crops, "PictureEncoder")
        starts = range(0, len(crops), self.batch_size)
        return np.concatenate([self._patches(crops[at : at + self.batch_size]).mean(axis=(1, 2)) for at in starts])

    def _patches(self, frames: NDArray[np.uint8]) -> NDArray[np.float32]:
        """States of the patches (B, h, w, D), without class and register tokens, which stand before them."""
        pixels = self._processor(list(frames), return_tensors="pt")["pixel_values"].to(self.device)
        if pixels.ndim != 4:
            raise ModelError(f"{self.folder}: its processor gives no pictures but {tuple(pixels.shape)}; give another")
        height, width = pixels.shape[2] // self.patch_px, pixels.shape[3] // self.patch_px
        with torch.inference_mode():
            states = self._net(pixels).last_hidden_state  # (B, T, D)
        rows: NDArray[np.float32] = states[:, states.shape[1] - height * width :].float().cpu().numpy()
        return rows.reshape(len(frames), height, width, -1)

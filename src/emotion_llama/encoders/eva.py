"""Global encoder of the paper: EVA-ViT-g at 448 pixels (Fang et al. 2023), as MiniGPT-v2 uses it.

The library's `Blip2VisionModel` is this very net. Its closing norm stands where the released code has `ln_vision`, with
that norm's own epsilon; the released files hold no weights for it, so it is one that only standardises.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from transformers import Blip2VisionModel

from emotion_llama.encoders.folder import load_encoder, read_net_config
from emotion_llama.errors import ModelError

NORM_EPS = 1e-5
"""Epsilon of `ln_vision`; the blocks have 1e-6."""

STRIP = 4
"""So many neighbouring patches, in reading order, make one row: a strip of the picture, not a square."""

_MEAN = np.array((0.48145466, 0.4578275, 0.40821073), dtype=np.float32)  # CLIP's, red, green, blue
_STD = np.array((0.26862954, 0.26130258, 0.27577711), dtype=np.float32)


class EvaVit:
    """One RGB frame to `global` (256, 5632), patches joined by fours, and `global_cls` (1, 1408).

    `folder` holds `config.json` and the weights in the library's form (`emotion-llama convert official` writes it); the
    weights are read at the first use. Raises `ModelError` for a folder that is no such encoder.
    """

    name = "global"

    def __init__(self, folder: Path, device: str = "cpu", dtype: torch.dtype = torch.float32) -> None:
        self.folder = folder
        self.device = device
        self.dtype = dtype
        self.config = read_net_config(folder, Blip2VisionModel, needs=("config.json",))

    @property
    def side_px(self) -> int:
        """Side of the square picture that the net sees, in pixels."""
        return int(self.config["image_size"])

    @property
    def width(self) -> int:
        """Length of one row of `global`."""
        return STRIP * int(self.config["hidden_size"])

    @property
    def tokens(self) -> int:
        """Rows of `global`."""
        return (self.side_px // int(self.config["patch_size"])) ** 2 // STRIP

    @cached_property
    def _net(self) -> Any:
        net = load_encoder(Blip2VisionModel, self.folder, (), self.device)
        net.post_layernorm.eps = NORM_EPS
        return net.to(self.dtype)

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """The `global` feature of one frame (H, W, 3)."""
        return self.features(rgb)["global"]

    def features(self, rgb: NDArray[np.uint8]) -> dict[str, NDArray[np.float32]]:
        """Give `global` and `global_cls` of one frame (H, W, 3). Raises `ModelError` for another shape."""
        if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
            raise ModelError(f"EvaVit wants one RGB frame, (H, W, 3) of uint8; found {rgb.shape} of {rgb.dtype}")
        states = self.states(eva_pixels(rgb, self.side_px))  # (1 + P, D)
        patches = states[1:].reshape(-1, self.width)  # (P / 4, 4 D)
        return {"global": patches, "global_cls": states[:1]}

    def states(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the states (1 + P, D) behind the closing norm, the class token first; `pixels` from `eva_pixels`."""
        picture = torch.from_numpy(pixels)[None].to(self.device, self.dtype)  # (1, 3, S, S)
        with torch.inference_mode():
            found: NDArray[np.float32] = self._net(picture).last_hidden_state[0].float().cpu().numpy()
        return found


def eva_pixels(rgb: NDArray[np.uint8], side_px: int) -> NDArray[np.float32]:
    """Resize to a square without keeping the shape (bicubic), then standardise: (H, W, 3) to (3, S, S).

    Upstream `minigpt4/processors/blip_processors.py`, the same for training and evaluation.
    """
    resized = Image.fromarray(rgb).resize((side_px, side_px), Image.Resampling.BICUBIC)
    pixels: NDArray[np.float32] = (np.asarray(resized, dtype=np.float32) / 255.0 - _MEAN) / _STD
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))

"""Global encoder: EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946; the "lite" form has no squeeze-excitation).

The weights come with every batch norm already folded into the convolution before it (`assets.convert`).
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from emotion_llama.encoders.same_padding import pad_same
from emotion_llama.encoders.weights import asset_file, load_weights
from emotion_llama.errors import MediaError

WEIGHTS_FILE = "efficientnet_lite0.safetensors"

_SIDE_PX = 224
_MEAN = np.array((0.485, 0.456, 0.406), dtype=np.float32)  # of ImageNet's red, green, blue
_STD = np.array((0.229, 0.224, 0.225), dtype=np.float32)
_STEM_WIDTH = 32
_HEAD_WIDTH = 1280
_CLASSES = 1000
# repeats, kernel, stride of the first repeat, expansion, output channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)


class InvertedResidual(nn.Module):
    """Widen by 1×1, filter each channel, narrow by 1×1; added to the input where the shapes agree."""

    def __init__(self, channels: tuple[int, int], kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inside = channels[0] * expansion
        self.kernel, self.stride = kernel, stride
        self.has_shortcut = stride == 1 and channels[0] == channels[1]
        self.expand = nn.Conv2d(channels[0], inside, 1) if expansion != 1 else None
        self.depthwise = nn.Conv2d(inside, inside, kernel, stride, groups=inside)
        self.project = nn.Conv2d(inside, channels[1], 1)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, C', ceil(H / stride), ceil(W / stride))`."""
        y = x if self.expand is None else F.relu6(self.expand(x))
        y = F.relu6(self.depthwise(pad_same(y, self.kernel, self.stride)))
        y = self.project(y)
        return x + y if self.has_shortcut else y  # type: ignore[no-any-return]


class EfficientNetLite0Net(nn.Module):
    """Stem, sixteen blocks, 1×1 head, mean over the picture, 1000 ImageNet classes."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _STEM_WIDTH, 3, stride=2)
        blocks: list[nn.Module] = []
        width = _STEM_WIDTH
        for repeats, kernel, stride, expansion, out in _STAGES:
            for repeat in range(repeats):
                blocks.append(InvertedResidual((width, out), kernel, stride if repeat == 0 else 1, expansion))
                width = out
        self.blocks = nn.ModuleList(blocks)
        self.head = nn.Conv2d(width, _HEAD_WIDTH, 1)
        self.classifier = nn.Linear(_HEAD_WIDTH, _CLASSES)

    def forward(self, pictures: Tensor) -> Tensor:
        """Normalised pictures `(B, 3, H, W)` to pooled features `(B, 1280)`."""
        x = F.relu6(self.stem(pad_same(pictures, 3, 2)))
        for block in self.blocks:
            x = block(x)
        return F.relu6(self.head(x)).mean(dim=(2, 3))


class EfficientNetLite0:
    """One RGB frame to `global` `(1, 1280)`: the pooled feature of the centre square.

    `folder` holds `efficientnet_lite0.safetensors`; it is read at the first use.
    """

    name = "global"
    width = _HEAD_WIDTH
    tokens = 1

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.folder = folder
        self.device = device

    @cached_property
    def _net(self) -> EfficientNetLite0Net:
        return load_weights(EfficientNetLite0Net(), asset_file(self.folder, WEIGHTS_FILE), self.device)

    def __call__(self, rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode one frame `(H, W, 3)` to `(1, 1280)`; `MediaError` if it is no 8-bit RGB picture."""
        with torch.inference_mode():
            feature: NDArray[np.float32] = self._net(self._input(rgb)).cpu().numpy()
        return feature

    def classify(self, rgb: NDArray[np.uint8], top: int = 5) -> list[tuple[int, float]]:
        """The `top` ImageNet classes of one frame as (class index 0–999, probability), likeliest first."""
        with torch.inference_mode():
            scores = self._net.classifier(self._net(self._input(rgb)))
            best = scores.softmax(dim=-1)[0].topk(top)
        return list(zip(best.indices.tolist(), best.values.tolist(), strict=True))

    def _input(self, rgb: NDArray[np.uint8]) -> Tensor:
        return torch.from_numpy(normalised_square(rgb)[None]).to(self.device)


def normalised_square(rgb: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Centre square of a frame `(H, W, 3)`, bicubic to 224 px, in ImageNet's mean and deviation: `(3, 224, 224)`."""
    if rgb.ndim != 3 or rgb.shape[2] != 3 or rgb.dtype != np.uint8 or 0 in rgb.shape:
        raise MediaError(f"wanted an RGB frame (H, W, 3) of uint8, found shape {rgb.shape} of {rgb.dtype}")
    height, width = rgb.shape[:2]
    side = min(height, width)
    left, top = (width - side) // 2, (height - side) // 2
    square = np.ascontiguousarray(rgb[top : top + side, left : left + side])
    small = Image.fromarray(square).resize((_SIDE_PX, _SIDE_PX), Image.Resampling.BICUBIC)
    scaled = (np.asarray(small, dtype=np.float32) / 255 - _MEAN) / _STD
    return np.ascontiguousarray(scaled.transpose(2, 0, 1))

"""The face-expression net: a small Xception (Arriaga et al. 2017, arXiv 1710.07557) trained on FER2013.

The weights come with every batch norm already folded into the convolution before it (`assets.convert`).
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from emotion_llama.encoders.same_padding import pad_same

WEIGHTS_FILE = "face_expression.safetensors"
SIDE_PX = 64
FEATURE_WIDTH = 128
GRID_WIDTH = 4 * FEATURE_WIDTH

_STEM_WIDTH = 8
_BLOCK_WIDTHS = (16, 32, 64, FEATURE_WIDTH)
_CLASSES = 7


class SeparableBlock(nn.Module):
    """Two depthwise-separable convolutions and a max pool, beside a strided 1×1 shortcut."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.depthwise1 = nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False)
        self.pointwise1 = nn.Conv2d(width, out, 1)
        self.depthwise2 = nn.Conv2d(out, out, 3, padding=1, groups=out, bias=False)
        self.pointwise2 = nn.Conv2d(out, out, 1)
        self.shortcut = nn.Conv2d(width, out, 1, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, C, H, W)` to `(B, C', ceil(H / 2), ceil(W / 2))`."""
        y = F.relu(self.pointwise1(self.depthwise1(x)))
        y = self.pointwise2(self.depthwise2(y))
        y = F.max_pool2d(pad_same(y, 3, 2, fill=-torch.inf), 3, 2)
        return self.shortcut(x) + y  # type: ignore[no-any-return]


class FaceExpressionNet(nn.Module):
    """Grey faces of 64 px to seven expression scores and the last feature map, averaged."""

    def __init__(self) -> None:
        super().__init__()
        self.stem1 = nn.Conv2d(1, _STEM_WIDTH, 3)
        self.stem2 = nn.Conv2d(_STEM_WIDTH, _STEM_WIDTH, 3)
        widths = (_STEM_WIDTH, *_BLOCK_WIDTHS)
        self.blocks = nn.ModuleList(SeparableBlock(a, b) for a, b in pairwise(widths))
        self.classifier = nn.Conv2d(FEATURE_WIDTH, _CLASSES, 3, padding=1)

    def forward(self, faces: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Grey faces `(B, 1, 64, 64)` in -1 to 1 to probabilities `(B, 7)`, features `(B, 128)` and a grid `(B, 512)`.

        The features are the mean over the 4×4 map that enters the last convolution (no ReLU stands after it), the grid
        its means over the four quarters of the face, channel by channel.
        """
        x = F.relu(self.stem2(F.relu(self.stem1(faces))))
        for block in self.blocks:
            x = block(x)
        scores = self.classifier(x).mean(dim=(2, 3))
        return scores.softmax(dim=-1), x.mean(dim=(2, 3)), F.avg_pool2d(x, 2).flatten(1)

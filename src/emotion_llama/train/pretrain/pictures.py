"""What the net makes of hidden patches: original, masked and reconstructed faces side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from emotion_llama.train.pretrain.draws import Sample

GAP_PX = 4
SMALLEST_PX = 96
GRAY = 0.5
MOST_FRAMES = 8


def reconstruction_picture(net: Any, samples: Sequence[Sample], processor: Any) -> NDArray[np.uint8]:
    """Draw some samples as one RGB picture (H, W, 3).

    A face gives a row of three: original, masked, reconstructed. A clip gives three rows of up to eight frames, the
    same three. Visible patches are shown as they are; hidden ones get the original's mean and spread, because the net
    learns normalised patches and does not know them.
    """
    inputs = {name: torch.stack([sample[name] for sample in samples]) for name in samples[0] if name != "track"}
    device = next(net.parameters()).device
    was_training = net.training
    net.eval()
    with torch.inference_mode():
        output = net(**{name: value.to(device) for name, value in inputs.items()})
    net.train(was_training)
    if "bool_masked_pos" in inputs:
        pixels, hidden = inputs["pixel_values"], inputs["bool_masked_pos"]
        logits = _spread(output.logits, hidden)
    else:
        pixels, hidden = inputs["pixel_values"][:, None], output.mask.bool().cpu()  # a face is a clip of one frame
        logits = output.logits.float().cpu()
    tubelet = net.config.tubelet_size if "bool_masked_pos" in inputs else 1
    patches = split_patches(pixels, net.config.patch_size, tubelet)  # (B, P, V, 3)
    rebuilt = unnormalise(logits.reshape(patches.shape), patches, by_channel="bool_masked_pos" in inputs)
    masks = hidden[:, :, None, None].expand_as(patches).float()
    rebuilt, masks = (join_patches(part, pixels.shape, net.config.patch_size, tubelet) for part in (rebuilt, masks))
    shown = _colours(pixels, processor)
    masked = torch.where(masks > 0, torch.full_like(shown, GRAY), shown)
    reconstructed = _colours(torch.where(masks > 0, rebuilt, pixels), processor)
    return _grid([shown, masked, reconstructed])


def split_patches(pixels: Tensor, patch_px: int, tubelet: int) -> Tensor:
    """Clips (B, T, 3, H, W) to patches (B, P, V, 3), V = tubelet x patch x patch values, in the order of both nets."""
    batch, frames, channels, height, width = pixels.shape
    rows, columns = height // patch_px, width // patch_px
    parts = pixels.reshape(batch, frames // tubelet, tubelet, channels, rows, patch_px, columns, patch_px)
    parts = parts.permute(0, 1, 4, 6, 2, 5, 7, 3)
    return parts.reshape(batch, -1, tubelet * patch_px**2, channels)


def join_patches(patches: Tensor, shape: Sequence[int], patch_px: int, tubelet: int) -> Tensor:
    """Undo `split_patches`: patches (B, P, V, 3) to clips of `shape` (B, T, 3, H, W)."""
    batch, frames, channels, height, width = shape
    rows, columns = height // patch_px, width // patch_px
    parts = patches.reshape(batch, frames // tubelet, rows, columns, tubelet, patch_px, patch_px, channels)
    return parts.permute(0, 1, 4, 7, 2, 5, 3, 6).reshape(*shape)


def unnormalise(predicted: Tensor, patches: Tensor, by_channel: bool) -> Tensor:
    """Undo the normalised-pixel target: give predicted patches the mean and spread of the true ones, (B, P, V, 3).

    VideoMAE normalises each colour channel of a patch by itself (`by_channel`), MAE all three together.
    """
    over = (-2,) if by_channel else (-2, -1)
    mean, spread = patches.mean(dim=over, keepdim=True), patches.var(dim=over, keepdim=True).sqrt()
    return predicted * spread + mean


def _spread(logits: Tensor, hidden: Tensor) -> Tensor:
    """Predictions of the hidden patches alone, put at their places among all: (B, P, V * 3)."""
    every = torch.zeros(*hidden.shape, logits.shape[-1])
    every[hidden] = logits.float().cpu().reshape(-1, logits.shape[-1])
    return every


def _colours(pixels: Tensor, processor: Any) -> Tensor:
    """Net input back to colours of 0 to 1."""
    if processor.do_normalize:
        mean, spread = (torch.tensor(v).reshape(3, 1, 1) for v in (processor.image_mean, processor.image_std))
        pixels = pixels * spread + mean
    return pixels.clamp(0, 1)


def _grid(kinds: list[Tensor]) -> NDArray[np.uint8]:
    """Clips (B, T, 3, H, W), one tensor a kind, to one picture on white."""
    frames, side_px = kinds[0].shape[1], kinds[0].shape[-1]
    chosen = range(0, frames, max(1, -(-frames // MOST_FRAMES)))
    scale = max(1, -(-SMALLEST_PX // side_px))
    rows = []
    for number in range(len(kinds[0])):
        cells = [[_cell(kind[number, frame], scale) for frame in chosen] for kind in kinds]
        if frames == 1:
            rows.append(np.hstack([row[0] for row in cells]))
        else:
            rows += [np.hstack(row) for row in cells]
    return np.vstack(rows)


def _cell(picture: Tensor, scale: int) -> NDArray[np.uint8]:
    pixels = (picture.permute(1, 2, 0).numpy() * 255).round().astype(np.uint8)
    large = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_NEAREST)
    return np.pad(large, ((0, GAP_PX), (0, GAP_PX), (0, 0)), constant_values=255)

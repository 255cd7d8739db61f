"""Temporal encoder of the paper: a video masked autoencoder's transformer over a face's movement (Tong et al. 2022).

The paper's own weights cannot be downloaded; `emotion-llama pretrain face-videomae` makes such a folder from one's own
recordings, and every hub folder of the family (`VideoMAEModel`) opens too.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import VideoMAEImageProcessorPil, VideoMAEModel

from emotion_llama.encoders.face_mae import check_crops
from emotion_llama.encoders.folder import load_encoder, read_net_config

DECODER = ("decoder.", "encoder_to_decoder.", "mask_token")
"""Tensors of a pre-training checkpoint that the encoder does without; nothing else may be extra, nothing missing."""


class FaceVideoMae:
    """Face crops of one track, in time order, to `temporal` `(1, width)`: the mean over all tokens of the clip.

    As the paper's feature (upstream `maeV_399_UTT`): nothing is masked; the track is cut into equal segments (8 where
    the net takes 16 frames in pairs) and the middle of each gives as many neighbouring frames as the net joins into one
    token. The folder is as for `FaceMae`. Raises `ModelError` for a folder that is no such encoder.
    """

    name = "temporal"
    tokens = 1

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.folder = folder
        self.device = device
        self.config = read_net_config(folder, VideoMAEModel)

    @property
    def width(self) -> int:
        """Length of the row: the net's hidden size."""
        return int(self.config["hidden_size"])

    @cached_property
    def _net(self) -> Any:
        return load_encoder(VideoMAEModel, self.folder, DECODER, self.device)

    @cached_property
    def _processor(self) -> Any:
        return VideoMAEImageProcessorPil.from_pretrained(self.folder, local_files_only=True)

    def __call__(self, crops: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Encode the crops `(n, H, W, 3)` of one face to `(1, width)`. Raises `ModelError` for none or other shapes."""
        check_crops(crops, "FaceVideoMae")
        net = self._net
        chosen = crops[segment_frames(len(crops), net.config.num_frames, net.config.tubelet_size)]
        pixels = self._processor(list(chosen), return_tensors="pt")["pixel_values"].to(self.device)
        with torch.inference_mode():
            tokens = net(pixels).last_hidden_state  # (1, P, D)
        row: NDArray[np.float32] = tokens.mean(dim=1).cpu().numpy()
        return row


def segment_frames(available: int, wanted: int, neighbours: int) -> NDArray[np.int64]:
    """Which of `available` frames stand for the track: `wanted` in all, `neighbours` from the middle of each segment.

    A track with fewer frames repeats some. (Temporal segment sampling in its test form, Wang et al. 2016.)
    """
    segments = wanted // neighbours
    length = max(available - neighbours + 1, 1) / segments
    firsts = ((np.arange(segments) + 0.5) * length).astype(np.int64)
    frames: NDArray[np.int64] = np.minimum(firsts[:, None] + np.arange(neighbours), available - 1)
    return frames.reshape(-1)

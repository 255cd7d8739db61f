"""Face tracks → samples: draw number n is the same cut, mirror and mask in every run, whatever came before it.

That makes a resumed run equal to one that was never stopped, with any number of workers or processes.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset
from transformers import VideoMAEConfig, ViTMAEConfig

from emotion_llama.train.pretrain.settings import PretrainSettings
from emotion_llama.train.pretrain.tracks import Track

Sample = dict[str, Tensor]
ASPECT = (3 / 4, 4 / 3)
"""Width to height of a random cut, as in both papers."""


class Draws(Dataset[Sample]):
    """`count` samples of `tracks`: `pixel_values`, the mask, and the number of the `track`.

    For learning, every face is drawn once before any is drawn again, cut and mirrored at random. With `fixed`, faces
    are taken evenly from all tracks and shown whole, for measuring. A face-mae sample is one face `(3, H, W)` with
    `noise` `(P,)`, whose smallest values stay visible; a face-videomae sample is `(T, 3, H, W)`, starting at that face,
    with `bool_masked_pos` `(P,)`, the same patches hidden in all frames (a tube).
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        count: int,
        settings: PretrainSettings,
        config: ViTMAEConfig | VideoMAEConfig,
        processor: Any,
        fixed: bool = False,
    ) -> None:
        self.tracks = tracks
        self._count = count
        self._settings = settings
        self._config = config
        self._processor = processor
        self._fixed = fixed
        self._ends = list(accumulate(track.faces for track in tracks))
        self._order: tuple[int, NDArray[np.int64]] | None = None

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, number: int) -> Sample:
        if not 0 <= number < self._count:
            raise IndexError(number)
        rng = np.random.default_rng([self._settings.seed, 1 if self._fixed else 2, number])
        track, first = self._face(number)
        crops = self._crops(self.tracks[track], first)
        pictures = list(crops) if self._fixed else self._changed(crops, rng)
        pixels = self._processor(pictures, return_tensors="pt")["pixel_values"]
        return {"pixel_values": pixels[0], **self._mask(rng), "track": torch.tensor(track)}

    def _face(self, number: int) -> tuple[int, int]:
        """Track and face of a draw."""
        total = self._ends[-1]
        if self._fixed:
            face = (2 * number + 1) * total // (2 * self._count)
        else:
            face = int(self._shuffled(number // total)[number % total])
        track = bisect_right(self._ends, face)
        return track, face - (self._ends[track - 1] if track else 0)

    def _shuffled(self, turn: int) -> NDArray[np.int64]:
        if self._order is None or self._order[0] != turn:
            rng = np.random.default_rng([self._settings.seed, 0, turn])
            self._order = turn, rng.permutation(self._ends[-1])
        return self._order[1]

    def _crops(self, track: Track, first: int) -> NDArray[np.uint8]:
        if self._settings.kind == "face-mae":
            return track.crops(first, first + 1)
        step, frames = self._settings.frame_step, self._config.num_frames
        span = (frames - 1) * step + 1
        first = max(0, min(first, track.faces - span))
        crops = track.crops(first, min(first + span, track.faces))[::step]
        missing = frames - len(crops)  # a track shorter than the clip: its last face stays
        return np.concatenate([crops, np.repeat(crops[-1:], missing, axis=0)])

    def _changed(self, crops: NDArray[np.uint8], rng: np.random.Generator) -> list[NDArray[np.uint8]]:
        box = random_cut(crops.shape[1], self._settings.smallest_crop, rng)
        mirror = self._settings.flip and rng.random() < 0.5
        size = (self._config.image_size, self._config.image_size)
        cut = [np.asarray(Image.fromarray(c).resize(size, Image.Resampling.BICUBIC, box=box)) for c in crops]
        return [np.ascontiguousarray(picture[:, ::-1]) for picture in cut] if mirror else cut

    def _mask(self, rng: np.random.Generator) -> Sample:
        patches = (self._config.image_size // self._config.patch_size) ** 2
        if self._settings.kind == "face-mae":
            return {"noise": torch.from_numpy(rng.random(patches, dtype=np.float32))}
        hidden = np.zeros(patches, dtype=bool)
        hidden[rng.permutation(patches)[: int(patches * self._settings.mask_ratio)]] = True
        tube = np.tile(hidden, self._config.num_frames // self._config.tubelet_size)
        return {"bool_masked_pos": torch.from_numpy(tube)}


def random_cut(side_px: int, smallest: float, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """Draw a box (left, top, right, bottom) inside a square: at least the share `smallest` of its area, where it fits.

    As in torchvision's random resized crop: area and the logarithm of width to height are uniform.
    """
    area = rng.uniform(smallest, 1.0) * side_px**2
    ratio = float(np.exp(rng.uniform(*np.log(ASPECT))))
    width, height = min(side_px, (area * ratio) ** 0.5), min(side_px, (area / ratio) ** 0.5)
    left, top = rng.uniform(0, side_px - width), rng.uniform(0, side_px - height)
    return left, top, left + width, top + height

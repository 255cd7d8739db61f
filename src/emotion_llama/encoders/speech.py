"""Audio encoder of the paper: HuBERT-large (Hsu et al. 2021), and every speech encoder of its kind on the hub.

The last layer's states, averaged over the time of the clip, as the released features are (`HL-UTT`).
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import AutoFeatureExtractor, AutoModel, WhisperModel

from emotion_llama.encoders.folder import load_encoder, read_folder_config
from emotion_llama.errors import MediaError
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform

SHORTEST_S = 0.1
WINDOW_S = 30.0
"""Longer recordings are encoded in equal windows of at most this: attention grows with the square of the time."""

WHISPER_FRAME = 320
"""Samples of one state of Whisper's encoder: 10 ms of the spectrogram, halved once."""

HEADS = ("lm_head.", "quantizer.", "project_q.", "project_hid.", "projector.", "classifier.", "masked_spec_embed")
"""Tensors of checkpoints for other uses that the encoder does without; nothing else may be extra, nothing missing."""


class SpeechEncoder:
    """Sound to `audio` `(1, width)`: the states of one layer, averaged over time.

    `folder` is a Hugging Face folder with `config.json`, the weights and `preprocessor_config.json`: HuBERT, wav2vec 2,
    WavLM, data2vec and their relatives, or Whisper, of which the encoder is used. `layer` counts from the end as Python
    does (-1, the released features'). Raises `ModelError` for a folder that lacks a file.
    """

    name = "audio"
    tokens = 1

    def __init__(self, folder: Path, device: str = "cpu", layer: int = -1) -> None:
        self.folder = folder
        self.device = device
        self.layer = layer
        self.config = read_folder_config(folder)

    @property
    def width(self) -> int:
        """Length of the row: the net's hidden size."""
        return int(self.config["d_model" if self._is_whisper else "hidden_size"])

    @property
    def _is_whisper(self) -> bool:
        return bool(self.config.get("model_type") == "whisper")

    @cached_property
    def _net(self) -> Any:
        if self._is_whisper:
            return load_encoder(WhisperModel, self.folder, ("proj_out.",), self.device).encoder
        return load_encoder(AutoModel, self.folder, HEADS, self.device)

    @cached_property
    def _processor(self) -> Any:
        return AutoFeatureExtractor.from_pretrained(self.folder, local_files_only=True)

    def __call__(self, waveform: Waveform) -> NDArray[np.float32]:
        """The `audio` feature `(1, width)`. Raises `MediaError` for sound shorter than `SHORTEST_S`."""
        total, frames = np.zeros(self.width), 0
        for window in _windows(waveform):
            states = self._states(window)  # (T, D)
            total += states.sum(axis=0, dtype=np.float64)
            frames += len(states)
        row: NDArray[np.float32] = (total / frames).astype(np.float32)[None]
        return row

    def features(self, waveform: Waveform) -> dict[str, NDArray[np.float32]]:
        """The same by name, as the other audio encoder gives it."""
        return {self.name: self(waveform)}

    def _states(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """States (T, D) of one window. Whisper pads it to 30 s: only the frames that hear something are kept."""
        values = self._processor(samples, sampling_rate=SAMPLE_RATE_HZ, return_tensors="pt")
        given = values.input_features if self._is_whisper else values.input_values  # (1, M, F) or (1, S)
        with torch.inference_mode():
            found = self._net(given.to(self.device), output_hidden_states=self.layer != -1)
        states = found.last_hidden_state if self.layer == -1 else found.hidden_states[self.layer]
        heard = -(-len(samples) // WHISPER_FRAME) if self._is_whisper else None
        rows: NDArray[np.float32] = states[0, :heard].float().cpu().numpy()
        return rows


def _windows(waveform: Waveform) -> Iterator[NDArray[np.float32]]:
    samples = waveform.samples
    if len(samples) < SHORTEST_S * SAMPLE_RATE_HZ:
        raise MediaError(
            f"sound of {len(samples) / SAMPLE_RATE_HZ:.2f} s: expected at least {SHORTEST_S} s; leave the sound out"
        )
    count = int(np.ceil(len(samples) / (WINDOW_S * SAMPLE_RATE_HZ)))
    yield from np.array_split(samples, count)

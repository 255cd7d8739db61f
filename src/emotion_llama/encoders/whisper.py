"""Audio encoder: the middle layers of Whisper's speech encoder, frozen.

Middle layers carry more about how something is said than the last one, which is trained to forget it.
"""

from __future__ import annotations

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from transformers import WhisperFeatureExtractor

from emotion_llama.encoders.weights import asset_file, load_weights
from emotion_llama.encoders.whisper_net import WhisperEncoderConfig, WhisperEncoderNet
from emotion_llama.errors import MediaError
from emotion_llama.media.types import SAMPLE_RATE_HZ, Waveform

WEIGHTS_FILE = "encoder.safetensors"
CONFIG_FILE = "encoder_config.json"

WINDOW_S = 30
"""Longest stretch that is encoded in one piece: the length of Whisper's positional table."""

SHORTEST_S = 0.1
"""Sounds shorter than this are refused: they have fewer frames than the four time chunks need."""

_CHUNKS = 4
_CHUNK_LAYER = 4
_MIXED_LAYERS = (3, 4, 5)
"""Layers side by side in `audio_mix`: the projector behind it learns how to mix them."""

_SAMPLES_A_FRAME = 320  # 10 ms mel hop, halved by the second convolution: 50 frames a second


class WhisperEncoder:
    """Waveform to `audio` `(4, 512)`: layer 4 averaged over four equal time chunks.

    `folder` holds `encoder.safetensors` and `encoder_config.json`; it is read at the first use. Only the frames that
    are there are encoded; recordings over 30 s are cut into equal windows of at most 30 s, encoded one by one.
    """

    name = "audio"
    tokens = _CHUNKS

    def __init__(self, folder: Path, device: str = "cpu") -> None:
        self.folder = folder
        self.device = device

    @property
    def width(self) -> int:
        """Length of one row of `audio`."""
        return self._config.width

    @cached_property
    def _config(self) -> WhisperEncoderConfig:
        return WhisperEncoderConfig.read(asset_file(self.folder, CONFIG_FILE))

    @cached_property
    def _net(self) -> WhisperEncoderNet:
        net = WhisperEncoderNet(self._config)
        return load_weights(net, asset_file(self.folder, WEIGHTS_FILE), self.device)

    @cached_property
    def _mel(self) -> WhisperFeatureExtractor:
        return WhisperFeatureExtractor(feature_size=self._config.mel_bins)

    def __call__(self, waveform: Waveform) -> NDArray[np.float32]:
        """The `audio` feature, `(4, 512)`. Raises `MediaError` if the sound is shorter than `SHORTEST_S`."""
        return self.features(waveform)["audio"]

    def features(self, waveform: Waveform) -> dict[str, NDArray[np.float32]]:
        """All features of one pass over the sound.

        `audio` `(4, 512)`: layer 4 averaged in four equal time chunks. `audio_mix` `(4, 1536)`: layers 3 to 5 side by
        side, averaged in the same way. `audio_statistics` `(1, 6144)`: for each of the layers 1 to 6 the mean, then the
        standard deviation over the whole time. Raises `MediaError` if the sound is shorter than `SHORTEST_S`.
        """
        windows = _windows(waveform)
        chunk_of_frame = _chunk_of_frame(sum(_frames(window) for window in windows))
        chunk_sum = np.zeros((self._config.layers + 1, _CHUNKS, self._config.width))
        layer_sum = np.zeros((self._config.layers, self._config.width))
        square_sum = np.zeros_like(layer_sum)
        start = 0
        for window in windows:
            states = self._encode(window)  # (L + 1, T, D)
            frames = states.shape[1]
            chunks = chunk_of_frame[start : start + frames]
            for layer in {_CHUNK_LAYER, *_MIXED_LAYERS}:
                np.add.at(chunk_sum[layer], chunks, states[layer])
            layer_sum += states[1:].sum(axis=1, dtype=np.float64)
            square_sum += np.square(states[1:], dtype=np.float64).sum(axis=1)
            start += frames
        chunk_mean = chunk_sum / np.bincount(chunk_of_frame, minlength=_CHUNKS)[None, :, None]  # (L + 1, 4, D)
        mean = layer_sum / start  # (L, D)
        deviation = np.sqrt(np.maximum(square_sum / start - mean**2, 0.0))
        return {
            "audio": chunk_mean[_CHUNK_LAYER].astype(np.float32),
            "audio_mix": np.concatenate([chunk_mean[layer] for layer in _MIXED_LAYERS], axis=1).astype(np.float32),
            "audio_statistics": np.stack([mean, deviation], axis=1).astype(np.float32).reshape(1, -1),
        }

    def hidden(self, waveform: Waveform) -> NDArray[np.float32]:
        """Every layer's states, `(7, T, 512)`, 50 frames a second; 0 is the embedding, 6 is after the final norm.

        Raises `MediaError` if the sound is shorter than `SHORTEST_S`.
        """
        return np.concatenate([self._encode(window) for window in _windows(waveform)], axis=1)

    def _encode(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        whole_frames = np.pad(samples, (0, -len(samples) % _SAMPLES_A_FRAME))
        mel = self._mel(
            whole_frames, sampling_rate=SAMPLE_RATE_HZ, padding=False, truncation=False, return_tensors="np"
        ).input_features  # (1, M, 2T)
        with torch.inference_mode():
            states: NDArray[np.float32] = self._net(torch.from_numpy(mel).to(self.device))[0].cpu().numpy()
        return states  # (L + 1, T, D)


def _frames(samples: NDArray[np.float32]) -> int:
    """Encoder frames of one window."""
    return -(-len(samples) // _SAMPLES_A_FRAME)


def _chunk_of_frame(frames: int) -> NDArray[np.intp]:
    """Which of the four equal time chunks each frame falls into, `(frames,)`."""
    return np.arange(frames) * _CHUNKS // frames


def _windows(waveform: Waveform) -> list[NDArray[np.float32]]:
    """Equal windows of at most 30 s."""
    samples = waveform.samples
    if samples.ndim != 1 or waveform.duration_s < SHORTEST_S:
        raise MediaError(
            f"the speech encoder wants one channel of at least {SHORTEST_S} s at {SAMPLE_RATE_HZ} Hz, "
            f"found samples of shape {samples.shape}; leave the audio input out for this clip"
        )
    count = -(-len(samples) // (WINDOW_S * SAMPLE_RATE_HZ))
    return np.array_split(samples, count)

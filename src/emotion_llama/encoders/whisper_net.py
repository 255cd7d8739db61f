"""The encoder half of Whisper (Radford et al. 2022, arXiv 2212.04356) for sounds of any length up to 30 s.

Tensor names follow transformers' `WhisperEncoder`, so weights of either fit the other. That class insists on 30 s
windows; here the positional table is cut to the frames that are there, which is what makes a short clip cheap.
"""

from __future__ import annotations

from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, ValidationError
from torch import Tensor, nn
from torch.nn import functional as F

from emotion_llama.errors import AssetCorruptError


class WhisperEncoderConfig(BaseModel):
    """Sizes of the net, as kept in `encoder_config.json`."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    width: int = 512
    layers: int = 6
    heads: int = 8
    mel_bins: int = 80
    positions: int = 1500

    @classmethod
    def read(cls, path: Path) -> WhisperEncoderConfig:
        """Read `encoder_config.json`; `AssetCorruptError` names the file if it does not parse."""
        try:
            return cls.model_validate_json(path.read_bytes())
        except ValidationError as error:
            raise AssetCorruptError(f"{path}: not a Whisper encoder configuration: {error}") from error


class SelfAttention(nn.Module):
    """Multi-head attention over all frames; the key projection has no bias."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q_proj = nn.Linear(width, width)
        self.k_proj = nn.Linear(width, width, bias=False)
        self.v_proj = nn.Linear(width, width)
        self.out_proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`."""
        q, k, v = (
            proj(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for proj in (self.q_proj, self.k_proj, self.v_proj)
        )  # (B, H, T, D / H)
        mixed = F.scaled_dot_product_attention(q, k, v)
        return self.out_proj(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class EncoderLayer(nn.Module):
    """Attention and feed-forward, each with a norm before and a residual around it."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = SelfAttention(width, heads)
        self.self_attn_layer_norm = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 4 * width)
        self.fc2 = nn.Linear(4 * width, width)
        self.final_layer_norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """`(B, T, D)` to `(B, T, D)`."""
        x = x + self.self_attn(self.self_attn_layer_norm(x))
        return x + self.fc2(F.gelu(self.fc1(self.final_layer_norm(x))))  # type: ignore[no-any-return]


class WhisperEncoderNet(nn.Module):
    """Two convolutions (the second halves the frame rate to 50 Hz), positions, transformer layers, a last norm."""

    def __init__(self, config: WhisperEncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.conv1 = nn.Conv1d(config.mel_bins, config.width, kernel_size=3, padding=1)
        self.conv2 = nn.Conv1d(config.width, config.width, kernel_size=3, stride=2, padding=1)
        self.embed_positions = nn.Embedding(config.positions, config.width)
        self.layers = nn.ModuleList(EncoderLayer(config.width, config.heads) for _ in range(config.layers))
        self.layer_norm = nn.LayerNorm(config.width)

    def forward(self, mel: Tensor) -> Tensor:
        """Log-mel `(B, M, 2T)` to hidden states `(B, L + 1, T, D)`: the embedding, then every layer.

        As in transformers, the last of them is taken after the final norm.
        """
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)  # (B, T, D)
        x = x + self.embed_positions.weight[: x.shape[1]]
        states = [x]
        for layer in self.layers:
            x = layer(x)
            states.append(x)
        states[-1] = self.layer_norm(x)
        return torch.stack(states, dim=1)  # (B, L + 1, T, D)

"""The frozen encoders of the `nano` preset, by the name of the feature they give."""

from __future__ import annotations

from types import MappingProxyType

from emotion_llama.encoders.efficientnet import EfficientNetLite0
from emotion_llama.encoders.protocol import Encoder
from emotion_llama.encoders.temporal import FaceDynamics
from emotion_llama.encoders.whisper import WhisperEncoder

ENCODERS: MappingProxyType[str, type[EfficientNetLite0] | type[FaceDynamics] | type[WhisperEncoder]] = MappingProxyType(
    {
        EfficientNetLite0.name: EfficientNetLite0,
        FaceDynamics.name: FaceDynamics,
        WhisperEncoder.name: WhisperEncoder,
    }
)
"""Feature name (`global`, `temporal`, `audio`) to encoder class. `local` comes from the face nets of `perception`."""

__all__ = ["ENCODERS", "EfficientNetLite0", "Encoder", "FaceDynamics", "WhisperEncoder"]

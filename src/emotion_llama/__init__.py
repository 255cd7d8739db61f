"""Emotion-LLaMA: a raw recording in; emotion, calibrated probabilities, measured evidence and reasons out.

    import emotion_llama as el
    model = el.load("nano")
    result = model.analyze("clip.mp4")
    print(result.emotion, result.probabilities, result.reasoning)

Importing this package loads no torch and starts nothing; names are resolved on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOME = {
    "Analysis": "emotion_llama.clip",
    "Clip": "emotion_llama.clip",
    "Observation": "emotion_llama.clip",
    "EmotionLlamaError": "emotion_llama.errors",
    "EmotionLlama": "emotion_llama.analyze.analyzer",
    "load": "emotion_llama.analyze.analyzer",
}

if TYPE_CHECKING:
    from emotion_llama.analyze.analyzer import EmotionLlama, load
    from emotion_llama.clip import Analysis, Clip, Observation
    from emotion_llama.errors import EmotionLlamaError

__all__ = ["Analysis", "Clip", "EmotionLlama", "EmotionLlamaError", "Observation", "__version__", "load"]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'emotion_llama' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)

"""Reading and writing by a compiled graph (OpenVINO): the same weights, or the weights in 8 or 4 bits."""

from __future__ import annotations

from emotion_llama.model.compiled.stepper import CompiledStepper

__all__ = ["CompiledStepper"]

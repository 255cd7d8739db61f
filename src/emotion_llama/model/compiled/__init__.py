"""Writing by a compiled graph (OpenVINO): the same weights, or the weights in 8 or 4 bits.

It goes on from the cache of the model that has read the question, so reading and scoring labels stay as they are.
"""

from __future__ import annotations

from emotion_llama.model.compiled.stepper import CompiledStepper

__all__ = ["CompiledStepper"]

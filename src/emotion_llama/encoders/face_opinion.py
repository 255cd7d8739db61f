"""A second face-expression net: facex's MobileNetV2 (Sandler et al. 2018, arXiv 1801.04381), through LiteRT.

The graph is facex's with its weights spread out to float32 and its last map given out too (`assets.convert`).
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter
from numpy.typing import NDArray

from emotion_llama.errors import AssetCorruptError

GRAPH_FILE = "face_opinion.tflite"
SIDE_PX = 200
CLASSES = 7
WIDTH = 1280


class FaceOpinionGraph:
    """One face at a time. Raises `AssetCorruptError` for a file that is no such graph."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        try:
            self._graph = Interpreter(model_path=str(path), num_threads=threads)
        except ValueError as error:
            raise AssetCorruptError(
                f"{path}: not a readable tflite model ({error}); delete it and run: emotion-llama fetch nano"
            ) from error
        self._graph.allocate_tensors()
        self._input = self._graph.get_input_details()[0]["index"]
        outputs = {int(detail["shape"][-1]): int(detail["index"]) for detail in self._graph.get_output_details()}
        if outputs.keys() != {CLASSES, WIDTH}:
            raise AssetCorruptError(
                f"{path}: expected outputs of {CLASSES} and {WIDTH} columns, found {sorted(outputs)}; delete it and "
                "run: emotion-llama fetch nano"
            )
        self._scores, self._map = outputs[CLASSES], outputs[WIDTH]

    def __call__(self, face: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """RGB face (200, 200, 3) in 0 to 1 → probabilities (7,) and the last map averaged over the face (1280,)."""
        self._graph.set_tensor(self._input, face[None])
        self._graph.invoke()
        pooled: NDArray[np.float32] = self._graph.get_tensor(self._map)[0].mean(axis=(0, 1))
        return self._graph.get_tensor(self._scores)[0], pooled

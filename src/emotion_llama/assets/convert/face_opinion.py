"""The second expression net: weights of 8 bits spread out to float32, the last map given out beside the scores.

The file is of an early form of TensorFlow Lite, whose weights of 8 bits are multiplied by kernels that nobody speeds up
any more: a face takes 3.5 times as long as in float32. The form names all its weights unsigned, but only those that a
`DEQUANTIZE` reads are; the others are signed bytes around zero.
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np
import torch
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from emotion_llama.assets.convert.steps import raw_file, require_close, waves
from emotion_llama.encoders.face_opinion import GRAPH_FILE, SIDE_PX, FaceOpinionGraph
from emotion_llama.errors import AssetCorruptError

RAW_FILE = "model_optimized.tflite"

_MAP = b"out_relu/Relu6"
_IDENTIFIER = b"TFL3"
# Probabilities of the graph in float32 on `check_face()`, and seven of its map's largest means. The file as it is, an
# independent run whose kernels round what goes in to 8 bits, gives .0169 .0000 .0083 .0000 .2132 .0021 .7594, and
# 1.4529 1.0912 .7419 .7095 .7085 .7067 .6918.
_CHECK = (0.019314, 0.000002, 0.011007, 0.000002, 0.174342, 0.002597, 0.792736)
_CHECK_MAP = {46: 1.4291, 1225: 1.0602, 588: 0.7305, 904: 0.7250, 804: 0.7036, 1252: 0.6923, 830: 0.6844}
_TOLERANCE = 1e-3


def check_face() -> NDArray[np.float32]:
    """A made-up face, (200, 200, 3) in 0 to 1."""
    made_up: NDArray[np.float32] = (waves(SIDE_PX, SIDE_PX, 3) * 0.3 + 0.5).numpy()
    return made_up


def convert(raw_dir: Path, out_dir: Path) -> None:
    """Write `face_opinion.tflite` into `out_dir`."""
    raw = raw_file(raw_dir, RAW_FILE)
    content = _in_float32(raw)
    out_dir.mkdir(parents=True, exist_ok=True)
    partial = out_dir / (GRAPH_FILE + ".part")
    partial.write_bytes(content)
    try:
        scores, pooled = FaceOpinionGraph(partial)(check_face())
        require_close(raw, "probabilities", torch.from_numpy(scores), _CHECK, _TOLERANCE)
        require_close(raw, "map", torch.from_numpy(pooled[list(_CHECK_MAP)]), tuple(_CHECK_MAP.values()), _TOLERANCE)
        partial.replace(out_dir / GRAPH_FILE)
    finally:
        partial.unlink(missing_ok=True)


def _in_float32(raw: Path) -> bytes:
    """The whole graph with all weights in float32. Raises `AssetCorruptError` naming what it lacks."""
    content = raw.read_bytes()
    if content[4:8] != _IDENTIFIER:
        raise AssetCorruptError(f"{raw}: not a tflite model; delete it and run: emotion-llama fetch nano")
    try:
        model = schema.ModelT.InitFromPackedBuf(content, 0)
        spread_weights(model)
        give_map(model)
        builder = flatbuffers.Builder(len(content))
        builder.Finish(model.Pack(builder), _IDENTIFIER)
    except (struct.error, IndexError, TypeError, ValueError, AttributeError) as error:
        raise AssetCorruptError(
            f"{raw}: not the graph that is expected ({error}); delete it and run: emotion-llama fetch nano"
        ) from error
    return bytes(builder.Output())


def spread_weights(model: Any) -> None:
    """Turn a model's weights of 8 bits into float32 in place, and take out the steps that did so for each picture."""
    graph = model.subgraphs[0]
    spreading = [one for one in graph.operators if _kind(model, one) == schema.BuiltinOperator.DEQUANTIZE]
    unsigned = {int(one.inputs[0]) for one in spreading}
    for number, tensor in enumerate(graph.tensors):
        if tensor.type != schema.TensorType.UINT8:
            continue
        buffer, kept = model.buffers[tensor.buffer], tensor.quantization
        stored = bytes(buffer.data)
        steps = np.frombuffer(stored, np.uint8 if number in unsigned else np.int8).astype(np.float32)
        weights = (steps - np.float32(kept.zeroPoint[0])) * np.float32(kept.scale[0])
        buffer.data = np.frombuffer(weights.astype("<f4").tobytes(), np.uint8)
        tensor.type, tensor.quantization = schema.TensorType.FLOAT32, None
    source = {int(one.outputs[0]): int(one.inputs[0]) for one in spreading}
    graph.operators = [one for one in graph.operators if one not in spreading]
    for one in graph.operators:
        one.inputs = np.array([source.get(int(name), name) for name in one.inputs], dtype=np.int32)


def give_map(model: Any) -> None:
    """Make the last map one of the graph's outputs. Raises `ValueError` where there is none."""
    graph = model.subgraphs[0]
    found = [number for number, tensor in enumerate(graph.tensors) if _MAP in tensor.name]
    if not found:
        raise ValueError(f"it has no tensor {_MAP.decode()}")
    graph.outputs = np.array([*graph.outputs, found[-1]], dtype=np.int32)


def _kind(model: Any, operator: Any) -> int:
    code = model.operatorCodes[operator.opcodeIndex]
    return int(max(code.builtinCode, code.deprecatedBuiltinCode))

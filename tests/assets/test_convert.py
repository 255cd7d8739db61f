from __future__ import annotations

import math
import struct
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from torch import nn

from emotion_llama.assets.convert import CONVERSIONS
from emotion_llama.assets.convert.ctranslate2 import read_variables
from emotion_llama.assets.convert.face_opinion import give_map, spread_weights
from emotion_llama.assets.convert.steps import fold_batch_norm, require_close, save_tensors, waves
from emotion_llama.assets.convert.whisper import encoder_tensors
from emotion_llama.encoders.whisper_net import WhisperEncoderConfig, WhisperEncoderNet
from emotion_llama.errors import AssetCorruptError, AssetMissingError

TYPES = {np.dtype(np.float32): 0, np.dtype(np.int16): 2, np.dtype(np.float16): 4}
RAW = {
    "smollm2": "SmolLM2-135M-Instruct.Q4_1.gguf",
    "whisper": "model.bin",
    "face-expression": "emotion_model.hdf5",
    "face-opinion": "model_optimized.tflite",
    "efficientnet-lite0": "efficientnet-lite0-57934424.pth",
}


def ct2_file(variables: dict[str, np.ndarray], version: int = 6) -> bytes:
    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    content = struct.pack("<I", version) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, array in variables.items():
        content += text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
        content += struct.pack("<BI", TYPES[array.dtype], array.nbytes) + array.tobytes()
    return content + struct.pack("<I", 0)


def ct2_encoder(net: WhisperEncoderNet) -> dict[str, np.ndarray]:
    """The net's weights as CTranslate2 lays them out."""
    old = {name: tensor.numpy().astype(np.float16) for name, tensor in net.state_dict().items()}
    new = {
        "encoder/num_heads": np.array(net.config.heads, np.int16),
        "decoder/embeddings/weight": np.ones((2, 2), np.float16),
    }

    def norm(source: str, target: str) -> None:
        new[f"encoder/{target}/gamma"], new[f"encoder/{target}/beta"] = old[f"{source}.weight"], old[f"{source}.bias"]

    def linear(source: str, target: str) -> None:
        new[f"encoder/{target}/weight"], new[f"encoder/{target}/bias"] = old[f"{source}.weight"], old[f"{source}.bias"]

    new["encoder/position_encodings/encodings"] = old["embed_positions.weight"]
    linear("conv1", "conv1")
    linear("conv2", "conv2")
    norm("layer_norm", "layer_norm")
    for i in range(net.config.layers):
        here, there = f"layers.{i}", f"layer_{i}"
        q, k, v = (old[f"{here}.self_attn.{part}_proj.weight"] for part in "qkv")
        q_bias, v_bias = (old[f"{here}.self_attn.{part}_proj.bias"] for part in "qv")
        new[f"encoder/{there}/self_attention/linear_0/weight"] = np.concatenate([q, k, v])
        new[f"encoder/{there}/self_attention/linear_0/bias"] = np.concatenate([q_bias, 0 * q_bias, v_bias])
        linear(f"{here}.self_attn.out_proj", f"{there}/self_attention/linear_1")
        norm(f"{here}.self_attn_layer_norm", f"{there}/self_attention/layer_norm")
        linear(f"{here}.fc1", f"{there}/ffn/linear_0")
        linear(f"{here}.fc2", f"{there}/ffn/linear_1")
        norm(f"{here}.final_layer_norm", f"{there}/ffn/layer_norm")
    return new


def test_ctranslate2_layout_is_read_back_exactly(tmp_path: Path) -> None:
    config = WhisperEncoderConfig(width=16, layers=2, heads=2, mel_bins=8, positions=20)
    torch.manual_seed(0)
    net = WhisperEncoderNet(config)
    raw = tmp_path / "model.bin"
    raw.write_bytes(ct2_file(ct2_encoder(net)))
    tensors, found = encoder_tensors(raw)
    assert found == config
    assert tensors.keys() == net.state_dict().keys()
    for name, tensor in net.state_dict().items():
        assert tensors[name].dtype == torch.float16
        assert torch.equal(tensors[name], tensor.half()), name


def test_damaged_ctranslate2_file_is_named(tmp_path: Path) -> None:
    raw = tmp_path / "model.bin"
    good = ct2_file({"encoder/x": np.ones((3, 2), np.float32)})
    raw.write_bytes(good)
    assert read_variables(raw, "encoder/")["x"].shape == (3, 2)
    with pytest.raises(AssetCorruptError, match="position_encodings"):
        encoder_tensors(raw)
    for bad in (good[:-8], good[:3], b"", ct2_file({}, version=5)):
        raw.write_bytes(bad)
        with pytest.raises(AssetCorruptError, match=r"model\.bin"):
            read_variables(raw)


def test_folded_convolution_does_what_convolution_and_norm_did() -> None:
    torch.manual_seed(0)
    conv, norm = nn.Conv2d(3, 5, 3, bias=False), nn.BatchNorm2d(5, eps=1e-3)
    for tensor in (norm.weight, norm.bias, norm.running_mean):
        nn.init.normal_(tensor)
    nn.init.uniform_(norm.running_var, 0.1, 2)
    parts = {"gamma": norm.weight, "beta": norm.bias, "mean": norm.running_mean, "variance": norm.running_var}
    x = torch.randn(2, 3, 9, 9)
    with torch.inference_mode():
        kernel, bias = fold_batch_norm(conv.weight, parts, 1e-3)
        torch.testing.assert_close(nn.functional.conv2d(x, kernel, bias), norm.eval()(conv(x)), atol=1e-5, rtol=1e-4)


def test_numbers_off_the_stored_ones_are_refused() -> None:
    raw = Path("some.bin")
    require_close(raw, "output", torch.tensor([1.0, 2.0]), (1.0, 2.01), 0.02)
    for wrong in ([1.0, 2.1], [1.0, float("nan")]):
        with pytest.raises(AssetCorruptError, match=r"some\.bin.*output"):
            require_close(raw, "output", torch.tensor(wrong), (1.0, 2.01), 0.02)


def test_files_appear_whole(tmp_path: Path) -> None:
    save_tensors({"x": torch.ones(2, 3).T}, tmp_path / "deep" / "x.safetensors")
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["x.safetensors"]


def test_check_input_is_the_same_everywhere() -> None:
    np.testing.assert_allclose(
        waves(2, 2).flatten(), [math.sin(0.0137 * i) * math.cos(0.00071 * i) for i in range(4)], atol=1e-7
    )


@pytest.mark.parametrize("name", RAW)
def test_missing_raw_file_is_named(name: str, tmp_path: Path) -> None:
    with pytest.raises(AssetMissingError, match=RAW[name]):
        CONVERSIONS[name](tmp_path, tmp_path / "out")


@pytest.mark.parametrize("name", RAW)
@pytest.mark.parametrize("content", [b"", b"not a model, whatever its name says\n" * 20])
def test_unreadable_raw_file_is_refused_and_nothing_is_written(name: str, content: bytes, tmp_path: Path) -> None:
    (tmp_path / RAW[name]).write_bytes(content)
    with pytest.raises(AssetCorruptError, match=RAW[name]):
        CONVERSIONS[name](tmp_path, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*"))


def test_expression_file_without_its_layers_is_refused(tmp_path: Path) -> None:
    with h5py.File(tmp_path / RAW["face-expression"], "w") as file:
        file.create_group("model_weights")
    with pytest.raises(AssetCorruptError, match="conv2d_1"):
        CONVERSIONS["face-expression"](tmp_path, tmp_path / "out")


def test_checkpoint_of_another_net_is_refused(tmp_path: Path) -> None:
    torch.save({"weight": torch.ones(2)}, tmp_path / RAW["efficientnet-lite0"])
    with pytest.raises(AssetCorruptError, match="_conv_stem"):
        CONVERSIONS["efficientnet-lite0"](tmp_path, tmp_path / "out")


def quantised_graph() -> schema.ModelT:
    """One product whose weights are signed bytes, one whose unsigned weights are spread for each picture."""

    def tensor(name: bytes, stored: list[int] | None = None, scale: float = 1.0, zero: int = 0) -> schema.TensorT:
        one = schema.TensorT()
        one.name, one.type, one.buffer = name, schema.TensorType.FLOAT32, 0
        if stored is not None:
            one.type, one.buffer = schema.TensorType.UINT8, len(model.buffers)
            one.quantization = schema.QuantizationParametersT()
            one.quantization.scale, one.quantization.zeroPoint = [scale], [zero]
            buffer = schema.BufferT()
            buffer.data = np.array(stored, dtype=np.uint8)
            model.buffers.append(buffer)
        return one

    def operator(kind: int, inputs: list[int], outputs: list[int]) -> schema.OperatorT:
        one = schema.OperatorT()
        one.opcodeIndex, one.inputs, one.outputs = kind, np.array(inputs), np.array(outputs)
        return one

    model, graph = schema.ModelT(), schema.SubGraphT()
    model.buffers, model.subgraphs, model.operatorCodes = [schema.BufferT()], [graph], []
    for kind in (schema.BuiltinOperator.FULLY_CONNECTED, schema.BuiltinOperator.DEQUANTIZE):
        code = schema.OperatorCodeT()
        code.builtinCode = code.deprecatedBuiltinCode = kind
        model.operatorCodes.append(code)
    graph.tensors = [
        tensor(b"picture"),
        tensor(b"signed", [1, 255, 128, 0], scale=0.5),
        tensor(b"unsigned", [1, 255, 128, 0], scale=0.25, zero=128),
        tensor(b"spread"),
        tensor(b"net/out_relu/Relu6"),
        tensor(b"scores"),
    ]
    graph.operators = [operator(0, [0, 1], [4]), operator(1, [2], [3]), operator(0, [4, 3], [5])]
    graph.inputs, graph.outputs = np.array([0]), np.array([5])
    return model


def test_weights_of_the_early_form_are_spread_by_who_reads_them() -> None:
    model = quantised_graph()
    spread_weights(model)
    graph = model.subgraphs[0]
    assert all(one.type == schema.TensorType.FLOAT32 and one.quantization is None for one in graph.tensors)
    found = [np.frombuffer(bytes(model.buffers[n].data), np.float32).tolist() for n in (1, 2)]
    assert found == [[0.5, -0.5, -64.0, 0.0], [-31.75, 31.75, 0.0, -32.0]]
    assert [list(one.inputs) for one in graph.operators] == [[0, 1], [4, 2]]
    give_map(model)
    assert list(graph.outputs) == [5, 4]
    graph.tensors.pop(4)
    with pytest.raises(ValueError, match="Relu6"):
        give_map(model)


@pytest.mark.weights
def test_another_graph_of_the_same_form_is_refused(tmp_path: Path) -> None:
    from emotion_llama import assets

    raw = (assets.path("blazeface-short-range") / "face_detection_short_range.tflite").read_bytes()
    for content in (raw, raw[: len(raw) // 2]):
        (tmp_path / RAW["face-opinion"]).write_bytes(content)
        with pytest.raises(AssetCorruptError, match=RAW["face-opinion"]):
            CONVERSIONS["face-opinion"](tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())

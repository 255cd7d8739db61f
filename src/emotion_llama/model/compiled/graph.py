"""The language model as a graph of OpenVINO: L tokens for each of B texts in, the logits behind some of them out.

The graph holds the keys and values of all texts itself, under the names that `state_name` gives.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np
import openvino as ov
import torch
from openvino import opset13 as op
from openvino.frontend import FrontEndManager
from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder
from openvino.passes import MakeStateful, Manager
from torch import Tensor, nn
from transformers import AttentionInterface, DynamicCache, PreTrainedModel
from transformers.integrations.sdpa_attention import repeat_kv

from emotion_llama.errors import UsageError

INPUTS = ("embeds", "positions", "mask", "wanted")
ROWS = "rows"
"""The graph's inputs: embedded tokens (B, L, D), positions (B, L), an additive mask (B, 1, L, T + L), places among all
B · L tokens whose logits are wanted (W,), and which rows of the last step its rows are (B,)."""

LOGITS = "logits"
ATTENTION = "emotion-llama-compiled"


def state_name(layer: int, part: str) -> str:
    """Name of the state that holds `keys` or `values` (B, heads, T, width) of a layer."""
    return _past(layer, part) + _present(layer, part)


def step_graph(language_model: PreTrainedModel) -> ov.Model:
    """Trace the step of a causal language model, in float32.

    Raises `UsageError` for one that keeps anything else than all keys and values of each layer.
    """
    twin = copy.deepcopy(language_model).float().eval()
    config = twin.config
    layers = DynamicCache(config=config).layers
    if any(layer.is_sliding or not hasattr(layer, "lazy_initialization") for layer in layers):
        raise UsageError(
            f"compile, quantize: the language model {config.model_type} forgets parts of what it read, and the "
            "compiled graph cannot; leave both out"
        )
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    width = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    AttentionInterface.register(ATTENTION, _attention)
    twin.set_attn_implementation(ATTENTION)
    past = [torch.zeros(1, heads, 2, width) for _ in range(2 * len(layers))]
    embeds = torch.zeros(1, 2, config.hidden_size)
    example = (embeds, torch.tensor([[2, 3]]), torch.zeros(1, 1, 2, 4), torch.tensor([0]), *past)
    with torch.no_grad(), warnings.catch_warnings():
        # what the tracer warns of are checks of shapes that hold for every step
        warnings.simplefilter("ignore", torch.jit._trace.TracerWarning)
        decoder = TorchScriptPythonDecoder(
            _Step(twin).eval(), example_input=example, trace_kwargs={"check_trace": False}
        )
    frontend = FrontEndManager().load_by_framework("pytorch")
    graph = frontend.convert(frontend.load(decoder))
    _name(graph, len(layers), heads, width, config.hidden_size)
    _make_stateful(graph, len(layers), heads, width)
    return graph


class _Step(nn.Module):
    """The step with keys and values as plain inputs and outputs, which is what can be traced."""

    def __init__(self, language_model: PreTrainedModel) -> None:
        super().__init__()
        self.model = language_model
        self.cache_config = language_model.config

    def forward(
        self, embeds: Tensor, positions: Tensor, mask: Tensor, wanted: Tensor, *past: Tensor
    ) -> tuple[Tensor, ...]:
        cache = DynamicCache(config=self.cache_config)
        for index, layer in enumerate(cache.layers):
            layer.keys, layer.values = past[2 * index], past[2 * index + 1]
            layer.dtype, layer.device, layer.is_initialized = torch.float32, torch.device("cpu"), True
        hidden = self.model.get_decoder()(
            inputs_embeds=embeds,
            attention_mask=mask,
            position_ids=positions,
            past_key_values=cache,
            use_cache=True,
        ).last_hidden_state
        kept = [part for layer in cache.layers for part in (layer.keys, layer.values)]
        chosen = hidden.flatten(0, 1).index_select(0, wanted)  # (W, D)
        return (self.model.get_output_embeddings()(chosen), *kept)


def _attention(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, **_: Any
) -> tuple[Tensor, None]:
    """Attention as the library's fused kernel expects it: heads repeated, the usual scale not spelled out."""
    layer: Any = module
    times = layer.num_key_value_groups
    query = query * (layer.scaling * query.shape[-1] ** 0.5)  # 1, but for models with a scale of their own
    found = nn.functional.scaled_dot_product_attention(
        query, repeat_kv(key, times), repeat_kv(value, times), attn_mask=mask
    )
    return found.transpose(1, 2).contiguous(), None


def _past(layer: int, part: str) -> str:
    return f"past.{layer}.{part}"


def _present(layer: int, part: str) -> str:
    return f"present.{layer}.{part}"


def _name(graph: ov.Model, layers: int, heads: int, width: int, hidden: int) -> None:
    """Give inputs and outputs their names and shapes of any batch and length."""
    parts = [(layer, part) for layer in range(layers) for part in ("keys", "values")]
    for port, name in zip(graph.outputs, [LOGITS, *(_present(*one) for one in parts)], strict=True):
        port.get_tensor().set_names({name})
    shapes = [[-1, -1, hidden], [-1, -1], [-1, 1, -1, -1], [-1], *([-1, heads, -1, width] for _ in parts)]
    for port, name, shape in zip(graph.inputs, [*INPUTS, *(_past(*one) for one in parts)], shapes, strict=True):
        port.get_tensor().set_names({name})
        port.get_node().set_friendly_name(name)
        port.get_node().set_partial_shape(ov.PartialShape(shape))
    graph.validate_nodes_and_infer_types()


def _make_stateful(graph: ov.Model, layers: int, heads: int, width: int) -> None:
    """Keep keys and values inside; each step chooses among the rows of the last one."""
    rows = op.parameter(ov.PartialShape([-1]), ov.Type.i32, name=ROWS)
    rows.output(0).get_tensor().set_names({ROWS})
    graph.add_parameters([rows])
    parts = [(layer, part) for layer in range(layers) for part in ("keys", "values")]
    for layer, part in parts:
        port = graph.input(_past(layer, part))
        readers = port.get_target_inputs()
        chosen = op.gather(port.get_node(), rows, op.constant(0, dtype=np.int64))
        for reader in readers:
            reader.replace_source_output(chosen.output(0))
    graph.validate_nodes_and_infer_types()
    passes = Manager()
    passes.register_pass(MakeStateful({_past(*one): _present(*one) for one in parts}))
    passes.run_passes(graph)
    embeds = graph.input(INPUTS[0]).get_node()
    batch = op.gather(op.shape_of(embeds), op.constant(np.array([0], np.int64)), op.constant(np.int64(0)))
    empty = op.concat([batch, op.constant(np.array([heads, 0, width], np.int64))], 0)
    for node in graph.get_ops():
        if node.get_type_name() == "ReadValue":  # what it holds before anything was read: nothing
            node.set_arguments([op.broadcast(op.constant(np.float32(0)), empty).output(0)])
    graph.validate_nodes_and_infer_types()

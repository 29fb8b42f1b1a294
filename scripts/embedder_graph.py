"""The graph of all-MiniLM-L6-v2, written from its published weights; `scripts.build_embedder` says what for."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

DIMENSIONS: Final = 384
MAX_TOKENS: Final = 256
_OPSET: Final = 17
_IR_VERSION: Final = 8
_LAYERS: Final = 6
_HEADS: Final = 12
_HEAD_DIMENSIONS: Final = DIMENSIONS // _HEADS
_EPSILON: Final = 1e-12

Vector = np.ndarray[Any, np.dtype[np.float32]]
Weights = dict[str, Vector]
"""As published: by name, linear layers' as (outputs, inputs)."""
Divisors = dict[str, Vector]
"""What the input channels of linear layers are divided by, by the layer's name."""


class _Graph:
    """Nodes and constants in the making; every method returns the name of the value that it adds."""

    def __init__(self, divisors: Divisors) -> None:
        self.divisors = divisors
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: Any) -> str:
        """A constant tensor."""
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def add(self, operator: str, *inputs: str, out: str, **attributes: Any) -> str:
        """The output of one operator, named `out`."""
        self.nodes.append(helper.make_node(operator, list(inputs), [out], name=out, **attributes))
        return out

    def linear(self, value: str, weight: Any, bias: Any, out: str) -> str:
        """`value @ weight.T + bias`: the weight is (outputs, inputs), as published."""
        divisor = self.divisors.get(out)
        if divisor is not None:
            factor = self.constant(f"{out}.factor", 1 / divisor)
            value, weight = self.add("Mul", value, factor, out=f"{out}.evened"), weight * divisor
        product = self.add("MatMul", value, self.constant(f"{out}.weight", weight.T), out=f"{out}.product")
        return self.add("Add", product, self.constant(f"{out}.bias", bias), out=out)

    def norm(self, value: str, weights: Weights, prefix: str) -> str:
        """Layer normalisation with the weights under `prefix`."""
        scale = self.constant(f"{prefix}.scale", weights[f"{prefix}.weight"])
        shift = self.constant(f"{prefix}.shift", weights[f"{prefix}.bias"])
        return self.add("LayerNormalization", value, scale, shift, out=prefix, epsilon=_EPSILON, axis=-1)


def sentence_model(weights: Weights, divisors: Divisors) -> onnx.ModelProto:
    """A checked model in float32: one text in, its vector and its token states out.

    Args:
        weights: The published weights.
        divisors: Layers that are absent take their input as it is. The model computes the same with any.
    """
    graph = _Graph(divisors)
    states = _embeddings(graph, weights)
    blocked = _blocked(graph)
    for layer in range(_LAYERS):
        states = _layer(graph, weights, f"encoder.layer.{layer}", states, blocked)
    graph.add("Identity", states, out="token_states")
    _pool(graph, states)
    int64, float32 = TensorProto.INT64, TensorProto.FLOAT
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "all-MiniLM-L6-v2",
            [
                helper.make_tensor_value_info("input_ids", int64, [1, "tokens"]),
                helper.make_tensor_value_info("attention_mask", int64, [1, "tokens"]),
            ],
            [
                helper.make_tensor_value_info("sentence_embedding", float32, [1, DIMENSIONS]),
                helper.make_tensor_value_info("token_states", float32, [1, "tokens", DIMENSIONS]),
            ],
            graph.constants,
        ),
        producer_name="askonce",
        opset_imports=[helper.make_opsetid("", _OPSET)],
        ir_version=_IR_VERSION,
    )
    onnx.checker.check_model(model, full_check=True)
    return model


def _embeddings(graph: _Graph, weights: Weights) -> str:
    """Word plus position plus the first token type, normalised."""
    words = graph.constant("words.table", weights["embeddings.word_embeddings.weight"])
    graph.add("Gather", words, "input_ids", out="words")
    # A single text has a single token type: its row is added to every position once and for all.
    type_row = weights["embeddings.token_type_embeddings.weight"][0]
    rows = weights["embeddings.position_embeddings.weight"][:MAX_TOKENS] + type_row
    places = graph.constant("places.table", rows)
    length = graph.add("Shape", "input_ids", out="length", start=1)
    start, axis = graph.constant("places.start", np.array([0])), graph.constant("places.axis", np.array([0]))
    graph.add("Slice", places, start, length, axis, out="places")
    return graph.norm(graph.add("Add", "words", "places", out="summed"), weights, "embeddings.LayerNorm")


def _blocked(graph: _Graph) -> str:
    """What is added to the attention's logits: 0 for a token, hugely negative for padding; shape (1, tokens)."""
    graph.add("Cast", "attention_mask", out="mask", to=TensorProto.FLOAT)
    padding = graph.add("Sub", graph.constant("mask.one", np.array([1], np.float32)), "mask", out="padding")
    return graph.add("Mul", padding, graph.constant("mask.low", np.array([-1e9], np.float32)), out="blocked")


def _layer(graph: _Graph, weights: Weights, prefix: str, states: str, blocked: str) -> str:
    """One transformer block (Vaswani et al. 2017, arXiv 1706.03762), normalised after each sum as in BERT."""

    def linear(value: str, part: str) -> str:
        name = f"{prefix}.{part}"
        return graph.linear(value, weights[f"{name}.weight"], weights[f"{name}.bias"], name)

    mixed = linear(_attention(graph, weights, prefix, states, blocked), "attention.output.dense")
    mixed = graph.add("Add", mixed, states, out=f"{prefix}.mixed")
    mixed = graph.norm(mixed, weights, f"{prefix}.attention.output.LayerNorm")
    wide = _gelu(graph, linear(mixed, "intermediate.dense"))
    refined = graph.add("Add", linear(wide, "output.dense"), mixed, out=f"{prefix}.refined")
    return graph.norm(refined, weights, f"{prefix}.output.LayerNorm")


def _attention(graph: _Graph, weights: Weights, prefix: str, states: str, blocked: str) -> str:
    """Softmax(QK' / sqrt(d) + blocked) V with the heads side by side again; one product makes Q, K and V."""
    name = f"{prefix}.attention"
    parts = [f"{name}.self.{part}" for part in ("query", "key", "value")]
    # The queries' share carries the 1 / sqrt(d): nothing is left to divide at run time.
    scale = np.repeat(np.array([_HEAD_DIMENSIONS**-0.5, 1, 1], np.float32), DIMENSIONS)
    weight = np.concatenate([weights[f"{part}.weight"] for part in parts]) * scale[:, None]
    bias = np.concatenate([weights[f"{part}.bias"] for part in parts]) * scale
    joint = graph.linear(states, weight, bias, f"{name}.joint")
    graph.nodes.append(helper.make_node("Split", [joint], parts, name=f"{name}.split", axis=-1))
    apart = graph.constant(f"{name}.apart", np.array([1, -1, _HEADS, _HEAD_DIMENSIONS]))
    query, key, value = (
        graph.add(
            "Transpose",
            graph.add("Reshape", part, apart, out=f"{part}.apart"),
            out=f"{part}.heads",
            perm=perm,
        )
        for part, perm in zip(parts, ([0, 2, 1, 3], [0, 2, 3, 1], [0, 2, 1, 3]), strict=True)
    )
    logits = graph.add(
        "Add", graph.add("MatMul", query, key, out=f"{name}.fit"), blocked, out=f"{name}.logits"
    )
    shares = graph.add("Softmax", logits, out=f"{name}.shares", axis=-1)
    mixed = graph.add("MatMul", shares, value, out=f"{name}.heads")
    mixed = graph.add("Transpose", mixed, out=f"{name}.tokens", perm=[0, 2, 1, 3])
    together = graph.constant(f"{name}.together", np.array([1, -1, DIMENSIONS]))
    return graph.add("Reshape", mixed, together, out=f"{name}.mixed")


def _gelu(graph: _Graph, value: str) -> str:
    """Gives x * (1 + erf(x / sqrt(2))) / 2 (Hendrycks and Gimpel 2016, arXiv 1606.08415)."""
    root = graph.constant(f"{value}.root", np.float32(np.sqrt(2)))
    erf = graph.add("Erf", graph.add("Div", value, root, out=f"{value}.scaled"), out=f"{value}.erf")
    gate = graph.add("Add", erf, graph.constant(f"{value}.one", np.float32(1)), out=f"{value}.gate")
    gated = graph.add("Mul", value, gate, out=f"{value}.gated")
    return graph.add("Mul", gated, graph.constant(f"{value}.half", np.float32(0.5)), out=f"{value}.gelu")


def _pool(graph: _Graph, states: str) -> None:
    """The mean of the states of all tokens that aren't padding, scaled to length 1 (which spares the division)."""
    row = graph.add("Unsqueeze", "mask", graph.constant("pool.axis", np.array([1])), out="mask.row")
    total = graph.add("MatMul", row, states, out="pool.total")
    flat = graph.add(
        "Reshape", total, graph.constant("pool.shape", np.array([1, DIMENSIONS])), out="pool.flat"
    )
    graph.add("LpNormalization", flat, out="sentence_embedding", axis=-1, p=2)

"""The encoder as an ONNX graph, written node by node from the weights, so that no deep-learning framework is needed.

BERT (Devlin et al., 2018) with mean pooling and unit length, as sentence-transformers runs all-MiniLM-L6-v2. The word
table stays outside: the graph takes the looked-up rows, so that one memory-mapped table serves every shape and process.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

Array = npt.NDArray[np.generic]

WORD_TABLE = "embeddings.word_embeddings.weight"
ROWS_INPUT = "token_rows"  # float32 [batch, tokens, hidden]: rows of the word table
MASK_INPUT = "attention_mask"  # float32 [batch, tokens]: 1 for a token, 0 for padding
SENTENCE_OUTPUT = "sentence"  # float32 [batch, hidden], unit length
TOKENS_OUTPUT = "tokens"  # float32 [batch, tokens, hidden], each of unit length

OPSET = 20
IR_VERSION = 10
MASKED_SCORE = -1e9  # far below any attention score: its softmax is exactly zero, so padding never shows in a vector


@dataclass(frozen=True, slots=True, kw_only=True)
class BertShape:
    """The sizes that the graph is written from, as they stand in the checkpoint's config.json."""

    layers: int
    hidden: int
    heads: int
    epsilon: float
    max_tokens: int


@dataclass(slots=True)
class _Writer:
    weights: Mapping[str, Array]
    nodes: list[onnx.NodeProto] = field(default_factory=list)
    constants: list[onnx.TensorProto] = field(default_factory=list)

    def constant(self, value: Array, dtype: type[np.generic] = np.float32) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value, dtype), name))
        return name

    def weight(self, name: str) -> str:
        return self.constant(self.weights[name])

    def add(self, op: str, *inputs: str, output: str | None = None, **attributes: float) -> str:
        name = output or f"{op}_{len(self.nodes)}"
        node = helper.make_node(op, list(inputs), [name])
        node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
        self.nodes.append(node)
        return name

    def reshape(self, value: str, *shape: int) -> str:
        return self.add("Reshape", value, self.constant(np.array(shape), np.int64))

    def transpose(self, value: str, order: list[int]) -> str:
        name = f"Transpose_{len(self.nodes)}"
        self.nodes.append(helper.make_node("Transpose", [value], [name], perm=order))
        return name

    def linear(self, value: str, prefix: str) -> str:
        product = self.add("MatMul", value, self.constant(self.weights[f"{prefix}.weight"].T))
        return self.add("Add", product, self.weight(f"{prefix}.bias"))

    def layer_norm(self, value: str, prefix: str, epsilon: float) -> str:
        gain, bias = self.weight(f"{prefix}.weight"), self.weight(f"{prefix}.bias")
        return self.add("LayerNormalization", value, gain, bias, axis=-1, epsilon=epsilon)


def encoder_graph(weights: Mapping[str, Array], shape: BertShape) -> onnx.ModelProto:
    """Return the graph from token rows and mask to the sentence vector and the token vectors.

    Raises KeyError naming the weight that the checkpoint lacks.
    """
    writer = _Writer(weights)
    state = _embed_positions(writer, shape)
    bias = _attention_bias(writer)
    for layer in range(shape.layers):
        state = _encoder_layer(writer, state, bias, prefix=f"encoder.layer.{layer}", shape=shape)
    _outputs(writer, state)
    sized = ["batch", "tokens"]
    graph = helper.make_graph(
        writer.nodes,
        "sentence_encoder",
        inputs=[
            helper.make_tensor_value_info(ROWS_INPUT, TensorProto.FLOAT, [*sized, shape.hidden]),
            helper.make_tensor_value_info(MASK_INPUT, TensorProto.FLOAT, sized),
        ],
        outputs=[
            helper.make_tensor_value_info(SENTENCE_OUTPUT, TensorProto.FLOAT, ["batch", shape.hidden]),
            helper.make_tensor_value_info(TOKENS_OUTPUT, TensorProto.FLOAT, [*sized, shape.hidden]),
        ],
        initializer=writer.constants,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    return model


def _embed_positions(writer: _Writer, shape: BertShape) -> str:
    positions = writer.weights["embeddings.position_embeddings.weight"][: shape.max_tokens]
    segment = writer.weights["embeddings.token_type_embeddings.weight"][0]  # one sentence: always segment 0
    table = writer.constant(np.add(positions, segment))
    length = writer.add("Shape", MASK_INPUT, start=1, end=2)
    here = writer.add("Slice", table, writer.constant(np.array([0]), np.int64), length)
    return writer.layer_norm(writer.add("Add", ROWS_INPUT, here), "embeddings.LayerNorm", shape.epsilon)


def _attention_bias(writer: _Writer) -> str:
    per_key = writer.add("Unsqueeze", MASK_INPUT, writer.constant(np.array([1, 2]), np.int64))
    absent = writer.add("Sub", writer.constant(np.array(1.0)), per_key)
    return writer.add("Mul", absent, writer.constant(np.array(MASKED_SCORE)))


def _encoder_layer(writer: _Writer, state: str, bias: str, *, prefix: str, shape: BertShape) -> str:
    attended = writer.linear(
        _attention(writer, state, bias, prefix=prefix, shape=shape), f"{prefix}.attention.output.dense"
    )
    state = writer.layer_norm(writer.add("Add", state, attended), f"{prefix}.attention.output.LayerNorm", shape.epsilon)
    widened = writer.add("Gelu", writer.linear(state, f"{prefix}.intermediate.dense"))
    narrowed = writer.linear(widened, f"{prefix}.output.dense")
    return writer.layer_norm(writer.add("Add", state, narrowed), f"{prefix}.output.LayerNorm", shape.epsilon)


def _attention(writer: _Writer, state: str, bias: str, *, prefix: str, shape: BertShape) -> str:
    width = shape.hidden // shape.heads
    query, key, value = (
        writer.reshape(writer.linear(state, f"{prefix}.attention.self.{part}"), 0, 0, shape.heads, width)
        for part in ("query", "key", "value")
    )
    product = writer.add("MatMul", writer.transpose(query, [0, 2, 1, 3]), writer.transpose(key, [0, 2, 3, 1]))
    scaled = writer.add("Mul", product, writer.constant(np.array(1.0 / np.sqrt(width))))
    attention = writer.add("Softmax", writer.add("Add", scaled, bias), axis=-1)
    mixed = writer.add("MatMul", attention, writer.transpose(value, [0, 2, 1, 3]))
    return writer.reshape(writer.transpose(mixed, [0, 2, 1, 3]), 0, 0, shape.hidden)


def _outputs(writer: _Writer, state: str) -> None:
    writer.add("LpNormalization", state, output=TOKENS_OUTPUT, axis=-1, p=2)
    present = writer.add("Unsqueeze", MASK_INPUT, writer.constant(np.array([2]), np.int64))
    over_tokens = writer.constant(np.array([1]), np.int64)
    total = writer.add("ReduceSum", writer.add("Mul", state, present), over_tokens, keepdims=0)
    count = writer.add("ReduceSum", present, over_tokens, keepdims=0)
    writer.add("LpNormalization", writer.add("Div", total, count), output=SENTENCE_OUTPUT, axis=-1, p=2)

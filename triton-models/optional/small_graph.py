"""The small model's artefacts: the graph of fewer layers whose sentence vectors are shortened."""

import shutil
import tempfile
from pathlib import Path

import numpy as np
import onnx
import openvino
from onnx import helper, numpy_helper
from safetensors.numpy import load_file

from bert_graph import SENTENCE_OUTPUT, WORD_TABLE, BertShape, encoder_graph

WHOLE, SHORT = "whole_sentence", "short_sentence"


def write_artefacts(weights: Path, folder: Path, *, shape: BertShape, dimension: int) -> None:
    """Write graph, word table and tokenizer into `folder` from a verified checkpoint, in fp32."""
    tensors = load_file(weights / "model.safetensors")
    np.save(folder / "words.npy", np.ascontiguousarray(tensors.pop(WORD_TABLE), np.float32))
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "encoder.onnx"
        onnx.save(shortened(encoder_graph(tensors, shape), dimension), path)
        openvino.save_model(openvino.Core().read_model(path), folder / "encoder.xml", compress_to_fp16=False)
    for suffix in (
        "xml",
        "bin",
    ):  # the encoder takes another graph for short texts, which differs where it is quantized
        (folder / f"encoder_short.{suffix}").hardlink_to(folder / f"encoder.{suffix}")
    shutil.copyfile(weights / "tokenizer.json", folder / "tokenizer.json")


def shortened(model: onnx.ModelProto, dimension: int) -> onnx.ModelProto:
    """Return the graph with sentence vectors of their first `dimension` numbers, of unit length again."""
    graph = model.graph
    (last,) = (node for node in graph.node if SENTENCE_OUTPUT in node.output)
    last.output[0] = WHOLE
    bounds = {"first": 0, "end": dimension, "axis": 1}
    graph.initializer.extend(
        numpy_helper.from_array(np.array([value], np.int64), name) for name, value in bounds.items()
    )
    graph.node.append(helper.make_node("Slice", [WHOLE, *bounds], [SHORT]))
    normal = helper.make_node("LpNormalization", [SHORT], [SENTENCE_OUTPUT])
    normal.attribute.extend(helper.make_attribute(name, value) for name, value in (("axis", -1), ("p", 2)))
    graph.node.append(normal)
    (output,) = (each for each in graph.output if each.name == SENTENCE_OUTPUT)
    output.type.tensor_type.shape.dim[-1].dim_value = dimension
    return model

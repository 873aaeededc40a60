"""Everything that a model with the encoder loads: graph, word table, tokenizer."""

import logging
import shutil
import tempfile
from pathlib import Path

import nncf
import numpy as np
import numpy.typing as npt
import onnx
import openvino
from safetensors.numpy import load_file
from tokenizers import Tokenizer

from bert_graph import MASK_INPUT, ROWS_INPUT, WORD_TABLE, BertShape, encoder_graph
from variants import Variant

log = logging.getLogger(__name__)

SMOOTH_QUANT_ALPHA = 0.7  # nncf's 0.95 leaves outliers at a cosine of 0.95 to fp32; of 0.5 to 0.95 this was best


def write_encoder(weights: Path, target: Path, *, shape: BertShape, variant: Variant, calibration: list[str]) -> None:
    """Write the long and the short graph, the word table and the tokenizer into `target` from a verified checkpoint."""
    tensors = load_file(weights / "model.safetensors")
    words = np.ascontiguousarray(tensors.pop(WORD_TABLE), np.float32)
    log.info("graph: %d layers of width %d", shape.layers, shape.hidden)
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "encoder.onnx"
        onnx.save(encoder_graph(tensors, shape), path)
        model = openvino.Core().read_model(path)
        compress = variant is not Variant.FP32  # what is computed in bf16 loses nothing by being stored in fp16
        openvino.save_model(model, target / "encoder_short.xml", compress_to_fp16=compress)
        if variant is Variant.INT8:
            log.info("quantization: %d calibration texts", len(calibration))
            model = _quantized(model, _samples(calibration, weights / "tokenizer.json", words, shape.max_tokens))
        openvino.save_model(model, target / "encoder.xml", compress_to_fp16=compress)
    np.save(target / "words.npy", words)
    shutil.copyfile(weights / "tokenizer.json", target / "tokenizer.json")


def _samples(
    texts: list[str], tokenizer_file: Path, words: npt.NDArray[np.float32], max_tokens: int
) -> list[dict[str, npt.NDArray[np.float32]]]:
    tokenizer = Tokenizer.from_file(str(tokenizer_file))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    return [
        {ROWS_INPUT: words[encoding.ids][np.newaxis], MASK_INPUT: np.ones((1, len(encoding.ids)), np.float32)}
        for encoding in tokenizer.encode_batch(texts)
    ]


def _quantized(model: openvino.Model, samples: list[dict[str, npt.NDArray[np.float32]]]) -> openvino.Model:
    nncf.set_log_level(logging.ERROR)
    return nncf.quantize(
        model,
        nncf.Dataset(samples),
        model_type=nncf.ModelType.TRANSFORMER,
        preset=nncf.QuantizationPreset.MIXED,
        subset_size=len(samples),
        advanced_parameters=nncf.AdvancedQuantizationParameters(
            smooth_quant_alphas=nncf.AdvancedSmoothQuantParameters(matmul=SMOOTH_QUANT_ALPHA)
        ),
    )

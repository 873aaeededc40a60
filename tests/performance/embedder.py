"""The embedder's own speed and exactness, beside ONNX Runtime's dynamic int8 on the same chunks in the same run."""

import asyncio
import os
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from headwater.clients.triton.embedder import TritonEmbedder
from headwater.settings import TritonSettings
from schemas.events.base import Lane
from tests.performance.bench import Bench
from tests.performance.figures import Figure
from tests.support.triton_models import HOME, triton_module

Vectors: TypeAlias = NDArray[np.float32]

CHUNK_TOKENS = 240
QUESTIONS = 50
ONNX_BATCH = 8  # of 4, 8 and 16 the quickest for ONNX Runtime


UNITS = {"chunks_per_second": "chunks/s", "ms": "ms", "ratio": "x"}  # by the end of a name


def measure_embedder_figures(bench: Bench) -> list[Figure]:
    """Return the same as figures."""
    measured = asyncio.run(measure_embedder(bench.settings.triton))
    return [
        Figure(name=name, value=value, unit=next((unit for end, unit in UNITS.items() if name.endswith(end)), ""))
        for name, value in measured.items()
        if not isinstance(value, str)
    ]


async def measure_embedder(settings: TritonSettings, *, chunks: int = 96, rounds: int = 3) -> dict[str, float | str]:
    """Return chunks a second of both (best of `rounds`, taken in turn), their ratio, query latency and cosines to fp32.

    Triton is measured as the pipeline uses it: over gRPC, tokenization included, in calls of the client's own size.
    ONNX Runtime runs in this process, tokenization included.
    """
    texts = chunk_texts(chunks)
    with tempfile.TemporaryDirectory() as folder:
        exact, onnx_int8 = await asyncio.to_thread(onnx_encoders, Path(folder))
        async with TritonEmbedder.open(settings) as embedder:
            vectors = await embedder.embed(texts, lane=Lane.BACKFILL)
            triton_s, onnx_s = [], []
            for _ in range(rounds):
                started = time.perf_counter()
                await embedder.embed(texts, lane=Lane.BACKFILL)
                triton_s.append(time.perf_counter() - started)
                started = time.perf_counter()
                baseline = await asyncio.to_thread(onnx_int8, texts)
                onnx_s.append(time.perf_counter() - started)
            latencies = await _latencies(embedder)
            variant = embedder.model.variant
        reference = await asyncio.to_thread(exact, texts)
    cosines, baseline_cosines = (vectors * reference).sum(axis=1), (baseline * reference).sum(axis=1)
    return {
        "variant": variant,
        "chunks_per_second": chunks / min(triton_s),
        "onnx_int8_chunks_per_second": chunks / min(onnx_s),
        "ratio": min(onnx_s) / min(triton_s),
        "query_p50_ms": float(np.quantile(latencies, 0.5)) * 1e3,
        "query_p95_ms": float(np.quantile(latencies, 0.95)) * 1e3,
        "cosine_mean": float(cosines.mean()),
        "cosine_worst": float(cosines.min()),
        "onnx_int8_cosine_mean": float(baseline_cosines.mean()),
        "onnx_int8_cosine_worst": float(baseline_cosines.min()),
    }


def chunk_texts(count: int) -> list[str]:
    """Return texts of the project's own with about CHUNK_TOKENS tokens each, all different."""
    tokenizer = _tokenizer()
    texts = triton_module("calibration").calibration_texts(HOME / "export" / "calibration.txt", 7 * count)
    # Each seventh joins eight passages: long enough to be cut.
    encodings = tokenizer.encode_batch(texts[6::7])
    return [
        text[: encoding.offsets[min(CHUNK_TOKENS, len(encoding.ids)) - 2][1]]
        for text, encoding in zip(texts[6::7], encodings, strict=True)
    ]


async def _latencies(embedder: TritonEmbedder) -> list[float]:
    taken = []
    for number in range(QUESTIONS):
        started = time.perf_counter()
        await embedder.embed([f"Who approves travel to customer number {number}?"], lane=Lane.LIVE)
        taken.append(time.perf_counter() - started)
    return taken


def onnx_encoders(folder: Path) -> tuple[Callable[[Sequence[str]], Vectors], Callable[[Sequence[str]], Vectors]]:
    """Return ONNX Runtime's fp32 and dynamic int8 encoders of the same checkpoint."""
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from safetensors.numpy import load_file

    graph, weights = triton_module("bert_graph"), triton_module("weights")
    manifest = weights.Manifest.load(HOME / "manifest.yaml")
    checkpoint = weights.verified_folder(manifest.weights[manifest.models["text_embedding"]["weights"]])
    tensors = load_file(checkpoint / "model.safetensors")
    words = tensors.pop(graph.WORD_TABLE)
    shape = weights.shape_of(checkpoint, max_tokens=manifest.models["text_embedding"]["max_tokens"])
    onnx.save(graph.encoder_graph(tensors, shape), folder / "fp32.onnx")
    quantize_dynamic(folder / "fp32.onnx", folder / "int8.onnx", weight_type=QuantType.QInt8, per_channel=True)
    return _onnx_encoder(folder / "fp32.onnx", words), _onnx_encoder(folder / "int8.onnx", words)


def _onnx_encoder(path: Path, words: Vectors) -> Callable[[Sequence[str]], Vectors]:
    import onnxruntime

    graph, tokenizer = triton_module("bert_graph"), _tokenizer()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    tokenizer.enable_padding()

    def encode(texts: Sequence[str]) -> Vectors:
        """Shortest first, so that a batch pads little: as a careful script would."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        vectors = np.empty((len(texts), words.shape[1]), np.float32)
        for start in range(0, len(order), ONNX_BATCH):
            batch = order[start : start + ONNX_BATCH]
            encodings = tokenizer.encode_batch([texts[index] for index in batch])
            rows = words[np.array([encoding.ids for encoding in encodings])]
            mask = np.array([encoding.attention_mask for encoding in encodings], np.float32)
            inputs = {graph.ROWS_INPUT: rows, graph.MASK_INPUT: mask}
            (vectors[batch],) = session.run([graph.SENTENCE_OUTPUT], inputs)
        return vectors

    return encode


def _tokenizer() -> Any:
    from tokenizers import Tokenizer

    weights = triton_module("weights")
    (entry,) = weights.Manifest.load(HOME / "manifest.yaml").weights.values()
    tokenizer = Tokenizer.from_file(str(weights.verified_folder(entry) / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer

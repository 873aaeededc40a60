"""The sentence encoder: texts to vectors on the CPU, the same vector for the same text whatever else is in the batch.

Each text runs alone, padded to the shortest of a few fixed lengths that holds it, through a graph compiled for exactly
that shape. So nothing that another text does can change a bit of its vector, no dynamic shape makes memory grow, and
no padding is spent on the longest text of a batch. On the CPUs measured a batch of one is as fast as a larger one.
"""

import os
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import openvino
from tokenizers import Encoding, Tokenizer

Vectors = npt.NDArray[np.float32]

# Steps of 32 waste 16 tokens a text on average; 16 is for questions. Each length costs about 40 MB a stream.
LENGTHS: Final = (16, 32, 64, 96, 128, 160, 192, 224, 256)
MAX_TOKENS: Final = LENGTHS[-1]
FEW_LENGTHS: Final = (32, 64, 128, MAX_TOKENS)  # for scores, which need no bitwise equality with the index: less memory
# Up to here a graph that is never quantized: few tokens average out little of int8's error (worst cosine to fp32 0.95
# at 16 tokens), OpenVINO 2026.4 computes a wrong int8 result at a length of exactly 32, and so little work is saved.
SHORT_LENGTH: Final = 32
SENTENCE_OUTPUT: Final = "sentence"
TOKENS_OUTPUT: Final = "tokens"

# Beside the graph: what OpenVINO compiled of it for this CPU; if that is missing, or another CPU's, it compiles anew.
COMPILED: Final = "compiled"

# What OpenVINO may compute in. int8 names the quantized graph, whose other operations run in bf16.
PRECISION_HINTS: Final = {"int8": "bf16", "bf16": "bf16", "fp32": "f32"}


class TextTooLongError(ValueError):
    """A text has more tokens than the model takes. Truncated, it would be found for half of what it says."""


class SentenceEncoder:
    """Tokenizer and graph together. Thread-safe: calls share `streams` workers."""

    def __init__(
        self,
        folder: Path,
        *,
        variant: str,
        streams: int,
        threads: int,
        output: str = SENTENCE_OUTPUT,
        lengths: Sequence[int] = LENGTHS,
    ) -> None:
        """Compile every length once. `output` chooses sentence vectors or token vectors.

        Fewer `lengths`, the longest of which must be MAX_TOKENS, take less memory and more time; vectors of other
        lengths differ in their last bits.

        Raises ValueError for an unknown variant, or one that this CPU would silently compute in another precision.
        """
        core = openvino.Core()
        if variant not in PRECISION_HINTS:
            raise ValueError(f"parameter variant is {variant!r}: use one of {', '.join(PRECISION_HINTS)}")
        if PRECISION_HINTS[variant] == "bf16" and "BF16" not in core.get_property("CPU", "OPTIMIZATION_CAPABILITIES"):
            raise ValueError(
                f"the repository was built as {variant}, but this CPU has no bf16: build it again on this machine"
            )
        core.set_property({"CACHE_DIR": str(folder / COMPILED)})
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._words: npt.NDArray[np.float32] = np.load(folder / "words.npy", mmap_mode="r")
        options = {
            "INFERENCE_PRECISION_HINT": PRECISION_HINTS[variant],
            "INFERENCE_NUM_THREADS": threads,
            "NUM_STREAMS": streams,
            # A pinned thread waits for its core while another one idles: here every core is shared with all stages.
            "ENABLE_CPU_PINNING": False,
        }
        short = _with_only(core.read_model(folder / "encoder_short.xml"), output)
        long = _with_only(core.read_model(folder / "encoder.xml"), output)
        self._compiled = {
            length: _compile(core, short if length <= SHORT_LENGTH else long, length, options) for length in lengths
        }
        self._requests = threading.local()
        # Alone, before any worker: OpenVINO's bindings finish their own set-up in the first call, and two first calls
        # at once can wait for each other for ever (one holds the set-up lock, the other the interpreter).
        for length in lengths:
            self._run([0] * length)
        self._workers = ThreadPoolExecutor(max_workers=streams, thread_name_prefix="encoder")

    def encode(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokenize, without padding and without truncation.

        Raises TextTooLongError naming the position of the first text with more than MAX_TOKENS tokens.
        """
        encodings: list[Encoding] = self._tokenizer.encode_batch(list(texts))
        for position, encoding in enumerate(encodings):
            if len(encoding.ids) > MAX_TOKENS:
                raise TextTooLongError(
                    f"text {position} is too long: {len(encoding.ids)} tokens, the model takes {MAX_TOKENS}; "
                    "cut it into chunks"
                )
        return encodings

    def encode_start(self, texts: Sequence[str]) -> list[Encoding]:
        """Tokenize and keep the first MAX_TOKENS tokens: for scores, which a passage's start may stand for."""
        encodings: list[Encoding] = self._tokenizer.encode_batch(list(texts))
        for encoding in encodings:
            encoding.truncate(MAX_TOKENS)
        return encodings

    def vectors(self, encodings: Sequence[Encoding]) -> list[Vectors]:
        """Run each encoding; in the same order, float32 [hidden], or [tokens, hidden] without the padding."""
        # Longest first, so that the workers end together.
        order = sorted(range(len(encodings)), key=lambda index: -len(encodings[index].ids))
        results: list[Vectors | None] = [None] * len(encodings)

        def run(index: int) -> None:
            results[index] = self._run(encodings[index].ids)

        for _ in self._workers.map(run, order):
            pass
        return [result for result in results if result is not None]

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Return one unit vector per text: float32 [texts, hidden]. Raises TextTooLongError."""
        if not texts:
            return np.empty((0, self._words.shape[1]), np.float32)
        return np.stack(self.vectors(self.encode(texts)))

    def _run(self, ids: Sequence[int]) -> Vectors:
        length = next(size for size in self._compiled if size >= len(ids))
        rows = np.zeros((1, length, self._words.shape[1]), np.float32)
        rows[0, : len(ids)] = self._words[ids]
        mask = np.zeros((1, length), np.float32)
        mask[0, : len(ids)] = 1.0
        request = self._request(length)
        request.infer([rows, mask], share_inputs=True)
        output = request.get_output_tensor(0).data[0]
        return np.array(output[: len(ids)] if output.ndim > 1 else output, np.float32)

    def _request(self, length: int) -> Any:
        """Return this worker's own request for the length: requests must not be shared between threads."""
        held: dict[int, Any] | None = getattr(self._requests, "by_length", None)
        if held is None:
            held = self._requests.by_length = {}
        if length not in held:
            held[length] = self._compiled[length].create_infer_request()
        return held[length]


def available_threads() -> int:
    """Return how many CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def _with_only(model: Any, output: str) -> Any:
    return openvino.Model([model.output(output)], model.get_parameters(), output)


def _compile(core: openvino.Core, graph: Any, length: int, options: dict[str, Any]) -> Any:
    fixed = graph.clone()
    fixed.reshape({port: _at_length(port.partial_shape, length) for port in fixed.inputs})
    return core.compile_model(fixed, "CPU", options)


def _at_length(shape: Any, length: int) -> Any:
    """Fix the batch (dimension 0) and the number of tokens (dimension 1); the width stays."""
    fixed = openvino.PartialShape(shape)
    fixed[0], fixed[1] = 1, length
    return fixed

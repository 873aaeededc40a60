"""Scores of passages against a query."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from encoder import FEW_LENGTHS, TOKENS_OUTPUT, SentenceEncoder, available_threads
from late_interaction import TokenizedText, relevance
from tensors import invalid, texts_of


class TritonPythonModel:
    """The name that Triton's python backend looks for."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the artefacts that lie beside this file."""
        threads = available_threads()
        self._encoder = SentenceEncoder(
            Path(args["model_repository"]) / args["model_version"],
            variant=json.loads(args["model_config"])["parameters"]["variant"]["string_value"],
            streams=threads,
            threads=threads,
            output=TOKENS_OUTPUT,
            lengths=FEW_LENGTHS,
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request by itself."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        try:
            texts = texts_of(request, "QUERY") + texts_of(request, "PASSAGES")
        except UnicodeDecodeError as error:
            return invalid(error)
        encodings = self._encoder.encode_start(texts)
        vectors = self._encoder.vectors(encodings)
        query, *passages = (TokenizedText(e.ids, v) for e, v in zip(encodings, vectors, strict=True))
        scores = np.array([relevance(query, passage) for passage in passages], np.float32)
        return pb_utils.InferenceResponse([pb_utils.Tensor("SCORES", scores)])

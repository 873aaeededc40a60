"""What `text_embedding` and `text_embedding_live` share: requests in, vectors or errors out."""

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from encoder import SentenceEncoder, TextTooLongError, available_threads
from tensors import invalid, texts_of


class EmbeddingModel:
    """One Triton instance, a process of its own. Its configuration's parameters choose variant, streams, niceness."""

    def initialize(self, args: dict[str, str]) -> None:
        """Load the artefacts that lie beside this file's model.py."""
        parameters = json.loads(args["model_config"])["parameters"]
        os.nice(int(parameters["niceness"]["string_value"]))  # before the encoder's threads begin, which inherit it
        threads = available_threads()
        # One stream spends all threads on one text (low latency); a stream per thread is the higher throughput.
        streams = 1 if parameters["streams"]["string_value"] == "one" else threads
        self._encoder = SentenceEncoder(
            Path(args["model_repository"]) / args["model_version"],
            variant=parameters["variant"]["string_value"],
            streams=streams,
            threads=threads,
        )

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request of the batch; a bad one gets INVALID_ARG and does not touch the others."""
        encodings: list[Any] = []
        ends: list[int | Any] = []
        for request in requests:
            try:
                encodings += self._encoder.encode(texts_of(request, "TEXT"))
                ends.append(len(encodings))
            except (TextTooLongError, UnicodeDecodeError) as error:
                ends.append(invalid(error))
        vectors = self._encoder.vectors(encodings)
        responses, start = [], 0
        for end in ends:
            if not isinstance(end, int):
                responses.append(end)
                continue
            tensor = pb_utils.Tensor("EMBEDDING", np.stack(vectors[start:end]))
            responses.append(pb_utils.InferenceResponse([tensor]))
            start = end
        return responses

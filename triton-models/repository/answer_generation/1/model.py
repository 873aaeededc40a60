"""Extractive answers: sentences of the passages, word for word, or a refusal."""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils

from extraction import NOTHING, Extract, extract, sentences_of
from tensors import invalid, string_tensor, texts_of

SCORER = "passage_reranking"


class TritonPythonModel:
    """The name that Triton's python backend looks for."""

    def execute(self, requests: list[Any]) -> list[Any]:
        """Answer each request by itself."""
        return [self._respond(request) for request in requests]

    def _respond(self, request: Any) -> Any:
        try:
            (question,) = texts_of(request, "QUESTION")
            sentences = sentences_of(texts_of(request, "PASSAGES"))
        except UnicodeDecodeError as error:
            return invalid(error)
        if not sentences:
            return _answer(NOTHING)
        # The reranker's own instance scores the sentences: no second copy of the encoder in memory.
        scored = pb_utils.InferenceRequest(
            model_name=SCORER,
            requested_output_names=["SCORES"],
            inputs=[
                string_tensor("QUERY", [question]),
                string_tensor("PASSAGES", [sentence.text for sentence in sentences]),
            ],
        ).exec()
        if scored.has_error():
            return pb_utils.InferenceResponse(error=scored.error())
        scores = pb_utils.get_output_tensor_by_name(scored, "SCORES").as_numpy()
        return _answer(extract(sentences, scores.tolist()))


def _answer(found: Extract) -> Any:
    return pb_utils.InferenceResponse(
        [
            string_tensor("ANSWER", [found.answer]),
            pb_utils.Tensor("PASSAGE_INDEX", np.array(found.passages, np.int32)),
            pb_utils.Tensor("ANSWERABLE", np.array([found.answerable], np.bool_)),
        ]
    )

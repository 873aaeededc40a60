"""Texts in and out of Triton's tensors."""

from typing import Any

import numpy as np
import triton_python_backend_utils as pb_utils


def texts_of(request: Any, name: str) -> list[str]:
    """Return a string tensor's texts in order. Raises UnicodeDecodeError for bytes that are not UTF-8."""
    tensor = pb_utils.get_input_tensor_by_name(request, name).as_numpy()
    return [value.decode() for value in tensor.reshape(-1)]


def string_tensor(name: str, texts: list[str]) -> Any:
    """Return a string tensor of one dimension."""
    return pb_utils.Tensor(name, np.array([text.encode() for text in texts], dtype=np.object_))


def invalid(error: ValueError) -> Any:
    """Return the response that tells the client that repeating this request cannot help."""
    return pb_utils.InferenceResponse(error=pb_utils.TritonError(str(error), pb_utils.TritonError.INVALID_ARG))

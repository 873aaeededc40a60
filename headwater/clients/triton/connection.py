"""One gRPC connection to Triton: every call has a timeout, every vendor error becomes one of ours."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tritonclient.grpc import InferInput
from tritonclient.grpc.aio import InferenceServerClient
from tritonclient.utils import InferenceServerException

from headwater.errors import FatalError, HeadwaterError, PoisonError, RetryableError
from headwater.settings import TritonSettings
from headwater.telemetry.tracing import span

# The request itself is at fault: the same one fails on any server. All else that is not below may pass.
POISON = {"INVALID_ARGUMENT", "OUT_OF_RANGE"}
FATAL = {"NOT_FOUND", "UNAUTHENTICATED", "PERMISSION_DENIED", "UNIMPLEMENTED"}


class ModelMissingError(FatalError):
    """The server has no model of this name."""


class TritonConnection:
    """Calls models by name. Raises only RetryableError, PoisonError and FatalError."""

    def __init__(self, client: InferenceServerClient, *, settings: TritonSettings) -> None:
        self._client, self._settings = client, settings

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: TritonSettings) -> AsyncIterator["TritonConnection"]:
        """Connect lazily: nothing is called yet."""
        client = InferenceServerClient(settings.url)
        try:
            yield cls(client, settings=settings)
        finally:
            await client.close()

    async def parameters(self, model: str) -> Mapping[str, str]:
        """Return the parameters of a model's configuration, once it is ready.

        Raises RetryableError while it loads, FatalError when the server has no such model.
        """
        reply = await self._call(self._client.get_model_config(model, as_json=True), model)
        if not await self._call(self._client.is_model_ready(model), model):
            raise RetryableError(f"model {model} on {self._settings.url} (triton.url) is not ready")
        parameters = reply["config"].get("parameters", {})
        return {name: str(value["string_value"]) for name, value in parameters.items()}

    async def infer(self, model: str, inputs: Mapping[str, NDArray[np.object_]], output: str) -> NDArray[Any]:
        """Call a model with string tensors and return one of its outputs."""
        (result,) = await self.infer_many(model, inputs, (output,))
        return result

    async def infer_many(
        self, model: str, inputs: Mapping[str, NDArray[np.object_]], outputs: Sequence[str]
    ) -> tuple[NDArray[Any], ...]:
        """Call a model with string tensors and return several of its outputs, in the order asked for."""
        tensors = [_string_input(name, value) for name, value in inputs.items()]
        result = await self._call(self._client.infer(model, tensors), model)
        arrays = tuple(result.as_numpy(name) for name in outputs)
        if any(array is None for array in arrays):
            raise FatalError(f"model {model} does not return {', '.join(outputs)}: build the model repository again")
        return arrays

    async def _call(self, call: Any, model: str) -> Any:
        where = f"model {model} on {self._settings.url} (triton.url)"
        try:
            with span("triton", dependency="triton", model=model):
                async with asyncio.timeout(self._settings.request_timeout_s):
                    return await call
        except TimeoutError:
            raise RetryableError(
                f"{where} did not answer in {self._settings.request_timeout_s:g} s (triton.request_timeout_s)"
            ) from None
        except InferenceServerException as error:
            raise _translated(error, where) from error


def string_column(texts: Sequence[str]) -> NDArray[np.object_]:
    """Return texts as a tensor of one column, [texts, 1]: what a batching model takes."""
    return strings(texts).reshape(-1, 1)


def strings(texts: Sequence[str]) -> NDArray[np.object_]:
    """Return texts as a string tensor [texts]. Raises PoisonError for a text that UTF-8 cannot hold."""
    try:
        return np.array([text.encode() for text in texts], dtype=np.object_)
    except UnicodeEncodeError as error:
        raise PoisonError("text holds a lone surrogate, which UTF-8 cannot carry: clean it where it is read") from error


def _string_input(name: str, value: NDArray[np.object_]) -> InferInput:
    tensor = InferInput(name, list(value.shape), "BYTES")
    tensor.set_data_from_numpy(value)
    return tensor


def _translated(error: InferenceServerException, where: str) -> HeadwaterError:
    status = str(error.status() or "").removeprefix("StatusCode.")
    message = f"{where}: {error.message()}"
    # The server reports a missing model as UNAVAILABLE in some calls, as gRPC does an absent server: the text tells.
    if status == "NOT_FOUND" or "unknown model" in message:
        return ModelMissingError(f"{message}; put it into the model repository and start Triton with it")
    if status in FATAL:
        return FatalError(f"{message}; build the model repository and start Triton with it")
    if status in POISON:
        return PoisonError(message)
    return RetryableError(message)

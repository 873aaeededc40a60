"""The embedder's choice of a model, on a model server in memory."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tritonclient.utils import InferenceServerException

from headwater.clients.triton import connection
from headwater.clients.triton.connection import ModelMissingError, TritonConnection
from headwater.clients.triton.embedder import BUILT_IN, TritonEmbedder, describe
from headwater.errors import FatalError
from headwater.ports.models import EmbeddingNeed
from headwater.settings import TritonSettings
from schemas.events.base import Lane

SMALL = EmbeddingNeed(model="small", dimension=8, max_tokens=128)
PARAMETERS = {"revision": "r1", "variant": "fp32", "dimension": "8", "max_tokens": "128"}
BUILT_IN_PARAMETERS = PARAMETERS | {"dimension": "384", "max_tokens": "256"}


@dataclass
class FakeTriton:
    """Serves models by name; a vector is as long as the parameters say, unless `returned` says otherwise."""

    models: dict[str, dict[str, str]]
    returned: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    called: list[str] = field(default_factory=list)

    async def parameters(self, model: str) -> Mapping[str, str]:
        if model not in self.models:
            raise ModelMissingError(f"model {model}: unknown model")
        return self.models[model]

    async def infer(self, model: str, inputs: Mapping[str, NDArray[np.object_]], _output: str) -> NDArray[Any]:
        self.called.append(model)
        dimension = int(self.models[model]["dimension"])
        vector = self.returned.get(model, np.eye(1, dimension, dtype=np.float32)[0])
        return np.tile(vector, (len(inputs["TEXT"]), 1))


@pytest.fixture
def triton(monkeypatch: pytest.MonkeyPatch) -> FakeTriton:
    served = FakeTriton({"small": PARAMETERS, "small_live": PARAMETERS, "text_embedding": BUILT_IN_PARAMETERS})

    @asynccontextmanager
    async def open_connection(_settings: TritonSettings) -> AsyncIterator[FakeTriton]:
        yield served

    monkeypatch.setattr(TritonConnection, "open", open_connection)
    return served


async def called_by_lane(triton: FakeTriton, need: EmbeddingNeed) -> list[str]:
    async with TritonEmbedder.open(TritonSettings(), need) as embedder:
        for lane in (Lane.LIVE, Lane.BACKFILL):
            assert (await embedder.embed(["text"], lane=lane)).shape == (1, need.dimension)
        assert embedder.model.key == f"{need.model}@r1/fp32"
    return triton.called


async def test_questions_have_an_instance_of_their_own_where_there_is_one(triton: FakeTriton) -> None:
    assert await called_by_lane(triton, SMALL) == ["small_live", "small"]


async def test_another_model_may_have_one_instance_for_both_lanes(triton: FakeTriton) -> None:
    del triton.models["small_live"]
    assert await called_by_lane(triton, SMALL) == ["small", "small"]


async def test_the_built_in_model_has_two_and_its_own_name_in_caches(triton: FakeTriton) -> None:
    with pytest.raises(FatalError, match="text_embedding_live"):
        await called_by_lane(triton, BUILT_IN)
    triton.models["text_embedding_live"] = BUILT_IN_PARAMETERS
    assert await called_by_lane(triton, BUILT_IN) == ["text_embedding_live", "text_embedding"]


@pytest.mark.parametrize(
    ("need", "served", "said"),
    [
        (replace(SMALL, model="absent"), PARAMETERS, "model absent: unknown model"),
        (replace(SMALL, dimension=9), PARAMETERS, "small embeds into 8 dimensions, .* created for 9"),
        (replace(SMALL, max_tokens=129), PARAMETERS, "small takes 128 tokens, .* chunks of 129"),
        (SMALL, PARAMETERS | {"revision": "r2"}, "two models, small@r1/fp32 and small@r2/fp32"),
        (SMALL, {"dimension": "8"}, "lacks the parameter 'revision': write .* into its config.pbtxt"),
    ],
)
async def test_what_is_not_what_the_generation_needs_is_refused(
    triton: FakeTriton, need: EmbeddingNeed, served: dict[str, str], said: str
) -> None:
    triton.models["small"] = served
    with pytest.raises(FatalError, match=said):
        async with TritonEmbedder.open(TritonSettings(), need):
            pass


async def test_a_model_is_described_by_what_it_returns(triton: FakeTriton) -> None:
    found = await describe(TritonSettings(), "small")
    assert (found.name, found.dimension, found.max_tokens, triton.called) == ("small", 8, 128, ["small"])
    assert (await describe(TritonSettings(), "text_embedding")).name == BUILT_IN.model
    assert (await describe(TritonSettings(), BUILT_IN.model)).name == BUILT_IN.model
    triton.returned["small"] = np.ones(9, np.float32)
    with pytest.raises(FatalError, match=r"returned the shape \(1, 9\), not \(1, 8\)"):
        await describe(TritonSettings(), "small")
    triton.returned["small"] = np.full(8, 1.0, np.float32)
    with pytest.raises(FatalError, match=r"vectors of length 2\.828"):
        await describe(TritonSettings(), "small")


@pytest.mark.parametrize(
    ("status", "message", "kind"),
    [
        ("StatusCode.NOT_FOUND", "no such thing", ModelMissingError),
        ("StatusCode.UNAVAILABLE", "Request for unknown model: 'x' is not found", ModelMissingError),
        ("StatusCode.PERMISSION_DENIED", "no", FatalError),
    ],
)
def test_only_a_missing_model_is_called_missing(status: str, message: str, kind: type[Exception]) -> None:
    error = connection._translated(InferenceServerException(message, status=status), "model x")
    assert type(error) is kind

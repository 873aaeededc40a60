"""A generation with another embedding model: what is asked of the model server, recorded, made and refused."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from headwater.clients.triton.embedding_model import NAME, recorded_name, served_name
from headwater.errors import FatalError, RetryableError
from headwater.generations.lifecycle import Lifecycle
from headwater.generations.models import chunks_need_of, need_of, settings_of, tokenizer_file_of
from headwater.generations.policy import PolicyError
from headwater.generations.records import first_generation
from headwater.ports.models import EmbeddingNeed
from headwater.settings import Settings, TritonSettings
from schemas.ids import GenerationName
from tests.unit.generations.world import G1, G2, World, model

G3 = GenerationName("g3")
SMALL = "text_embedding_small"
POLICY = "structure-1,max_tokens=128,max_context_tokens=48,min_tokens=32"


class NoStores:
    """Stands for the migrator."""

    async def apply(self) -> None:
        """Nothing to make."""


@pytest.fixture(autouse=True)
def stores(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Note what collections and topics would be made with, in the order of things."""

    @asynccontextmanager
    async def open_migrator(settings: Settings) -> AsyncIterator[NoStores]:
        world.done.append(f"stores of {settings.generation} with {settings.milvus.dimension}")
        yield NoStores()

    async def create_topics(_settings: Settings, *, generation: GenerationName) -> None:
        world.done.append(f"topics of {generation}")

    monkeypatch.setattr("headwater.generations.lifecycle.open_migrator", open_migrator)
    monkeypatch.setattr("headwater.generations.lifecycle.create_topics", create_topics)


@pytest.fixture(autouse=True)
def served(world: World) -> None:
    world.served = {NAME: model(), SMALL: model(SMALL, dimension=192, max_tokens=128)}


async def test_the_collection_is_made_for_the_vectors_that_the_model_returns(
    world: World, lifecycle: Lifecycle
) -> None:
    known = await lifecycle.create(G3, policy=POLICY, model=SMALL)
    assert (known.record.model, known.record.dimension, known.record.policy) == (SMALL, 192, POLICY)
    assert world.done == ["topics of g3", "stores of g3 with 192", "put g3 building 0", "start g3"]
    first = (await world.read()).get(G1).record
    assert (first.model, first.dimension) == (NAME, 384)


async def test_a_model_that_is_not_named_is_that_of_the_generation_that_serves(
    world: World, lifecycle: Lifecycle
) -> None:
    await lifecycle.create(G3, policy=POLICY, model=SMALL)
    await lifecycle.switch(G3, patience_s=1)
    known = await lifecycle.create(GenerationName("g4"), policy=POLICY)
    assert (known.record.model, known.record.dimension) == (SMALL, 192)


@pytest.mark.parametrize(
    ("name", "policy", "error", "said"),
    [
        ("text_embedding_large", POLICY, FatalError, "model text_embedding_large .*unknown model"),
        (SMALL, "structure-1", PolicyError, "max_tokens is at most 128: write max_tokens=128 or less"),
        ("wide", POLICY, FatalError, "--embedding-model wide: its vectors have 2048 numbers"),
    ],
)
async def test_what_cannot_be_is_refused_before_anything_is_made(
    world: World, lifecycle: Lifecycle, name: str, policy: str, error: type[FatalError], said: str
) -> None:
    assert world.served is not None
    world.served["wide"] = model("wide", dimension=2_048)
    with pytest.raises(error, match=said):
        await lifecycle.create(G3, policy=policy, model=name)
    assert world.done == []


@pytest.mark.parametrize(
    ("now_served", "said"),
    [
        ({}, "unknown model"),
        ({SMALL: model(SMALL, dimension=384)}, "into 384 dimensions, this generation was created for 192"),
        ({SMALL: model(SMALL, dimension=192, max_tokens=64)}, "takes 64 tokens, .* cuts chunks of 128"),
    ],
)
async def test_a_switch_to_a_model_that_is_no_longer_served_is_refused(
    world: World, lifecycle: Lifecycle, now_served: dict[str, object], said: str
) -> None:
    await lifecycle.create(G3, policy=POLICY, model=SMALL)
    world.done.clear()
    world.served = {NAME: model(), **now_served}  # type: ignore[dict-item]  # parametrized by models
    with pytest.raises(FatalError, match=said):
        await lifecycle.switch(G3, patience_s=1)
    assert world.done == []
    assert (await world.read()).serving == G1


async def test_a_model_server_that_is_away_stops_a_switch_but_nobody_from_going_back(
    world: World, lifecycle: Lifecycle
) -> None:
    await lifecycle.create(G3, policy=POLICY, model=SMALL)
    await lifecycle.switch(G3, patience_s=1)
    world.served = None
    with pytest.raises(RetryableError):
        await lifecycle.switch(G2, patience_s=1)
    assert (await lifecycle.roll_back(patience_s=1)).record.name == G1


async def test_going_back_to_a_model_that_is_gone_is_refused(world: World, lifecycle: Lifecycle) -> None:
    await lifecycle.create(G3, policy=POLICY, model=SMALL)
    await lifecycle.switch(G3, patience_s=1)
    world.served = {SMALL: model(SMALL, dimension=192, max_tokens=128)}
    with pytest.raises(FatalError, match=f"model {NAME}"):
        await lifecycle.roll_back(patience_s=1)


async def test_what_questions_and_chunks_need_is_in_the_record(lifecycle: Lifecycle) -> None:
    record = (await lifecycle.create(G3, policy=POLICY, model=SMALL)).record
    assert need_of(record) == EmbeddingNeed(model=SMALL, dimension=192, max_tokens=0)
    assert chunks_need_of(record) == EmbeddingNeed(model=SMALL, dimension=192, max_tokens=128)
    own = settings_of(record, Settings())
    assert (own.generation, own.milvus.dimension, Settings().milvus.dimension) == (G3, 192, 384)


async def test_chunks_are_measured_with_the_models_own_tokenizer(lifecycle: Lifecycle) -> None:
    record = (await lifecycle.create(G3, policy=POLICY, model=SMALL)).record
    settings = TritonSettings(tokenizer_file=Path("own.json"), tokenizer_pattern="/models/{model}/1/tokenizer.json")
    assert tokenizer_file_of(first_generation(G1), settings) == Path("own.json")
    assert tokenizer_file_of(record, settings) == Path("/models/text_embedding_small/1/tokenizer.json")
    with pytest.raises(FatalError, match=r"HEADWATER_TRITON__TOKENIZER_PATTERN /one\.json: write \{model\}.*g3"):
        tokenizer_file_of(record, TritonSettings(tokenizer_pattern="/one.json"))


def test_the_built_in_model_has_one_name_in_records_and_another_in_the_server() -> None:
    assert (served_name(NAME), recorded_name("text_embedding")) == ("text_embedding", NAME)
    assert (served_name(SMALL), recorded_name(SMALL)) == (SMALL, SMALL)

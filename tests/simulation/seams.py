"""Where production code opens its clients, the simulation puts its own: the only places it replaces."""

import contextlib
import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Self, TypeVar, cast
from unittest.mock import patch

import structlog
from prometheus_client.metrics import MetricWrapperBase

import headwater.clients.kafka.transactions
import headwater.clients.triton.embedder
import headwater.generations.catching_up
import headwater.generations.following
import headwater.heads.follower
import headwater.retry
import schemas.codec
import streams.admit.agent
import streams.admit.assignment
import streams.admit.backlog
import streams.admit.directory_log
import streams.admit.restore
import streams.admit.worker
import streams.embed.agent
import streams.harness.settle
import streams.index_keywords.agent
import streams.index_vectors.agent
import streams.indexing.opening
import streams.prepare.agent
import streams.prepare.step
import streams.status.agent
from headwater.generations.directory import own_generation
from headwater.generations.following import ServingGeneration
from headwater.generations.policy import ChunkPolicy
from headwater.generations.records import first_generation
from headwater.settings import Settings
from schemas.codec import Codec
from schemas.events.directory import Generation
from schemas.ids import GenerationName
from schemas.registry import ManifestIds, load_manifest
from streams.prepare.limits import ParserLimits
from tests.simulation.confluent import SimConsumer, SimProducer
from tests.simulation.generation_seams import generation_seams
from tests.simulation.kafka_clients import SimAdmin, SimRecordStream
from tests.simulation.memory_lmdb import MemoryFolder
from tests.simulation.parsing import SimParserPool
from tests.simulation.process import CURRENT, WORLD, drive
from tests.simulation.stores import SimBlobStore, SimCache, SimDocuments, SimEmbedder, SimKeywordIndex, SimVectorIndex

if TYPE_CHECKING:
    from tests.simulation.world import World

E = TypeVar("E")
CHUNKS_PER_BATCH = 4  # 64 in production: a document of ten paragraphs stands for one of hundreds of pages


class SimCodec(Codec):
    """The real codec, which reads the same bytes once a story: a record has many readers, and events are values."""

    def __init__(self) -> None:
        super().__init__(ManifestIds(load_manifest()))
        self._known: dict[tuple[bytes, type], object] = {}

    def decode(self, data: bytes, event_type: type[E]) -> E:
        """See Codec."""
        known = self._known.get((data, event_type))
        if known is None:
            known = self._known[data, event_type] = super().decode(data, event_type)
        return cast(E, known)

    def begin(self) -> Self:
        """Begin another story, which must not depend on those before it."""
        self._known.clear()
        return self


_CODEC = SimCodec()  # one: it has parsed the schemas

_ON_ITS_WAY_S = 0.5


class SimCredits:
    """Stands for BackfillCredits: enough for everybody; where they are scarce, room for one document at a time."""

    def __init__(self, settings: Settings) -> None:
        """Nothing is asked."""
        self._room_from_s = 0.0

    @property
    def room_bytes(self) -> int:
        world = WORLD.get()
        if world.credits_are_scarce:
            return 1 if world.loop.time() >= self._room_from_s else 0
        return 2**40

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to stop."""

    def follow(self, generation: GenerationName) -> None:
        """There is one generation."""

    def spend(self, content_bytes: int) -> None:
        """Have the next document wait until this one is on its way."""
        self._room_from_s = WORLD.get().loop.time() + _ON_ITS_WAY_S


def _environment(folder: Path, *, map_size_bytes: int, layout: str) -> MemoryFolder:
    process = CURRENT.get()
    return MemoryFolder(WORLD.get().environment(folder).opened_by(lambda: process.dead))


def _opened(make: Any) -> Any:
    """Return a stand-in class whose `open` yields what the world has."""

    @contextlib.asynccontextmanager
    async def open_client(*arguments: object, **__: object) -> AsyncIterator[Any]:
        yield make(WORLD.get(), *arguments)

    return SimpleNamespace(open=open_client)


def _vectors_of(world: "World", _: object, generation: GenerationName) -> SimVectorIndex:
    return SimVectorIndex(world.service("milvus"), world.builds[generation].vectors)


def _keywords_of(world: "World", _: object, generation: GenerationName) -> SimKeywordIndex:
    return SimKeywordIndex(world.service("elasticsearch"), world.builds[generation].keywords)


@contextlib.asynccontextmanager
async def _open_pool(*, policy: ChunkPolicy, limits: ParserLimits, **_: object) -> AsyncIterator[SimParserPool]:
    yield SimParserPool(policy, limits)


async def _own_generation(settings: Settings) -> Generation:
    """Read the directory's record where a command has made one: most stories have one generation, and no record."""
    if len(WORLD.get().builds) == 1:
        return first_generation(settings.generation)
    return await own_generation(settings)


@contextlib.asynccontextmanager
async def _serving_as_configured(settings: Settings) -> AsyncIterator[ServingGeneration]:
    """Follow nothing: `status` asks which generation serves for its figures alone, which no oracle looks at."""
    yield ServingGeneration(settings.generation)


class _Uncounted:
    """Stands for every labelled metric: no oracle looks at one, and finding it takes longer than counting."""

    def observe(self, *_: object) -> None:
        """Nothing is counted."""

    inc = dec = set = observe


_UNCOUNTED = _Uncounted()


def _untraced(*_: object, **__: object) -> contextlib.AbstractContextManager[None]:
    """Stand for `span` and for what logs are given: nobody looks at traces and logs either."""
    return _NO_SPAN


_NO_SPAN = contextlib.nullcontext()


def _uniform(low: float, high: float) -> float:
    return WORLD.get().random.uniform(low, high)


@contextlib.contextmanager
def seams() -> Iterator[None]:
    """Replace clients by the simulated ones, and silence logs."""
    admit, prepare_agent = streams.admit, streams.prepare.agent
    documents = _opened(lambda world, *_: SimDocuments(world.service("elasticsearch"), world.documents))
    cache = _opened(lambda world, *_: SimCache(world.service("cache"), world.cache))
    with contextlib.ExitStack() as stack:

        def put(module: Any, name: str, value: Any) -> None:
            stack.enter_context(patch.object(module, name, value))

        put(admit.assignment, "Consumer", SimConsumer)
        put(admit.directory_log, "Consumer", SimConsumer)
        put(headwater.clients.kafka.transactions, "Producer", SimProducer)
        put(admit.restore, "RecordStream", SimRecordStream)
        put(admit.agent, "KafkaAdmin", SimAdmin)
        put(admit.agent, "WritableEnvironment", _environment)
        put(admit.agent, "BackfillCredits", SimCredits)
        put(admit.backlog, "QUANTUM_BYTES", 1024)  # a document a turn
        put(admit.agent, "asyncio", SimpleNamespace(run=drive))
        put(headwater.heads.follower, "RecordStream", SimRecordStream)
        put(headwater.generations.following, "RecordStream", SimRecordStream)
        put(headwater.heads.follower, "KafkaAdmin", SimAdmin)
        put(headwater.heads.follower, "ENDS_INTERVAL_S", 1.0)
        put(headwater.heads.follower, "_READ_WAIT_S", 1.0)  # news ends a wait in any case
        put(prepare_agent, "RedisCache", cache)
        put(prepare_agent, "own_generation", _own_generation)
        put(prepare_agent, "open_pool", _open_pool)
        put(prepare_agent, "ObjectBlobStore", lambda _: SimBlobStore(WORLD.get().service("blobs"), WORLD.get().blobs))
        put(prepare_agent, "LmdbHeads", lambda _: SimpleNamespace(head=lambda *_: None))  # no replica beside it
        put(streams.indexing.opening, "LmdbHeads", lambda _: WORLD.get().apis["east"].heads)  # of some host's replica
        put(prepare_agent, "_fingerprint", lambda _: "words")
        put(streams.prepare.step, "MAX_CHUNKS_PER_BATCH", CHUNKS_PER_BATCH)
        put(streams.embed.agent, "RedisCache", cache)
        put(streams.embed.agent, "own_generation", _own_generation)
        put(
            headwater.clients.triton.embedder,
            "TritonEmbedder",
            _opened(lambda world, *_: SimEmbedder(world.service("triton"), world.embedder)),
        )
        put(streams.index_vectors.agent, "MilvusVectorIndex", _opened(_vectors_of))
        put(streams.index_keywords.agent, "ElasticsearchKeywordIndex", _opened(_keywords_of))
        put(streams.status.agent, "ElasticsearchDocuments", documents)
        put(streams.status.agent, "follow_serving", _serving_as_configured)
        generation_seams(put)
        put(MetricWrapperBase, "labels", lambda *_, **__: _UNCOUNTED)
        put(streams.harness.settle, "span", _untraced)
        put(streams.harness.settle, "bound_contextvars", _untraced)
        put(streams.admit.worker, "span", _untraced)
        put(headwater.generations.catching_up, "ElasticsearchDocuments", documents)
        put(schemas.codec._Process, "codec", _CODEC.begin())
        put(headwater.retry, "random", SimpleNamespace(uniform=_uniform))
        before = structlog.get_config()
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        try:
            yield
        finally:
            structlog.configure(**before)

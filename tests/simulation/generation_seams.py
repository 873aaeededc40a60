"""What the commands on generations reach outside, replaced: the broker, the replica of a host, the stores' migrator."""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, Self
from uuid import UUID

import headwater.generations.catching_up
import headwater.generations.directory
import headwater.generations.lifecycle
import headwater.generations.positions
import headwater.heads.counting
from headwater.clients.kafka.config import topic_of
from headwater.heads.replica import Replica, replica_folder
from headwater.settings import HeadsSettings, Settings
from schemas.codec import encode
from schemas.events.base import Position
from schemas.ids import GenerationName
from schemas.topics import Topic
from tests.simulation.kafka_clients import SimAdmin, SimRecordStream, broker_call
from tests.simulation.memory_lmdb import MemoryFolder
from tests.simulation.process import CURRENT, WORLD


class SimEventProducer:
    """Stands for `EventProducer`."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Settings, **_: object) -> AsyncIterator[Self]:
        yield cls(settings)

    async def send(self, topic: Topic, value: object, *, key: bytes) -> Position:
        broker, name = WORLD.get().broker, topic_of(self._settings, topic)
        partition = (name, broker.place(name, key, "murmur2_random"))
        return await broker_call(lambda: broker.append(partition, key, encode(value)))


class SimMigrator:
    """Stands for the migrator of a generation's stores."""

    def __init__(self, generation: GenerationName) -> None:
        self._generation = generation

    @classmethod
    @contextlib.asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator[Self]:
        yield cls(settings.generation)

    async def apply(self) -> None:
        WORLD.get().make_stores(self._generation)


async def _create_topics(_: Settings, *, generation: GenerationName) -> None:
    await broker_call(lambda: WORLD.get().make_topics(generation))


@contextlib.contextmanager
def _attached(settings: HeadsSettings) -> Iterator[Replica]:
    folder = Path(CURRENT.get().host.name) / replica_folder(settings)
    yield Replica(MemoryFolder(WORLD.get().environment(folder)).lmdb, create=False)


def _some_uuid() -> UUID:
    return UUID(int=WORLD.get().random.getrandbits(128), version=4)


def generation_seams(put: Callable[[Any, str, Any], None]) -> None:
    """Replace what the commands on generations open."""
    generations = headwater.generations
    for module in (generations.directory, generations.positions):
        put(module, "KafkaAdmin", SimAdmin)
        put(module, "RecordStream", SimRecordStream)
    put(generations.directory, "EventProducer", SimEventProducer)
    put(generations.directory, "uuid4", _some_uuid)
    put(generations.lifecycle, "create_topics", _create_topics)
    put(generations.lifecycle, "open_migrator", SimMigrator.open)
    put(generations.catching_up, "LmdbHeads", lambda _: WORLD.get().apis[CURRENT.get().host.name].heads)
    put(headwater.heads.counting, "_attached", _attached)

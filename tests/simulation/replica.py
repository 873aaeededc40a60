"""One host of the query API: the real follower, heads, freshness, retriever and gate over simulated stores."""

import asyncio
from contextvars import copy_context
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

from headwater.access.scope import EVERYTHING
from headwater.access.tokens import encode_token
from headwater.errors import HeadwaterError
from headwater.heads.follower import Follower
from headwater.heads.replica import Replica, replica_folder
from headwater.heads.view import LmdbHeads
from headwater.heads.waiting import AppliedPositions
from headwater.ports.heads import Positions
from headwater.ports.rows import ChunkRow
from headwater.settings import Settings
from headwater.telemetry.management import Health
from query_api.dependencies import Freshness
from query_api.identity import Identity
from query_api.retrieval.breaker import Breakers
from query_api.retrieval.retriever import Mode
from query_api.retrieval.session import open_session
from query_api.runtime import Runtime
from schemas.events.base import Position, Store
from schemas.ids import GenerationName, TenantId
from tests.simulation.kafka_clients import SimAdmin
from tests.simulation.memory_lmdb import MemoryFolder
from tests.simulation.process import CURRENT, WORLD, Host, Process
from tests.simulation.stores import SimEmbedder, SimKeywordIndex, SimVectorIndex
from tests.support.models import OneModel


class SimHeads(LmdbHeads):
    """The real view on an environment in memory."""

    def __init__(self, settings: Settings, folder: MemoryFolder, host: Host) -> None:
        super().__init__(settings, now_ms=host.wall_ms, steady_ms=host.steady_ms)
        self._opened = Replica(folder.lmdb, create=False)

    def _attached(self) -> Replica:
        return self._opened


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a query returned, and what the replica stood at when the gate was asked for the last time."""

    replica: str
    tenant: TenantId
    user: str
    asked_at_s: float
    rows: tuple[tuple[ChunkRow, Store], ...]
    applied: dict[str, dict[int, int]]
    token: Position | None
    degraded: bool
    generation: GenerationName  # that the request was pinned to
    directory_then: int  # how much of the directory the replica knew at that moment
    refused: str | None = None


async def follow(settings: Settings, host: Host) -> None:
    """Follow the log for ever, as `python -m headwater.heads` does."""
    world, process = WORLD.get(), CURRENT.get()
    kept = world.environment(Path(host.name) / replica_folder(settings.heads))
    environment = kept.opened_by(lambda: process.dead)
    await Follower(
        settings, cast(Any, MemoryFolder(environment)), Health(), now_ms=host.wall_ms, steady_ms=host.steady_ms
    ).run()


class QueryApi:
    """The API process of a host."""

    def __init__(self, settings: Settings, host: Host) -> None:
        world = WORLD.get()
        self.host = host
        environment = world.environment(Path(host.name) / replica_folder(settings.heads))
        self.heads = SimHeads(settings, MemoryFolder(environment), host)
        self.process = Process(name=f"api-{host.name}", host=host, random=world.random)
        admin = SimAdmin(settings.kafka)

        async def stores_of(name: GenerationName) -> object:
            return SimpleNamespace(
                vectors=SimVectorIndex(world.service("milvus"), world.builds[name].vectors),
                keywords=SimKeywordIndex(world.service("elasticsearch"), world.builds[name].keywords),
            )

        self._runtime = cast(
            Runtime,
            SimpleNamespace(
                settings=settings,
                heads=self.heads,
                directory=self.heads,
                applied=AppliedPositions(settings, cast(Any, admin), self.heads),
                now=lambda: datetime.fromtimestamp(host.wall_ms() / 1000, tz=UTC),
                generations=SimpleNamespace(stores=stores_of),
                models=SimpleNamespace(embedders=OneModel(SimEmbedder(world.service("triton"), world.embedder))),
                breakers=Breakers(),
            ),
        )

    def ask(self, **question: Any) -> "asyncio.Task[Answer]":
        """Begin a query in the API's process."""
        context = copy_context()
        context.run(CURRENT.set, self.process)
        return asyncio.get_running_loop().create_task(self._answer(**question), context=context)

    async def _answer(
        self, *, tenant: TenantId, user: str, words: str, mode: Mode, token: Position | None = None, top_k: int = 6
    ) -> Answer:
        asked_at_s = asyncio.get_running_loop().time()
        pinned, directory_then = self._runtime.settings.generation, 0

        def answer(rows: Any = (), *, degraded: bool = False, refused: str | None = None) -> Answer:
            return Answer(
                replica=self.host.name,
                tenant=tenant,
                user=user,
                asked_at_s=asked_at_s,
                rows=tuple(rows),
                applied={topic: dict(by) for topic, by in self.heads.applied().items()},
                token=token,
                degraded=degraded,
                generation=pinned,
                directory_then=directory_then,
                refused=refused,
            )

        fresh = Freshness(self._runtime, cast(Any, SimpleNamespace(state=SimpleNamespace())))
        try:
            fresh.require_current()
            await fresh.wait(None if token is None else encode_token(_positions(token)))
            principals = self.heads.principals(tenant, user)
            if not principals:
                return answer(refused="unknown user")
            caller = cast(Identity, SimpleNamespace(tenant_id=tenant, user=user, principals=principals))
            directory_then = self.heads.directory_position()
            session = await open_session(self._runtime, caller, knowledge_bases=None, where=EVERYTHING, profile=None)
            pinned = session.generation
            found = await session.retrieve(words, mode=mode, top_k=top_k)
            passages = session.gate.passages(found.passages)
        except HeadwaterError as error:
            return answer(refused=type(error).__name__)
        return answer(((each.row, each.store) for each in passages), degraded=bool(found.degraded))


def _positions(token: Position) -> Positions:
    return {token.topic: {token.partition: token.offset}}

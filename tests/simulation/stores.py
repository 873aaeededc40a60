"""Both stores, read model, blobs, cache and models behind the real ports: they take time, fail, lose and forget."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from headwater.errors import RetryableError
from headwater.ports.models import EmbeddingModel
from headwater.ports.read_model import DocumentView, RefusedSubmission, StoreStates
from headwater.ports.rows import ChunkRow, Scope, StoreHit, Vector
from schemas.events import DocumentChanged, DocumentProgressed, EventParked, EventResolved
from schemas.events.base import Lane, Position
from schemas.events.documents import BlobRef
from schemas.ids import DocumentId, GenerationName, Revision, TenantId
from tests.simulation.process import CURRENT, WORLD, call, pause
from tests.support.blobs import FakeBlobStore
from tests.support.cache import FakeCache
from tests.support.models import FakeEmbedder
from tests.support.read_model import FakeDocuments

T = TypeVar("T")
TIMEOUT_S = 1.0


@dataclass(slots=True, kw_only=True)
class Service:
    """How one dependency behaves now."""

    name: str
    away: bool = False
    slowness: float = 1.0
    hides_s: float = 0.0  # rows are acknowledged this long before searches see them
    hidden: list[asyncio.TimerHandle] = field(default_factory=list)
    wiped: int = 0  # times that it lost everything
    whole: bool = True  # False from a loss on
    rebuilding: bool = False

    async def ask(self, effect: Callable[[], T]) -> T:
        """Do a call to it. Raises RetryableError when it is away, or when only the answer was lost."""
        if self.away or CURRENT.get().cut_off:
            await pause(TIMEOUT_S)
            raise RetryableError(f"{self.name}: no answer")
        answer = await call(effect, slowness=self.slowness)
        if WORLD.get().happens("answer_lost"):
            raise RetryableError(f"{self.name}: no answer")
        return answer


class _SimIndex:
    """What both stores share."""

    def __init__(self, service: Service, fake: Any) -> None:
        self._service, self._fake = service, fake

    async def count(self, tenant: TenantId, document: DocumentId, revision: Revision) -> int:
        counts = await self.revisions(tenant, document)
        return counts.get(revision, 0)

    async def revisions(self, tenant: TenantId, document: DocumentId) -> Mapping[Revision, int]:
        found: Mapping[Revision, int] = await self._service.ask(lambda: now(self._fake.revisions(tenant, document)))
        return found

    async def revisions_of(
        self, documents: Sequence[tuple[TenantId, DocumentId]]
    ) -> Mapping[DocumentId, Mapping[Revision, int]]:
        found: Mapping[DocumentId, Mapping[Revision, int]] = await self._service.ask(
            lambda: now(self._fake.revisions_of(documents))
        )
        return found

    async def remove_older(self, tenant: TenantId, document: DocumentId, *, than: Revision) -> int:
        removed: int = await self._service.ask(lambda: now(self._fake.remove_older(tenant, document, than=than)))
        return removed

    async def fetch(self, scope: Scope, row_ids: Sequence[str]) -> Sequence[ChunkRow]:
        rows: Sequence[ChunkRow] = await self._service.ask(lambda: now(self._fake.fetch(scope, row_ids)))
        return rows

    def _write(self, write: Callable[[], Any]) -> None:
        if not self._service.hides_s:
            now(write())
            return
        wipes = self._service.wiped

        def show() -> None:
            if self._service.wiped == wipes:
                now(write())

        self._service.hidden.append(asyncio.get_running_loop().call_later(self._service.hides_s, show))


class SimVectorIndex(_SimIndex):
    """Implements VectorIndex."""

    async def upsert(self, rows: Sequence[ChunkRow], vectors: NDArray[np.float32]) -> None:
        await self._service.ask(lambda: self._write(lambda: self._fake.upsert(rows, vectors)))

    async def search(self, scope: Scope, vector: Vector, *, limit: int) -> Sequence[StoreHit]:
        hits: Sequence[StoreHit] = await self._service.ask(lambda: now(self._fake.search(scope, vector, limit=limit)))
        return hits


class SimKeywordIndex(_SimIndex):
    """Implements KeywordIndex."""

    async def upsert(self, rows: Sequence[ChunkRow]) -> None:
        await self._service.ask(lambda: self._write(lambda: self._fake.upsert(rows)))

    async def search(self, scope: Scope, query: str, *, limit: int) -> Sequence[StoreHit]:
        hits: Sequence[StoreHit] = await self._service.ask(lambda: now(self._fake.search(scope, query, limit=limit)))
        return hits


class SimDocuments:
    """Implements the part of DocumentReadModel that `status` uses."""

    def __init__(self, service: Service, fake: FakeDocuments) -> None:
        self._service, self._fake = service, fake

    async def record_states(self, states: Sequence[tuple[DocumentChanged, Position]]) -> None:
        await self._service.ask(lambda: now(self._fake.record_states(states)))

    async def record_progress(self, events: Sequence[DocumentProgressed]) -> None:
        await self._service.ask(lambda: now(self._fake.record_progress(events)))

    async def record_parked(self, letters: Sequence[EventParked]) -> None:
        await self._service.ask(lambda: now(self._fake.record_parked(letters)))

    async def get_document(
        self, tenant: TenantId, document: DocumentId, *, generation: GenerationName
    ) -> DocumentView | None:
        found: DocumentView | None = await self._service.ask(
            lambda: now(self._fake.get_document(tenant, document, generation=generation))
        )
        return found

    async def record_resolved(self, events: Sequence[EventResolved]) -> None:
        await self._service.ask(lambda: now(self._fake.record_resolved(events)))

    async def record_refusals(self, refusals: Sequence[RefusedSubmission]) -> None:
        await self._service.ask(lambda: now(self._fake.record_refusals(refusals)))

    async def store_states(
        self, documents: Sequence[tuple[TenantId, DocumentId]], *, generation: GenerationName
    ) -> Mapping[DocumentId, StoreStates]:
        states: Mapping[DocumentId, StoreStates] = await self._service.ask(
            lambda: now(self._fake.store_states(documents, generation=generation))
        )
        return states


class SimBlobStore:
    """Implements BlobStore."""

    def __init__(self, service: Service, fake: FakeBlobStore) -> None:
        self._service, self._fake = service, fake

    async def write(self, tenant: TenantId, pieces: AsyncIterable[bytes]) -> BlobRef:
        whole = [piece async for piece in pieces]

        async def again() -> AsyncIterator[bytes]:
            for piece in whole:
                yield piece

        ref: BlobRef = await self._service.ask(lambda: now(self._fake.write(tenant, again())))
        return ref

    async def read(self, tenant: TenantId, ref: BlobRef) -> AsyncIterator[bytes]:
        await self._service.ask(lambda: None)
        async for piece in self._fake.read(tenant, ref):
            yield piece

    async def exists(self, tenant: TenantId, ref: BlobRef) -> bool:
        found: bool = await self._service.ask(lambda: now(self._fake.exists(tenant, ref)))
        return found

    async def is_derived(self, tenant: TenantId, ref: BlobRef, *, source: BlobRef) -> bool:
        known: bool = await self._service.ask(lambda: now(self._fake.is_derived(tenant, ref, source=source)))
        return known

    async def record_derived(self, tenant: TenantId, ref: BlobRef, *, source: BlobRef) -> None:
        await self._service.ask(lambda: now(self._fake.record_derived(tenant, ref, source=source)))


class SimCache:
    """Implements Cache: one that is away is an empty one."""

    def __init__(self, service: Service, fake: FakeCache) -> None:
        self._service, self._fake = service, fake

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        try:
            return await self._service.ask(lambda: [self._fake.entries.get(key) for key in keys])
        except RetryableError:
            return [None for _ in keys]

    async def put_many(self, entries: Mapping[str, bytes], *, ttl_s: int) -> None:
        try:
            await self._service.ask(lambda: self._fake.entries.update(entries))
        except RetryableError:
            return


class SimEmbedder:
    """Implements Embedder: a fixed vector for each text."""

    def __init__(self, service: Service, fake: FakeEmbedder) -> None:
        self._service, self._fake = service, fake

    @property
    def model(self) -> EmbeddingModel:
        return self._fake.model

    async def embed(self, texts: Sequence[str], *, lane: Lane) -> NDArray[np.float32]:
        vectors: NDArray[np.float32] = await self._service.ask(lambda: now(self._fake.embed(texts, lane=lane)))
        return vectors


def now(coroutine: Any) -> Any:
    """Return what a coroutine of a fake returns: fakes never wait."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise RuntimeError("a fake waited")

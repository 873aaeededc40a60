"""What the index stages have in common: how one is put together, and how the harness runs it."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

from headwater.heads.view import LmdbHeads
from headwater.ports.rows import ChunkIndex
from schemas.events import ChunkBatch
from schemas.events.base import Lane, Store
from schemas.topics import Topic
from streams.harness.dispatcher import Limits
from streams.harness.gathering import Coalescer
from streams.harness.stage import Resources, Stage, StageSpec
from streams.indexing.looks import Looks
from streams.indexing.stage import IndexStage

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedWrites(Generic[T]):
    """How batches become few calls to a store."""

    part_of: Callable[[ChunkBatch], T]  # what a batch adds to a call; raises PoisonError for one that cannot be written
    write_together: Callable[[Sequence[T]], Awaitable[None]]
    rows_per_call: int
    patience_s: float  # how long a backfill batch waits for company


@asynccontextmanager
async def index_stage(
    resources: Resources, *, name: str, store: Store, index: ChunkIndex, writes: SharedWrites[T]
) -> AsyncIterator[Stage]:
    """Put one store's stage together; writes that wait are ended with it."""
    coalescer: Coalescer[T, None] = Coalescer(
        writes.write_together, max_weight=writes.rows_per_call, patience_s=writes.patience_s
    )

    async def write(batch: ChunkBatch) -> None:
        patient = batch.lane is Lane.BACKFILL
        await coalescer.add(writes.part_of(batch), weight=len(batch.chunks), patient=patient)

    looks = Looks(index)
    try:
        yield IndexStage(
            store=store,
            name=name,
            index=index,
            looks=looks,
            write=write,
            publisher=resources.publisher,
            generation=resources.settings.generation,
            heads=LmdbHeads(resources.settings),
        )
    finally:
        await coalescer.close()
        await looks.close()


def index_spec(
    name: str, *, topic: Topic, event: type, opened: Callable[[Resources], AbstractAsyncContextManager[Stage]]
) -> StageSpec:
    """Return an index stage as data: it reads one topic, without holes and in order per document."""
    return StageSpec(
        name=name,
        topics={topic: event},
        open=opened,
        limits=lambda settings: Limits(live_keys=16, backfill_keys=64, buffer_bytes=settings.stages.buffer_bytes),
        keyed=frozenset({topic}),
        dense=frozenset({topic}),
    )

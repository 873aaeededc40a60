"""One store's stage: writes, confirms, reports. The stores differ only in how rows are written."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, TypeAlias

from headwater.errors import RetryableError
from headwater.ports.heads import KnowsRevisions
from headwater.ports.rows import ChunkIndex
from headwater.retry import RetryPolicy, retry
from schemas.events import ChunkBatch, ChunksEmbedded, DocumentProgressed
from schemas.events.base import Store
from schemas.ids import DocumentId, GenerationName, Revision, document_key, progress_key
from schemas.topics import Topic
from streams.harness.delivery import Delivery, Outcome
from streams.harness.publishing import Emission, Publisher
from streams.harness.recent import Recent
from streams.harness.stage import Failure, require_generation
from streams.indexing import step
from streams.indexing.looks import Looks

Write: TypeAlias = Callable[[ChunkBatch], Awaitable[None]]

# Rows are visible when a write returns; a store that recovers may show them a moment later.
_CONFIRM: Final = RetryPolicy(attempts=4, first_delay_s=0.1, budget_s=3.0)
_REMEMBERED: Final = 50_000  # documents


class _RowsNotVisibleYetError(RetryableError):
    """The count is short; asked again before the revision is given up."""


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What this worker knows of a document in its store."""

    newest: Revision | None  # revisions above are not in the store, as far as this worker has written or looked
    failed: bool = False  # the newest one was parked
    vectors: dict[int, step.Vectors] = field(default_factory=dict)  # of the newest one, by batch


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexStage:
    """Writes the rows of each revision; after the last batch it counts them and reports the revision as complete.

    Older rows stay: the sweeper removes them after the grace. A deletion is the other way round: rows are removed,
    none are counted, then it is reported.
    """

    store: Store
    name: str
    index: ChunkIndex
    looks: Looks  # at the same index
    write: Write
    publisher: Publisher
    generation: GenerationName
    heads: KnowsRevisions | None = None  # the host's replica
    _documents: Recent[DocumentId, _Seen] = field(default_factory=lambda: Recent(_REMEMBERED))

    async def handle(self, event: ChunkBatch, delivery: Delivery) -> Outcome:
        """See Stage."""
        require_generation(event.generation, self.generation)
        seen = await self._seen(event)
        if step.is_superseded(event, seen.newest):
            return Outcome.SUPERSEDED
        if seen.newest != event.revision:
            seen.newest, seen.failed = event.revision, False
            seen.vectors.clear()
        if event.batch == 0:  # the revision from its beginning: perhaps a replay of one that was parked
            seen.failed = False
        match step.task_of(event):
            case step.Task.FAIL:
                await self._report_failed(event)
            case step.Task.REMOVE:
                await self._remove(event)
            case _ if seen.failed:
                pass  # a part was parked and reported: nobody waits for the rest
            case step.Task.WRITE:
                await self._write(event, seen)
            case step.Task.COMPLETE:
                await self._write(event, seen)
                return await self._complete(event, seen, delivery)
        return Outcome.DONE

    async def give_up(self, event: ChunkBatch, _delivery: Delivery, failure: Failure) -> None:
        """See Stage."""
        if event.generation != self.generation:
            return
        seen = self._documents.get(event.document_id) or _Seen(newest=None)
        seen.newest, seen.failed = event.revision, True
        self._documents.put(event.document_id, seen)
        await self._report(
            step.failed(
                event, self.store, stage=failure.stage, error=failure.error, reason=failure.reason, at=datetime.now(UTC)
            )
        )

    async def _seen(self, event: ChunkBatch) -> _Seen:
        """Return what is known of the document; the store itself is asked the first time."""
        seen = self._documents.get(event.document_id)
        if seen is None:
            seen = _Seen(newest=await self.looks.newest(event))
            self._documents.put(event.document_id, seen)
        return seen

    async def _write(self, event: ChunkBatch, seen: _Seen) -> None:
        if event.chunks:
            await self.write(event)
        if isinstance(event, ChunksEmbedded):
            seen.vectors[event.batch] = step.Vectors(embedded=event.embedded, reused=event.reused)

    async def _complete(self, event: ChunkBatch, seen: _Seen, delivery: Delivery) -> Outcome:
        async def confirm() -> int:
            count = await self.looks.count(event)
            if count < event.total:
                raise _RowsNotVisibleYetError(f"{count} of {event.total} rows")
            return count

        try:
            count = await retry(confirm, policy=_CONFIRM)
        except _RowsNotVisibleYetError:
            count = await self.looks.count(event)
        if count < event.total and (
            step.is_outrun(event, count, [each.event for each in delivery.followers()]) or self._is_replaced(event)
        ):
            return Outcome.SUPERSEDED
        step.require_complete(event, count)
        vectors = sum(seen.vectors.values(), start=step.Vectors())
        await self._report(step.completed(event, self.store, vectors, at=datetime.now(UTC)))
        return Outcome.DONE

    def _is_replaced(self, event: ChunkBatch) -> bool:
        """Say whether the host's replica has seen a newer revision: this worker may have slept while others went on."""
        head = None if self.heads is None else self.heads.head(event.tenant_id, event.document_id)
        return head is not None and head.revision > event.revision

    async def _remove(self, event: ChunkBatch) -> None:
        await self.index.remove_older(event.tenant_id, event.document_id, than=event.revision)
        left = await self.index.revisions(event.tenant_id, event.document_id)
        if any(revision < event.revision for revision in left):
            raise RetryableError(f"{self.store}: rows of a deleted document are still visible")
        await self._report(step.gone(event, self.store, at=datetime.now(UTC)))

    async def _report_failed(self, event: ChunkBatch) -> None:
        self._documents.put(event.document_id, _Seen(newest=event.revision, failed=True))
        await self._report(
            step.failed(
                event,
                self.store,
                stage=event.failed_stage or "",
                error=event.failed_error or "",
                reason=event.failed_reason or "",
                at=datetime.now(UTC),
            )
        )

    async def _report(self, progress: DocumentProgressed) -> None:
        tenant, document = progress.tenant_id, progress.document_id
        await self.publisher.publish(
            [
                Emission(
                    topic=Topic.DOCUMENTS_PROGRESSED,
                    key=progress_key(tenant, document, progress.generation, progress.store),
                    event=progress,
                    routed_by=document_key(tenant, document),
                )
            ]
        )

"""Brings back what a bad sync removed, from the history that the log still has.

The log is compacted, but nothing that was written less than `min_compaction_lag_days` ago is: of a document that was
deleted since then, the state before the deletion is still there. It is submitted again, as a source would, and only if
the document is still as it was seen.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import uuid4

from headwater.ports.archive import SourceLog, TopicFacts
from headwater.ports.blobs import BlobStore
from schemas.codec import decode
from schemas.events.base import Lane
from schemas.events.documents import DocumentChanged, DocumentOp, DocumentState, DocumentSubmitted, SubmissionOp
from schemas.ids import DocumentId, Principal, Revision, SourceId, TenantId, document_key
from schemas.topics import Topic

AT_ONCE: Final = 500  # submissions that are sent side by side
BREATHE_AFTER: Final = 200  # records: an API replica has others to answer meanwhile
_FIELDS: Final = tuple(DocumentState.__dataclass_fields__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Lost:
    """A document that cannot be brought back from here."""

    external_id: str
    why: str


@dataclass(slots=True, kw_only=True)
class Undone:
    """What came of it. Admission may still refuse one: where the source has brought the document back by itself."""

    restored: int = 0  # were deleted, and are submitted again
    kept: int = 0  # their deletion waited, and waits no longer
    lost: list[Lost] = field(default_factory=list)

    def __add__(self, other: "Undone") -> "Undone":
        """Count both."""
        return Undone(
            restored=self.restored + other.restored, kept=self.kept + other.kept, lost=[*self.lost, *other.lost]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """What is to be undone in one partition of the log: all of it, or the first of it by document id."""

    undone: Undone
    submissions: Sequence[DocumentSubmitted]
    rest_after: DocumentId | None  # the last document that was looked at, where there are more behind it


@dataclass(frozen=True, slots=True, kw_only=True)
class Undo:
    """Undoes the deletions of one source since an instant. Safe to repeat: what is back is no deletion any more."""

    tenant: TenantId
    source: SourceId
    since: datetime
    now: datetime
    actor: Principal
    log: SourceLog
    blobs: BlobStore
    directory_topic: str  # what its deletions brought about is not undone here

    async def run(
        self,
        waiting: Mapping[DocumentId, datetime],
        send: Callable[[Sequence[DocumentSubmitted]], Awaitable[None]],
    ) -> Undone:
        """Submit again what was deleted, and what waits to be deleted, since then. Raises RetryableError.

        `waiting` are the source's deletions in quarantine, with when they began to wait.
        """
        undone = Undone()
        facts = await self.facts()
        for partition in facts.starts:  # one after the other: what is held is one partition's share
            part = await self.part(facts, partition, waiting)
            undone += part.undone
            for first in range(0, len(part.submissions), AT_ONCE):
                await send(part.submissions[first : first + AT_ONCE])
        return undone

    async def facts(self) -> TopicFacts:
        """Return which partitions the log has, and how far each reaches now. Raises RetryableError."""
        return await self.log.facts(Topic.DOCUMENTS_CHANGED)

    async def part(
        self,
        facts: TopicFacts,
        partition: int,
        waiting: Mapping[DocumentId, datetime],
        *,
        after: DocumentId | None = None,
        limit: int | None = None,
    ) -> Part:
        """Return what is to be submitted for one partition's documents, ordered by id; nothing is sent.

        With `after` and `limit`, only the first `limit` of those behind that document. Raises RetryableError.
        """
        start, end = {partition: facts.starts[partition]}, {partition: facts.ends[partition]}
        newest = await self._newest(start, end)
        wanted = sorted(
            each
            for each, record in newest.items()
            if (after is None or each > after) and self._is_to_undo(record, waiting.get(each))
        )
        chosen = wanted[:limit]
        states = await self._states(set(chosen), start, end) if chosen else {}
        undone = Undone()
        found = [await self._submission(newest[each], states.get(each), undone) for each in chosen]
        return Part(
            undone=undone,
            submissions=[each for each in found if each is not None],
            rest_after=chosen[-1] if len(chosen) < len(wanted) else None,
        )

    async def _newest(self, start: Mapping[int, int], end: Mapping[int, int]) -> dict[DocumentId, "_Newest"]:
        newest: dict[DocumentId, _Newest] = {}
        async for record in self._records(start, end):
            before = newest.get(record.document_id)
            if before is not None and before.op is record.op is DocumentOp.DELETED:
                continue  # a deletion that ran again took nothing away
            newest[record.document_id] = _Newest(
                external_id=record.external_id,
                revision=record.revision,
                op=record.op,
                admitted_at=record.admitted_at,
                by_directory=record.submitted.topic == self.directory_topic,
            )
        return newest

    async def _states(
        self, wanted: set[DocumentId], start: Mapping[int, int], end: Mapping[int, int]
    ) -> dict[DocumentId, DocumentChanged]:
        states: dict[DocumentId, DocumentChanged] = {}
        async for record in self._records(start, end):
            if record.document_id in wanted and record.op is DocumentOp.UPSERTED:
                states[record.document_id] = record
        return states

    async def _records(self, start: Mapping[int, int], end: Mapping[int, int]) -> AsyncIterator[DocumentChanged]:
        prefix = document_key(self.tenant, DocumentId(""))
        read = 0
        async for record in self.log.records(Topic.DOCUMENTS_CHANGED, start, end):
            read += 1
            if read % BREATHE_AFTER == 0:
                await asyncio.sleep(0)
            if record.value is not None and (record.key or b"").startswith(prefix):
                document = decode(record.value, DocumentChanged)
                if document.source == self.source:
                    yield document

    def _is_to_undo(self, newest: "_Newest", waits_since: datetime | None) -> bool:
        if newest.op is DocumentOp.UPSERTED:
            return waits_since is not None and waits_since >= self.since
        return newest.admitted_at >= self.since and not newest.by_directory

    async def _submission(
        self, newest: "_Newest", state: DocumentChanged | None, undone: Undone
    ) -> DocumentSubmitted | None:
        if state is None:
            undone.lost.append(Lost(external_id=newest.external_id, why="its last state has left the log"))
            return None
        if state.content is not None and not await self.blobs.exists(self.tenant, state.content):
            undone.lost.append(Lost(external_id=newest.external_id, why="its content has left the blob store"))
            return None
        is_there = newest.op is DocumentOp.UPSERTED
        undone.kept += is_there
        undone.restored += not is_there
        return DocumentSubmitted(
            event_id=uuid4(),
            tenant_id=self.tenant,
            occurred_at=state.occurred_at,
            observed_at=self.now,
            document_id=state.document_id,
            source=self.source,
            external_id=state.external_id,
            op=SubmissionOp.PUT,
            lane=Lane.BACKFILL,  # a sync's worth of documents: not before what people are editing
            source_version=None,  # an older state, and the newest word: the order of arrival decides
            expected_revision=newest.revision if is_there else Revision(0),
            actor=self.actor,
            state=DocumentState(**{name: getattr(state, name) for name in _FIELDS}),
            patch=None,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class _Newest:
    """A document's newest record, without what makes it large."""

    external_id: str
    revision: Revision
    op: DocumentOp
    admitted_at: datetime
    by_directory: bool

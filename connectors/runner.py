"""Runs a connector: content into the blob store, a submission into the log, then the cursor. In that order.

Killed at any moment it loses nothing: what was submitted and not yet noted in the cursor is noted as in flight. It is
read and submitted again, and admission drops what is unchanged; what is gone by then is deleted (ADR 0207).
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Final, assert_never
from uuid import uuid4

from connectors.batching import batches
from connectors.cursors import CursorStore, noted, without_marks
from connectors.doubts import Doubts
from connectors.endings import SyncReport
from connectors.in_flight import InFlight
from connectors.mirroring import mirrored
from connectors.outstanding import Outstanding
from connectors.passes import Pass, looks_of, passes_of
from connectors.protocol import (
    Connector,
    Cursor,
    CursorMoved,
    Deleted,
    GroupMirrored,
    ItemConnector,
    ItemFailed,
    Left,
    LiveConnector,
    Observed,
    Patched,
    ReadyConnector,
    SourceChange,
    Upserted,
)
from connectors.tally import Tally, reported
from connectors.work import CHANGES, Work
from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.producer import EventProducer
from headwater.clients.kafka.records import Outgoing
from headwater.errors import PoisonError
from headwater.ports.blobs import BlobStore
from headwater.retry import RetryPolicy, retry
from headwater.settings import Settings
from headwater.telemetry.metrics import SYNC_ITEMS
from headwater.telemetry.tracing import span
from schemas.codec import encode
from schemas.events.base import Lane
from schemas.events.documents import DocumentState, DocumentSubmitted, SubmissionOp
from schemas.ids import Principal, Revision, SourceId, TenantId, directory_key, document_id, document_key
from schemas.topics import Topic

BATCH: Final = 64  # changes submitted side by side: memory is this many pieces of content, not documents
SYNCED_MARK: Final = "!synced"  # part of the cursor: a first pass came to its end
CREATED_MARK: Final = "!created"  # part of the cursor: which life of the source it is of
FORGOTTEN_AT_ONCE: Final = 5_000  # parts of a cursor
# Worst wait for one call: 0.2 + 0.4 + ... up to 10 s each, 120 s in all: then the pass ends and says why.
RETRY: Final = RetryPolicy(attempts=20, first_delay_s=0.2, max_delay_s=10.0, budget_s=120.0)


async def _untold(_: SyncReport) -> None:
    """Nobody wants to know how far it is."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


def _always() -> None:
    """Let it write: nobody else can hold the source."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """Brings one source up to date, once (`sync`) or for as long as it runs (`follow`).

    `may_write` is asked before anything is sent and raises where another worker may hold the source by now; `tell` is
    awaited after every batch.
    """

    settings: Settings
    connector: Connector
    cursors: CursorStore
    blobs: BlobStore
    producer: EventProducer
    tenant: TenantId
    source: SourceId
    created: Revision | None = None  # tells this life of the source from an earlier one of the same name
    may_write: Callable[[], None] = _always
    tell: Callable[[SyncReport], Awaitable[None]] = _untold
    now: Callable[[], datetime] = _utc_now

    async def sync(self, work: Work = CHANGES) -> SyncReport:
        """Do the work and say how it ended. What comes before a first pass has ended goes to the backfill lane."""

        async def all_passes(tally: Tally) -> None:
            await (self.connector.ready() if isinstance(self.connector, ReadyConnector) else self.connector.check())
            cursor, passes = await self._begun(tally), passes_of(self.connector, work)
            await self._run(passes, tally, cursor)
            await self._run(looks_of(self.connector, work, tally.in_flight.left.external_ids), tally)
            await self._save(tally.in_flight.ended())
            if any(each.complete for each in passes):
                await self._look_at_outstanding(tally)

        return await reported(all_passes)

    async def follow(self, connector: LiveConnector) -> SyncReport:
        """Submit what changes from now on, until cancelled or until the source fails. Call after a `sync`."""

        async def following(tally: Tally) -> None:
            await self._submit_all(connector.live, await self._begun(tally), Lane.LIVE, tally)

        return await reported(following)

    async def _cursor(self) -> Mapping[str, bytes]:
        """Load the cursor. What an earlier source of the same name has left is removed: its documents are gone."""
        cursor = await self.cursors.load()
        own = None if self.created is None else str(self.created).encode()
        if own is None or cursor.get(CREATED_MARK) == own:
            return cursor
        self.may_write()
        names = iter(cursor)
        while forgotten := dict.fromkeys(islice(names, FORGOTTEN_AT_ONCE)):
            await retry(lambda parts=forgotten: self.cursors.save(parts), policy=RETRY)  # type: ignore[misc]
        await retry(lambda: self.cursors.save({CREATED_MARK: own}), policy=RETRY)
        return {}

    async def _begun(self, tally: Tally) -> Mapping[str, bytes]:
        """Return the cursor, in which nobody knows any more what was submitted of what was in flight."""
        cursor = await self._cursor()
        tally.in_flight = InFlight(cursor)
        if not tally.in_flight.left:
            return cursor
        await self._save(self.connector.unknown(tally.in_flight.left, without_marks(cursor)))
        return await self._cursor()

    async def _run(self, passes: Sequence[Pass], tally: Tally, cursor: Mapping[str, bytes] | None = None) -> None:
        """Make the passes; with the cursor of the first one, where it is loaded already."""
        for each in passes:
            cursor = await self._cursor() if cursor is None else cursor
            lane = Lane.LIVE if SYNCED_MARK in cursor else Lane.BACKFILL
            if tally.outstanding is None and isinstance(self.connector, ItemConnector):
                tally.outstanding = Outstanding(cursor, self.now())
            await self._submit_all(each.of, cursor, lane, tally, whole=each.whole)
            if each.complete and SYNCED_MARK not in cursor:
                await self.cursors.save({SYNCED_MARK: self.now().isoformat().encode()})
            cursor = None

    async def _look_at_outstanding(self, tally: Tally) -> None:
        """Look at what failed earlier and was not met since, where that is due; report the rest as missing."""
        outstanding, connector = tally.outstanding, self.connector
        if outstanding is None or not isinstance(connector, ItemConnector):
            return
        if looks := outstanding.look():
            await self._submit_all(partial(connector.items, looks), await self._cursor(), Lane.LIVE, tally)
            outstanding.looked()
            await self._save(outstanding.news())
        for external_id, reason in outstanding.waiting().items():
            tally.missing(external_id, reason)

    async def _submit_all(
        self,
        reading: Callable[[Cursor], AsyncIterator[Observed]],
        cursor: Cursor,
        lane: Lane,
        tally: Tally,
        *,
        whole: bool = False,
    ) -> None:
        doubts = Doubts(cursor, self.settings.connectors)
        async for batch in batches(reading(without_marks(cursor)), at_most=BATCH):
            good, groups = [], []
            moved: dict[str, bytes | None] = {}
            for change in batch:
                match change:
                    case ItemFailed():
                        tally.fail(change.external_id, change.error)
                    case GroupMirrored():
                        groups.append(change)
                    case CursorMoved():
                        moved.update(change.cursor)
                    case SourceChange():
                        good.append(change)
                        tally.left = change.left
                    case Left():
                        tally.left = change
            # First: what the documents' access names should be there when they are.
            await self._mirror(groups, tally)
            judged = list(zip(good, doubts.judged(good), strict=True))
            await self._save(doubts.news())
            await self._submit(judged, lane, tally)
            if tally.outstanding is not None:  # before a place that has passed what failed
                await self._save(tally.outstanding.news())
            await self._save(moved)  # last: what came before it is confirmed
            await self.tell(tally.so_far())
        doubts.end(whole=whole)
        await self._save(doubts.news())

    async def _save(self, parts: Mapping[str, bytes | None]) -> None:
        if parts:
            self.may_write()
            await retry(lambda: self.cursors.save(parts), policy=RETRY)

    async def _mirror(self, groups: Sequence[GroupMirrored], tally: Tally) -> None:
        """Bring groups into the log, then into the cursor."""
        if not groups:
            return
        commands = [mirrored(each, tenant=self.tenant, source=self.source, at=datetime.now(UTC)) for each in groups]
        topic = topic_of(self.settings, Topic.DIRECTORY_SUBMITTED)
        records = [
            Outgoing(topic=topic, key=directory_key(each.tenant_id, each.kind, each.record_id), value=encode(each))
            for each in commands
        ]
        await self._save(tally.in_flight.begun(groups))
        self.may_write()
        await retry(lambda: self.producer.send_many(records), policy=RETRY)
        parts = noted(groups) | tally.in_flight.noted(groups)
        await retry(lambda: self.cursors.save(parts), policy=RETRY)
        tally.groups += len(groups)
        SYNC_ITEMS.labels(outcome="group").inc(len(groups))

    async def _submit(self, judged: Sequence[tuple[SourceChange, str | None]], lane: Lane, tally: Tally) -> None:
        """Bring one batch into the log, then into the cursor."""
        with span("submit", events=len(judged), lane=lane.value):
            made = await asyncio.gather(*(self._submission(change, doubt, lane, tally) for change, doubt in judged))
            submissions = [
                (change, event) for (change, _), event in zip(judged, made, strict=True) if event is not None
            ]
            changes = [change for change, _ in submissions]
            if not changes:
                return
            await self._save(tally.in_flight.begun(changes))
            self.may_write()
            await retry(lambda: self._send([event for _, event in submissions]), policy=RETRY)
            parts = noted(changes) | tally.in_flight.noted(changes)
            if tally.outstanding is not None:
                tally.outstanding.submitted(change.external_id for change in changes)
            await retry(lambda: self.cursors.save(parts), policy=RETRY)

    async def _send(self, events: Sequence[DocumentSubmitted]) -> None:
        await self.producer.send_many(
            Outgoing(
                topic=topic_of(
                    self.settings,
                    Topic.DOCUMENTS_SUBMITTED if event.lane is Lane.LIVE else Topic.DOCUMENTS_BACKFILL,
                ),
                key=document_key(event.tenant_id, event.document_id),
                value=encode(event),
            )
            for event in events
        )

    async def _submission(
        self, change: SourceChange, doubt: str | None, lane: Lane, tally: Tally
    ) -> DocumentSubmitted | None:
        """Store the content and describe the submission; None where this one item cannot be read."""
        op, state, patch = SubmissionOp.DELETE, None, None
        match change.what:
            case Upserted():
                op = SubmissionOp.PUT
                try:
                    state = await retry(lambda: self._with_content(change.what), policy=RETRY)
                except PoisonError as error:
                    tally.fail(change.external_id, error)
                    return None
                tally.upserted += 1
                tally.content_bytes += state.content.size_bytes if state.content else 0
            case Patched():
                op, patch = SubmissionOp.PATCH, change.what.patch
                tally.patched += 1
            case Deleted():
                tally.delete(doubt)
            case _:
                assert_never(change.what)
        SYNC_ITEMS.labels(outcome=op.value).inc()
        return DocumentSubmitted(
            event_id=uuid4(),
            tenant_id=self.tenant,
            occurred_at=change.occurred_at,
            observed_at=datetime.now(UTC),
            document_id=document_id(self.tenant, self.source, change.external_id),
            source=self.source,
            external_id=change.external_id,
            op=op,
            lane=lane,
            source_version=change.source_version,
            expected_revision=None,
            actor=Principal(f"group:{self.source}:connector"),
            state=state,
            patch=patch,
            doubt=doubt,
        )

    async def _with_content(self, what: Upserted | Patched | Deleted) -> DocumentState:
        if not isinstance(what, Upserted):
            raise TypeError("only an upserted document has content")
        if what.content is None:
            return what.state
        return replace(what.state, content=await self.blobs.write(self.tenant, what.content()))

"""Glue of stage `status`: the read model in Elasticsearch, and facts for everybody."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final, TypeVar

import structlog

from headwater.clients.elasticsearch.read_model import ElasticsearchDocuments
from headwater.errors import PoisonError, RetryableError
from headwater.generations.following import follow_serving
from headwater.ports.read_model import DocumentReadModel, RefusedSubmission, StoreStates
from headwater.retry import RetryPolicy, retry
from schemas.events import AuditRecorded, DocumentChanged, DocumentProgressed, EventParked, EventResolved
from schemas.events.base import Lane, Position, Store
from schemas.ids import DocumentId, GenerationName, Revision, document_key, progress_key
from schemas.topics import Topic
from streams.harness.delivery import Delivery, Outcome
from streams.harness.dispatcher import Limits
from streams.harness.gathering import Coalescer
from streams.harness.publishing import Emission, Publisher
from streams.harness.recent import Recent
from streams.harness.stage import Failure, Resources, Stage, StageSpec
from streams.status import step
from streams.status.timing import Timing

T = TypeVar("T")
R = TypeVar("R")
log = structlog.get_logger(__name__)

STAGE: Final = "status"
_RECORDS_PER_CALL: Final = 500
_BACKFILL_PATIENCE_S: Final = 1.0  # listings follow within a second as well
_REMEMBERED: Final = 50_000
# The log's own record is read from another topic and is recorded milliseconds after admission, long before any report.
# Where it does not come, the document was erased in the meantime.
_STATE_WAIT: Final = RetryPolicy(attempts=20, first_delay_s=0.05, max_delay_s=1.0, budget_s=10.0)


class _StateNotRecordedYetError(RetryableError):
    """A report was read before the document's own event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Writers:
    """Records of many events in few calls."""

    states: Coalescer[tuple[DocumentChanged, Position], None]
    progress: Coalescer[DocumentProgressed, StoreStates]  # what both stores have reported of the document by then
    parked: Coalescer[EventParked, None]
    resolved: Coalescer[EventResolved, None]
    refusals: Coalescer[RefusedSubmission, None]

    @classmethod
    def of(cls, model: DocumentReadModel) -> "Writers":
        """Return the writers of a read model."""
        return cls(
            states=_writer(model.record_states),
            progress=_writer(partial(_record_progress, model)),
            parked=_writer(model.record_parked),
            resolved=_writer(model.record_resolved),
            refusals=_writer(model.record_refusals),
        )

    async def close(self) -> None:
        """Stop writing."""
        await self.states.close()
        await self.progress.close()
        await self.parked.close()
        await self.resolved.close()
        await self.refusals.close()


@dataclass(frozen=True, slots=True, kw_only=True)
class StatusStage:
    """Keeps the documents read model, measures freshness, and announces what is searchable or gone everywhere."""

    model: DocumentReadModel
    writers: Writers
    publisher: Publisher
    timing: Timing
    # Highest revision that this worker has read of each report's key: what comes after it and is lower is late.
    _highest: Recent[bytes, Revision] = field(default_factory=lambda: Recent(_REMEMBERED))
    _addresses: Recent[DocumentId, step.Address] = field(default_factory=lambda: Recent(_REMEMBERED))
    _announced: Recent[tuple[DocumentId, GenerationName], Revision] = field(default_factory=lambda: Recent(_REMEMBERED))

    async def handle(
        self,
        event: DocumentChanged | DocumentProgressed | EventParked | EventResolved | AuditRecorded,
        delivery: Delivery,
    ) -> Outcome:
        """See Stage."""
        match event:
            case DocumentChanged():
                await self.writers.states.add((event, delivery.origin), weight=1, patient=event.lane is Lane.BACKFILL)
                self._addresses.put(event.document_id, step.address_of(event))
                return Outcome.DONE
            case DocumentProgressed():
                return await self._progressed(event)
            case EventParked():
                return await self._parked(event)
            case EventResolved():
                await self.writers.resolved.add(event, weight=1)
                return Outcome.DONE
            case AuditRecorded():
                refusal = step.refusal_of(event)
                if refusal is not None:
                    await self.writers.refusals.add(refusal, weight=1)
                return Outcome.DONE

    async def give_up(self, event: object, delivery: Delivery, failure: Failure) -> None:
        """See Stage: nobody waits for what this stage writes."""

    async def _parked(self, letter: EventParked) -> Outcome:
        try:
            await self.writers.parked.add(letter, weight=1)
        except PoisonError as error:  # parking a letter about a letter would never end
            log.error("letter_not_recorded", error=type(error).__name__)  # noqa: TRY400 - its text says nothing more
            return Outcome.PARKED
        return Outcome.DONE

    async def _progressed(self, report: DocumentProgressed) -> Outcome:
        states = await self.writers.progress.add(report, weight=1, patient=report.lane is Lane.BACKFILL)
        self.timing.report(report)
        if await self._is_overtaken(report, states):
            return Outcome.SUPERSEDED
        reports = step.everywhere(report.revision, states)
        if reports is not None:
            return await self._announce(report, reports)
        return Outcome.DONE

    async def _is_overtaken(self, report: DocumentProgressed, states: StoreStates) -> bool:
        """Say whether a zombie reported this after a higher one; the higher is then appended again.

        Otherwise compaction would keep the lower one, and a replica that starts later would know no better.
        """
        key = progress_key(report.tenant_id, report.document_id, report.generation, report.store)
        known = self._highest.get(key)
        self._highest.put(key, max(known or report.revision, report.revision))
        higher = step.overtaken_by(report, states)
        if higher is None or (known is not None and known <= report.revision):
            return False  # reading an old log again meets every lower report before its higher one
        routed_by = document_key(report.tenant_id, report.document_id)
        await self.publisher.publish(
            [Emission(topic=Topic.DOCUMENTS_PROGRESSED, key=key, event=higher, routed_by=routed_by)]
        )
        return True

    async def _announce(self, report: DocumentProgressed, reports: dict[Store, DocumentProgressed]) -> Outcome:
        name = (report.document_id, report.generation)
        if self._announced.get(name) == report.revision:
            return Outcome.DONE
        try:
            address = await retry(lambda: self._address(report), policy=_STATE_WAIT)
        except _StateNotRecordedYetError:
            log.warning("document_not_recorded", revision=report.revision)
            return Outcome.SUPERSEDED
        key = document_key(report.tenant_id, report.document_id)
        fact = step.ingested(address, reports)
        await self.publisher.publish([Emission(topic=Topic.DOCUMENTS_INGESTED, key=key, event=fact)])
        self.timing.fact(fact)
        self._announced.put(name, report.revision)
        return Outcome.DONE

    async def _address(self, report: DocumentProgressed) -> step.Address:
        known = self._addresses.get(report.document_id)
        if known is not None:
            return known
        view = await self.model.get_document(report.tenant_id, report.document_id, generation=report.generation)
        if view is None:
            raise _StateNotRecordedYetError("rag.documents.changed is read later than the reports")
        return step.address_of(view.state)


async def _record_progress(model: DocumentReadModel, reports: Sequence[DocumentProgressed]) -> list[StoreStates]:
    """Record reports, then read what is known of their documents: both in one call for all of them."""
    await model.record_progress(reports)
    states: dict[GenerationName, Mapping[DocumentId, StoreStates]] = {}
    for generation in {report.generation for report in reports}:
        documents = {(each.tenant_id, each.document_id) for each in reports if each.generation == generation}
        states[generation] = await model.store_states(tuple(documents), generation=generation)
    return [states[report.generation][report.document_id] for report in reports]


def _writer(record: Callable[[Sequence[T]], Awaitable[Sequence[R] | None]]) -> Coalescer[T, R]:
    return Coalescer(record, max_weight=_RECORDS_PER_CALL, patience_s=_BACKFILL_PATIENCE_S)


@asynccontextmanager
async def _open(resources: Resources) -> AsyncIterator[Stage]:
    async with (
        ElasticsearchDocuments.open(resources.settings.elasticsearch) as model,
        follow_serving(resources.settings) as serving,
    ):
        writers = Writers.of(model)
        try:
            yield StatusStage(
                model=model,
                writers=writers,
                publisher=resources.publisher,
                timing=Timing.of(resources.settings, lambda: serving.name),
            )
        finally:
            await writers.close()


STATUS = StageSpec(
    name=STAGE,
    topics={
        Topic.DOCUMENTS_PROGRESSED: DocumentProgressed,
        Topic.DOCUMENTS_CHANGED: DocumentChanged,
        Topic.EVENTS_PARKED: EventParked,
        Topic.EVENTS_RESOLVED: EventResolved,
        Topic.AUDIT_RECORDED: AuditRecorded,
    },
    open=_open,
    limits=lambda settings: Limits(live_keys=32, backfill_keys=64, buffer_bytes=settings.stages.buffer_bytes),
    per_generation=False,
    keyed=frozenset({Topic.DOCUMENTS_PROGRESSED, Topic.DOCUMENTS_CHANGED}),
)

"""Takes a batch through one Kafka transaction: decide, append, commit; then, and only then, remember."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import structlog

from headwater.clients.kafka.config import topic_of
from headwater.clients.kafka.records import Offsets, Record
from headwater.errors import PoisonError, RetryableError
from headwater.settings import Settings
from headwater.telemetry.metrics import (
    ADMISSION_ABORTS,
    ADMISSION_DECISIONS,
    EVENTS_PARKED,
    EVENTS_SETTLED,
    SUBMISSIONS_EXPIRED,
    SUBMISSIONS_EXPIRED_AT,
)
from headwater.telemetry.tracing import inject_headers, span
from schemas.codec import encode
from schemas.errors import ContractError
from schemas.events.base import Lane, Position
from schemas.events.directory import DirectoryChanged
from schemas.events.documents import DocumentSubmitted
from schemas.events.queries import AuditRecorded
from schemas.ids import directory_key, document_key, progress_key, scoped_key
from schemas.topics import Topic
from streams.admit.audit import audit_directory, audit_document, audit_erasure, outcome_of
from streams.admit.backlog import Place
from streams.admit.context import Context, ControlData
from streams.admit.directory_overlay import DirectoryOverlay
from streams.admit.directory_step import decide_directory
from streams.admit.erasure import Candidate, Erasure
from streams.admit.expiry import Gap, SubmissionsExpiredError, audit_gap, expired_letter
from streams.admit.heads import AdmissionHeads
from streams.admit.intake import STAGE, letter, read_command, read_document
from streams.admit.outcomes import (
    DIRECTORY_REFUSALS,
    Admitted,
    AdmittedDirectory,
    DirectoryDecision,
    DocumentDecision,
    DocumentHead,
    Dropped,
    Quarantined,
    Refusal,
    Refused,
)
from streams.admit.ports import FollowsDirectory, Writer
from streams.admit.purge import Purge, Purges
from streams.admit.step import decide
from streams.admit.topics import AdmissionTopics

log = structlog.get_logger(__name__)


class AdmissionWorker:
    """Decides and appends. Everything it writes about a batch becomes visible together with the batch's positions."""

    def __init__(
        self,
        settings: Settings,
        topics: AdmissionTopics,
        heads: AdmissionHeads,
        writer: Writer,
        directory: FollowsDirectory,
        *,
        now_ms: Callable[[], int],
        refresh_directory: Callable[[], None],
        on_backfill: Callable[[int], None],
    ) -> None:
        self._settings = settings
        self._topics = topics
        self._heads = heads
        self._writer = writer
        self._directory = directory
        self._now_ms = now_ms
        self._refresh_directory = refresh_directory
        self._on_backfill = on_backfill
        self._overlay = DirectoryOverlay(directory.table)
        for waits in (Refusal.DELETION_BUDGET, Refusal.DELETION_DOUBTED):
            ADMISSION_DECISIONS.labels("quarantined", waits.value)  # a series that begins above zero alerts nobody
        self._refreshed = False  # in the open transaction: all of its submissions were made before that

    def admit_directory(self, records: Sequence[Record], group: Any) -> Offsets:
        """Settle directory commands in a transaction of their own. Return what was written, by partition."""
        self._overlay = DirectoryOverlay(self._directory.table)
        return self._transaction(records, _places(records), group, self._settle_command)

    def admit_documents(
        self, records: Sequence[Record], group: Any, *, backfill: Mapping[int, Place] | None = None
    ) -> Offsets:
        """Settle submissions. Return what was written, by partition.

        `backfill` is what to commit of the backfill topic's partitions, where its records do not come in their order.
        """
        places = _places(records)
        for partition, place in (backfill or {}).items():
            places[self._topics.backfill, partition] = place
        return self._transaction(records, places, group, self._settle_submission)

    def purge(self, purges: Purges, purge: Purge, position: tuple[str, int, int], group: Any) -> None:
        """Carry a purge on by one bounded transaction.

        `position` is an input's, unchanged: committing it again is what fences a worker that has lost the partition.
        """
        context = self._context(purges.position(purge), partition=purge.partition)
        deletions, after = purges.scan(purge, context)
        if deletions:
            topic, partition, offset = position
            with self._all_or_nothing():
                for previous, record in deletions:
                    head = replace(previous, record=record, waiting=None)
                    self._append_head(head, purge.partition, previous=previous)
                    self._append_waiting(head, purge.partition, previous=previous)
                self._remember(self._writer.commit({(topic, partition): Place(offset=offset)}, group))
        purges.advance(purge, after, now_ms=self._now_ms())

    def erase(self, partition: int, erasures: Sequence[Erasure], position: tuple[str, int, int], group: Any) -> int:
        """Replace the records of these deletions by tombstones; return how many. `position` fences, as in `purge`.

        A document that was submitted again meanwhile is left alone.
        """
        heads = [self._heads.get(partition, each.candidate.document_id) for each in erasures]
        still = [each for each, head in zip(erasures, heads, strict=True) if _is_still(head, each.candidate)]
        if still:
            topic, number, offset = position
            with self._all_or_nothing():
                for erasure in still:
                    self._append_tombstones(partition, erasure)
                    self._heads.erase(partition, erasure.candidate.document_id)
                self._remember(self._writer.commit({(topic, number): Place(offset=offset)}, group))
            log.info("documents_erased", partition=partition, count=len(still))
        return len(still)

    def tell_expired(self, gaps: Sequence[Gap], group: Any) -> None:
        """Say what was removed before it was read, a dead letter for each gap, and commit the positions behind it."""
        now = datetime.fromtimestamp(self._now_ms() / 1000, tz=UTC)
        with self._all_or_nothing():
            for gap in gaps:
                letter = expired_letter(gap, generation=self._settings.generation, now=now)
                self._writer.produce(self._topics.parked, key=b"", value=encode(letter))
                self._audit(audit_gap(gap, now=now))
            self._writer.commit({(gap.topic, gap.partition): gap.place for gap in gaps}, group)
        for gap in gaps:
            EVENTS_PARKED.labels(STAGE, SubmissionsExpiredError.__name__).inc()
            SUBMISSIONS_EXPIRED.inc(gap.at_most)
            if gap.at_most:
                SUBMISSIONS_EXPIRED_AT.set(now.timestamp())
            log.error(
                "submissions_expired",
                topic=gap.topic,
                partition=gap.partition,
                offset=gap.first,
                count=gap.at_most,
            )

    def _append_tombstones(self, partition: int, erasure: Erasure) -> None:
        tenant, document = erasure.candidate.tenant_id, erasure.candidate.document_id
        key = document_key(tenant, document)
        self._writer.produce(self._topics.changed, key=key, value=None, partition=partition)
        progressed = topic_of(self._settings, Topic.DOCUMENTS_PROGRESSED)  # has the partitions of the documents
        for generation, store in erasure.reported:
            key = progress_key(tenant, document, generation, store.value)
            self._writer.produce(progressed, key=key, value=None, partition=partition)
        self._audit(audit_erasure(erasure.candidate, self._topics.changed, partition, self._now_ms()))

    def _transaction(
        self,
        records: Sequence[Record],
        places: Mapping[tuple[str, int], Place],
        group: Any,
        settle: Callable[[Record], str],
    ) -> Offsets:
        self._refreshed = False
        with self._all_or_nothing():
            outcomes = [settle(record) for record in records]
            written = self._writer.commit(places, group)
            self._remember(written)
        for outcome in outcomes:
            EVENTS_SETTLED.labels(STAGE, outcome).inc()
        return written

    @contextmanager
    def _all_or_nothing(self) -> Iterator[None]:
        self._writer.begin()
        try:
            yield
        except RetryableError:
            ADMISSION_ABORTS.inc()
            self._heads.discard()
            self._writer.abort()
            raise

    def _remember(self, written: Offsets) -> None:
        for partition, offset in written.get(self._topics.changed, {}).items():
            self._heads.advance(partition, offset)
        self._heads.persist()

    def _settle_submission(self, record: Record) -> str:
        try:
            submission = read_document(record, self._topics)
        except (PoisonError, ContractError) as error:
            return self._park(record, error)
        with span("admit", headers=record.headers, lane=submission.lane.value, document_id=submission.document_id):
            head = self._heads.get(record.position.partition, submission.document_id)
            decision, context = self._decide(submission, head, record.position)
            self._append(decision, record.position.partition, previous=head)
            self._audit(audit_document(submission, decision, context))
        return _counted(decision)

    def _decide(
        self, submission: DocumentSubmitted, head: DocumentHead | None, position: Position
    ) -> tuple[DocumentDecision, Context]:
        context = self._context(position, partition=position.partition)
        decision = decide(submission, head, context)
        if isinstance(decision, Refused) and decision.reason in DIRECTORY_REFUSALS and not self._refreshed:
            self._refresh_directory()
            self._refreshed = True
            context = self._context(position, partition=position.partition)
            decision = decide(submission, head, context)
        return decision, context

    def _append(self, decision: DocumentDecision, partition: int, *, previous: DocumentHead | None) -> None:
        match decision:
            case Admitted(record=record, head=head):
                self._append_head(head, partition, previous=previous)
                if record.lane is Lane.BACKFILL:
                    self._on_backfill(0 if record.content is None else record.content.size_bytes)
            case Dropped(head=head) | Refused(head=head) | Quarantined(head=head) if head is not None:
                self._heads.learn(partition, head)
            case _:
                return
        self._append_waiting(head, partition, previous=previous)

    def _append_head(self, head: DocumentHead, partition: int, *, previous: DocumentHead | None) -> None:
        value = encode(head.record)
        key = document_key(head.record.tenant_id, head.record.document_id)
        self._writer.produce(self._topics.changed, key=key, value=value, partition=partition, headers=inject_headers())
        self._heads.put(partition, head, value, previous=previous)

    def _append_waiting(self, head: DocumentHead, partition: int, *, previous: DocumentHead | None) -> None:
        """Say that a deletion waits, or waits no longer, where that has changed."""
        if head.waiting == (None if previous is None else previous.waiting):
            return
        key = document_key(head.record.tenant_id, head.record.document_id)
        value = None if head.waiting is None else encode(head.waiting)
        self._writer.produce(self._topics.quarantined, key=key, value=value, partition=partition)

    def _settle_command(self, record: Record) -> str:
        try:
            command = read_command(record)
        except (PoisonError, ContractError) as error:
            return self._park(record, error)
        with span("admit", headers=record.headers, kind=command.kind.value):
            context = self._context(record.position, partition=record.position.partition, directory=self._overlay)
            latest = self._overlay.latest(command.tenant_id, command.kind, command.record_id)
            decision = decide_directory(command, latest, context)
            if isinstance(decision, AdmittedDirectory):
                self._append_directory(decision.record)
            self._audit(audit_directory(command, decision, context))
        return _counted(decision)

    def _append_directory(self, record: DirectoryChanged) -> None:
        key = directory_key(record.tenant_id, record.kind.value, record.record_id)
        self._writer.produce(
            self._topics.directory_changed, key=key, value=encode(record), partition=0, headers=inject_headers()
        )
        self._overlay.apply(record)

    def _audit(self, event: AuditRecorded | None) -> None:
        if event is not None:
            key = scoped_key(event.tenant_id, event.actor)
            self._writer.produce(self._topics.audit, key=key, value=encode(event), headers=inject_headers())

    def _park(self, record: Record, error: PoisonError | ContractError) -> str:
        now = self._context(record.position, partition=record.position.partition).now
        parked = letter(record, error, generation=self._settings.generation, now=now)
        self._writer.produce(self._topics.parked, key=record.key or b"", value=encode(parked))
        EVENTS_PARKED.labels(STAGE, parked.error).inc()
        log.warning("submission_parked", error=parked.error, topic=record.position.topic, offset=record.position.offset)
        return "parked"

    def _context(self, position: Position, *, partition: int, directory: ControlData | None = None) -> Context:
        now_ms = self._now_ms()
        return Context(
            now_ms=now_ms,
            position=position,
            directory=directory or self._directory.table,
            directory_position=self._directory.position,
            partitions=self._topics.partitions,
            usage=lambda tenant, source: self._heads.usage(partition, tenant, source, now_ms=now_ms),
            limits=self._settings.limits,
            region=self._settings.region,
        )


def _is_still(head: DocumentHead | None, candidate: Candidate) -> bool:
    return head is not None and not head.exists and head.record.revision == candidate.revision


def _places(records: Sequence[Record]) -> dict[tuple[str, int], Place]:
    places: dict[tuple[str, int], Place] = {}
    for record in records:
        key = (record.position.topic, record.position.partition)
        if key not in places or places[key].offset <= record.position.offset:
            places[key] = Place(offset=record.position.offset + 1)
    return places


def _counted(decision: DocumentDecision | DirectoryDecision) -> str:
    outcome = outcome_of(decision)
    reason = decision.reason.value if isinstance(decision, Dropped | Refused | Quarantined) else "none"
    ADMISSION_DECISIONS.labels(outcome, reason).inc()
    return outcome

"""From a record to a submission, or to the letter that says why it is none."""

from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from headwater.clients.kafka.partitions import check_partition
from headwater.clients.kafka.records import Record
from headwater.errors import PoisonError
from schemas.codec import decode, peek
from schemas.errors import ContractError
from schemas.events.directory import DirectorySubmitted
from schemas.events.documents import DocumentSubmitted
from schemas.events.parked import EventParked
from schemas.ids import GenerationName, directory_key, document_key
from streams.admit.topics import AdmissionTopics

E = TypeVar("E")

STAGE = "admit"
# The letter must fit into a record together with its key and headers.
MAX_PARKED_BYTES = 512 * 1024
# A page of one line costs every stage its events, a batch, a row and a state, as one of this size does.
SMALLEST_DOCUMENT_BYTES = 16 * 1024


class ForeignKeyError(PoisonError):
    """A record's key does not belong to its event: the order of the event's own key would be lost."""


class EmptyRecordError(PoisonError):
    """A record without a value: a submission topic has no tombstones."""


def read_document(record: Record, topics: AdmissionTopics) -> DocumentSubmitted:
    """Return the submission, its lane that of the topic. Raises PoisonError or ContractError."""
    check_partition(record.key, record.position.partition, topics.partitions)
    submission = _decoded(record, DocumentSubmitted)
    if record.key != document_key(submission.tenant_id, submission.document_id):
        raise ForeignKeyError("the record's key is not tenant/document_id of its event; use schemas.ids.document_key")
    lane = topics.lane(record.position.topic)
    return submission if submission.lane is lane else replace(submission, lane=lane)


def read_command(record: Record) -> DirectorySubmitted:
    """Return the directory command. Raises PoisonError or ContractError."""
    command = _decoded(record, DirectorySubmitted)
    if record.key != directory_key(command.tenant_id, command.kind.value, command.record_id):
        raise ForeignKeyError("the record's key is not tenant/kind/id of its event; use schemas.ids.directory_key")
    return command


def letter(
    record: Record, error: PoisonError | ContractError, *, generation: GenerationName, now: datetime
) -> EventParked:
    """Return the dead letter of a record that admission cannot read."""
    value = record.value or b""
    about = peek(value)
    return EventParked(
        origin=record.position,
        key=record.key,
        value=value[:MAX_PARKED_BYTES],
        headers=record.headers,
        stage=STAGE,
        generation=generation,
        error=type(error).__name__,
        reason=str(error),
        attempts=1,
        parked_at=now,
        tenant_id=about.tenant_id if about else None,
        document_id=about.document_id if about else None,
        revision=about.revision if about else None,
    )


def backfill_cost(record: Record) -> int:
    """Return the bytes that a backfill submission will occupy on its way through the stages, roughly."""
    try:
        submission = _decoded(record, DocumentSubmitted)
    except (PoisonError, ContractError):
        return SMALLEST_DOCUMENT_BYTES  # it will be parked
    state = submission.state or submission.patch
    content = None if state is None else state.content
    return SMALLEST_DOCUMENT_BYTES if content is None else max(content.size_bytes, SMALLEST_DOCUMENT_BYTES)


def _decoded(record: Record, event_type: type[E]) -> E:
    if record.value is None:
        raise EmptyRecordError("a submission without a value: send a deletion as an event")
    return decode(record.value, event_type)

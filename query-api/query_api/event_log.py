"""Events on their way into Kafka: each under the key that keeps it in order with what it must not overtake."""

from dataclasses import dataclass
from typing import Protocol

from headwater.clients.kafka.producer import EventProducer
from schemas.events import (
    AuditRecorded,
    CanaryMeasured,
    DirectorySubmitted,
    DocumentSubmitted,
    Event,
    EventResolved,
    FeedbackReceived,
    Lane,
    Position,
    QueryExecuted,
    SyncRequested,
)
from schemas.events.base import place_of
from schemas.ids import directory_key, document_key, scoped_key
from schemas.topics import Topic


class EventSink(Protocol):
    """Appends events to the log."""

    async def send(self, event: Event) -> Position:
        """Return where the broker holds the event, once it does. Raise RetryableError when it is away."""
        ...


@dataclass(frozen=True, slots=True)
class KafkaEventSink:
    """Implements EventSink: topic and key follow from the event's type."""

    producer: EventProducer

    async def send(self, event: Event) -> Position:
        """See the port."""
        return await self.producer.send(topic_of(event), event, key=key_of(event))


def topic_of(event: Event) -> Topic:
    """Return the topic; a submission's lane chooses between two of the same type."""
    if isinstance(event, DocumentSubmitted) and event.lane is Lane.BACKFILL:
        return Topic.DOCUMENTS_BACKFILL
    return event.topic


def key_of(event: Event) -> bytes:
    """Return the Kafka key that the topic's catalogue file names."""
    match event:
        case DocumentSubmitted() | CanaryMeasured():
            return document_key(event.tenant_id, event.document_id)
        case DirectorySubmitted():
            return directory_key(event.tenant_id, event.kind, event.record_id)
        case QueryExecuted() | FeedbackReceived():
            return scoped_key(event.tenant_id, event.query_id)
        case AuditRecorded():
            return scoped_key(event.tenant_id, event.actor)
        case EventResolved(letter=letter):
            return scoped_key(event.tenant_id, place_of(letter.origin))
        case SyncRequested():
            return scoped_key(event.tenant_id, event.source)
        case _:
            raise TypeError(f"{type(event).__name__}: the API does not write it")

"""What an audit appends to the log: submissions that run documents again, and entries of the audit trail."""

from dataclasses import dataclass

from headwater.clients.kafka.producer import EventProducer
from schemas.events.base import Event, Lane, Position
from schemas.events.documents import DocumentSubmitted
from schemas.events.queries import AuditRecorded
from schemas.ids import document_key, scoped_key
from schemas.topics import Topic


@dataclass(frozen=True, slots=True)
class Sender:
    """Each event under the key that its topic's catalogue file names."""

    producer: EventProducer

    async def send(self, event: Event) -> Position:
        """Return where the broker holds the event, once it does. Raises RetryableError when it is away."""
        match event:
            case DocumentSubmitted():
                topic = Topic.DOCUMENTS_BACKFILL if event.lane is Lane.BACKFILL else event.topic
                key = document_key(event.tenant_id, event.document_id)
            case AuditRecorded():
                topic, key = event.topic, scoped_key(event.tenant_id, event.actor)
            case _:
                raise TypeError(f"{type(event).__name__}: an audit does not write it")
        return await self.producer.send(topic, event, key=key)

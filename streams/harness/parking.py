"""Dead letters that explain themselves."""

from datetime import UTC, datetime
from typing import Final

from schemas.events import EventParked
from schemas.ids import GenerationName
from schemas.topics import Topic
from streams.harness.delivery import Delivery
from streams.harness.publishing import Emission, Publisher
from streams.harness.stage import Failure

# A letter holds the original bytes for diagnosis only (a replay starts from the head), and must fit its topic's 2 MiB
# together with headers and reason: what is larger is cut.
MAX_VALUE_BYTES: Final = 1536 * 1024
MAX_REASON_CHARS: Final = 2_000


async def park(
    delivery: Delivery, failure: Failure, *, attempts: int, generation: GenerationName, publisher: Publisher
) -> None:
    """Return only when the broker holds the letter; until then its event is not acknowledged.

    Parking twice is harmless: a letter's identity is where its event lies.
    """
    event = delivery.event
    letter = EventParked(
        origin=delivery.origin,
        key=delivery.key,
        value=(delivery.value or b"")[:MAX_VALUE_BYTES],
        headers=delivery.headers,
        stage=failure.stage,
        generation=generation,
        error=failure.error,
        reason=failure.reason[:MAX_REASON_CHARS],
        attempts=attempts,
        parked_at=datetime.now(UTC),
        tenant_id=getattr(event, "tenant_id", None),
        document_id=getattr(event, "document_id", None),
        revision=getattr(event, "revision", None),
    )
    await publisher.publish([Emission(topic=Topic.EVENTS_PARKED, key=delivery.key or b"", event=letter)])

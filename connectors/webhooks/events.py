"""Events that buckets write into topics of the broker: MinIO does, others by Kafka Connect. They ask for looks.

As of a webhook nothing in them is believed but that a key may be worth a look. Who may write the topic is the broker's
to say; whose buckets it tells of, the operator's: an event names a bucket, and tenants may name theirs alike.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

import structlog

from connectors.webhooks.kinds import KINDS
from connectors.webhooks.receiver import SyncRequests, requests_of
from connectors.work import Work
from connectors.worker.ports import Key, Requests, Sources
from headwater.clients.kafka.records import Item, Record
from headwater.errors import PoisonError, RetryableError
from headwater.telemetry.management import Health
from headwater.telemetry.metrics import WEBHOOK_DELIVERIES
from schemas.ids import TenantId

log = structlog.get_logger(__name__)

KIND: Final = "objects"
AGAIN_S: Final = 1.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(slots=True, kw_only=True)
class BucketEvents:
    """Reads `stream`, of whose topics each tells of one tenant's buckets, and asks for what its events name."""

    stream: Requests
    tenants: Mapping[str, TenantId]  # by topic
    sources: Sources
    requests: SyncRequests
    health: Health
    now: Callable[[], datetime] = _utc_now

    async def run(self) -> None:
        """Read until cancelled. What was read is committed after its requests are in the log: none is lost."""
        while True:
            try:
                items = await self.stream.read()
            except RetryableError as error:
                await self._rest(error)
                continue
            if items:
                await self._ask(self.wanted(items))
                # While the group is rebalancing it takes no positions: they are read again, which is harmless.
                with suppress(RetryableError):
                    await self.stream.commit(_after(items))
            self.health.ready("bucket-events")

    def wanted(self, items: Sequence[Item]) -> dict[Key, Work]:
        """Return what events ask to look at, by source: those of one tenant's buckets that are not paused."""
        found: dict[Key, Work] = {}
        for record in items:
            if isinstance(record, Record) and record.value is not None:
                outcome = "nothing"
                try:
                    for key, work in self._asked(record.position.topic, record.value):
                        found[key] = found.get(key, Work()) | work
                        outcome = "accepted"
                except PoisonError as error:  # the next event is another's; the next pass makes up for this one
                    outcome = "unreadable"
                    log.warning("bucket_event_unreadable", error=type(error).__name__, offset=record.position.offset)
                WEBHOOK_DELIVERIES.labels(outcome).inc()
        return found

    def _asked(self, topic: str, value: bytes) -> Iterable[tuple[Key, Work]]:
        works = [
            (key, KINDS[KIND].work(source, {}, value))
            for key, source in self.sources.items()
            if key[0] == self.tenants[topic] and source.kind == KIND and not source.paused
        ]
        return [(key, work) for key, work in works if work != Work()]

    async def _ask(self, wanted: Mapping[Key, Work]) -> None:
        """Return when the log holds the requests, however long it is away."""
        left = [request for key, work in wanted.items() for request in requests_of(work, key, self.now())]
        while left:
            try:
                await self.requests.ask(left[0])
            except RetryableError as error:
                await self._rest(error)
            else:
                left.pop(0)

    async def _rest(self, error: RetryableError) -> None:
        self.health.unready("bucket-events", type(error).__name__)
        log.warning("bucket_events_waiting", error=type(error).__name__, retry_in_s=AGAIN_S)
        await asyncio.sleep(AGAIN_S)


def _after(items: Iterable[Item]) -> dict[str, dict[int, int]]:
    """Return the next offsets to read."""
    found: dict[str, dict[int, int]] = {}
    for each in items:
        at = each.position
        found.setdefault(at.topic, {})[at.partition] = at.offset + isinstance(each, Record)
    return found

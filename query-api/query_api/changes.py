"""Wishes to change data or rights: appended together with who had them, and from where."""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from uuid import uuid4

from headwater.access.tokens import encode_token
from headwater.ports.heads import Positions
from query_api.authorization import Resource
from query_api.event_log import EventSink
from query_api.identity import Identity
from schemas.events import (
    AuditRecorded,
    DirectorySubmitted,
    DocumentSubmitted,
    Event,
    EventResolved,
    Position,
    SyncRequested,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Who asks, and from where."""

    caller: Identity
    client_address: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeLog:
    """Appends wishes and their audit records; admission says later, in its own audit record, what became of each."""

    events: EventSink
    now: Callable[[], datetime]

    async def append(
        self,
        wish: DocumentSubmitted | DirectorySubmitted | EventResolved | SyncRequested,
        *,
        action: str,
        resource: Resource,
        origin: Origin,
        outcome: str = "submitted",
        reason: str | None = None,
    ) -> Positions:
        """Return the position of the wish once the broker holds both records; `outcome` is the audit record's.

        Raise RetryableError where it does not: nothing or the wish alone may then be in the log, and repeating the
        request is harmless.
        """
        audit = self._audit(action, resource, origin, outcome=outcome, reason=reason)
        position, _ = await _both(self.events, wish, audit)
        return {position.topic: {position.partition: position.offset}}

    async def record(self, *, action: str, resource: Resource, origin: Origin, outcome: str, reason: str) -> None:
        """Append an audit record of what changes nothing; return once the broker holds it, else RetryableError."""
        await self.events.send(self._audit(action, resource, origin, outcome=outcome, reason=reason))

    def _audit(
        self, action: str, resource: Resource, origin: Origin, *, outcome: str, reason: str | None
    ) -> AuditRecorded:
        now = self.now()
        return AuditRecorded(
            event_id=uuid4(),
            tenant_id=resource.tenant_id,
            occurred_at=now,
            observed_at=now,
            actor=origin.caller.principal,
            action=action,
            resource=str(resource),
            outcome=outcome,
            reason=reason,
            client_address=origin.client_address,
        )


async def _both(events: EventSink, wish: Event, audit: Event) -> tuple[Position, Position]:
    """Send side by side: a round trip to the broker less. Both are settled before an error is raised."""
    results = await asyncio.gather(events.send(wish), events.send(audit), return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
    first, second = (result for result in results if isinstance(result, Position))
    return first, second


def token_of(positions: Positions) -> str:
    """Return what a caller passes as `after`."""
    return encode_token(positions)


def newest_of(sent: Iterable[Position]) -> Positions:
    """Return the newest position of each partition: what to wait for, for all of them."""
    newest: dict[str, dict[int, int]] = {}
    for each in sent:
        offsets = newest.setdefault(each.topic, {})
        offsets[each.partition] = max(each.offset, offsets.get(each.partition, 0))
    return newest

"""Submissions that retention removed before admission had read them: what is told of them, and where it goes on."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

from headwater.errors import FatalError
from schemas.events.base import Position
from schemas.events.parked import SUBMISSIONS_EXPIRED, EventParked
from schemas.events.queries import AuditRecorded
from schemas.ids import SYSTEM_TENANT, GenerationName, Principal
from streams.admit.backlog import Place
from streams.admit.intake import STAGE
from streams.admit.step import event_id_of

Input: TypeAlias = tuple[str, int]  # topic, partition

_REMEDY: Final = (
    "sync every source in full (`headwater sources sync NAME --mode full`), put again what was written through the "
    "API, then discard this letter"
)


class SubmissionsExpiredError(FatalError):
    """What was to be read next is gone. Admission starts again, tells what is lost and goes on behind it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gap:
    """Offsets of an input between what the group has settled and the oldest that is there."""

    topic: str
    partition: int
    first: int
    following: int  # the oldest that is there
    note: str  # which of them are settled: see `Place`
    known: bool  # whether the group had a position: else it may have read all of them

    @property
    def at_most(self) -> int:
        """How many submissions may be lost; markers of an outside producer's transactions count too."""
        span = self.following - self.first
        return span - (int(self.note or "0", 16) & ((1 << span) - 1)).bit_count()

    @property
    def place(self) -> Place:
        """Where the group goes on, with what it had settled behind that."""
        bits = int(self.note or "0", 16) >> (self.following - self.first)
        return Place(offset=self.following, note=f"{bits:x}" if bits else "")


def gaps(committed: Mapping[Input, Place | None], oldest: Mapping[str, Mapping[int, int]]) -> tuple[Gap, ...]:
    """Return what lies between positions (None: the group has none) and the oldest offsets, partition by partition."""
    found = (_gap(topic, number, place, oldest[topic][number]) for (topic, number), place in committed.items())
    return tuple(gap for gap in found if gap.following > gap.first)


def expired_letter(gap: Gap, *, generation: GenerationName, now: datetime) -> EventParked:
    """Return the dead letter of a gap: how its submissions end. Told twice, it is the same letter."""
    return EventParked(
        origin=Position(topic=gap.topic, partition=gap.partition, offset=gap.first),
        key=None,
        value=b"",
        headers=(),
        stage=STAGE,
        generation=generation,
        error=SUBMISSIONS_EXPIRED,
        reason=f"{_lost(gap)}; {_REMEDY}",
        attempts=1,
        parked_at=now,
        tenant_id=None,
        document_id=None,
        revision=None,
    )


def audit_gap(gap: Gap, *, now: datetime) -> AuditRecorded:
    """Return what the audit trail says of a gap."""
    position = Position(topic=gap.topic, partition=gap.partition, offset=gap.first)
    return AuditRecorded(
        event_id=event_id_of(position, f"expired/{gap.following}"),
        tenant_id=SYSTEM_TENANT,
        occurred_at=now,
        observed_at=now,
        actor=Principal("system"),
        action="submissions.expire",
        resource=f"{gap.topic}/{gap.partition}",
        outcome="expired",
        reason=_lost(gap),
        client_address=None,
    )


def _gap(topic: str, partition: int, place: Place | None, oldest: int) -> Gap:
    return Gap(
        topic=topic,
        partition=partition,
        first=0 if place is None else place.offset,
        following=oldest,
        note="" if place is None else place.note,
        known=place is not None,
    )


def _lost(gap: Gap) -> str:
    where = f"{gap.topic}[{gap.partition}]: offsets {gap.first} to {gap.following - 1}"
    if gap.known:
        return f"{where} (at most {gap.at_most} submissions) were removed by retention before admission had read them"
    return f"{where} are gone, and so are admission's positions: whether it had read them cannot be told"

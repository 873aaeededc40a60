"""What every event has, and the small values that several events share."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from schemas.ids import TenantId
from schemas.topics import Topic


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events. Times are aware and UTC; trace context travels in Kafka headers."""

    topic: ClassVar[Topic]
    event_id: UUID
    tenant_id: TenantId
    occurred_at: datetime  # at the source
    observed_at: datetime  # by us


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Where a record lies in Kafka: what lineage and idempotence refer to."""

    topic: str
    partition: int
    offset: int


def place_of(position: Position) -> str:
    """Write a position as one word: topic/partition/offset."""
    return f"{position.topic}/{position.partition}/{position.offset}"


class Lane(StrEnum):
    """Live work goes before backfill in every stage."""

    LIVE = "live"
    BACKFILL = "backfill"


class Store(StrEnum):
    """The two legs of a generation."""

    VECTORS = "vectors"
    KEYWORDS = "keywords"

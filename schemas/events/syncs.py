"""Connectors: a sync is an event, and so is where a source resumes."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import ClassVar
from uuid import UUID

from schemas.events.base import Event, Position
from schemas.ids import Principal, SourceId
from schemas.topics import Topic


class SyncMode(StrEnum):
    """How much of a source is looked at."""

    FULL = "full"  # everything, whatever the cursor says
    INCREMENTAL = "incremental"  # what changed since the cursor
    ITEMS = "items"  # the named items alone
    PERMISSIONS = "permissions"  # who may read what, without contents


class SyncEnding(StrEnum):
    """How a sync ended, from best to worst. A closed set: safe as a metric label."""

    COMPLETED = "completed"
    NOTHING_NEW = "nothing_new"
    PARTIAL = "partial"
    SUSPENDED = "suspended"  # its request stays: the worker was stopped and another goes on, or the source's limit ends
    PAUSED = "paused"
    CANCELLED = "cancelled"
    UNAUTHORISED = "unauthorised"
    SOURCE_GONE = "source_gone"
    SOURCE_REFUSED = "source_refused"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequested(Event):
    """Ask the connector workers to bring one source up to date. Key: tenant/source.

    Requests of one source that wait are one run of the widest of them. With `cancels`, what runs is stopped, what
    waits is dropped, and `mode` is not looked at. With `tests`, nothing is read: the worker looks whether it could be,
    beside what runs, and says so in `SourceTested`.
    """

    topic: ClassVar[Topic] = Topic.SYNCS_REQUESTED
    source: SourceId
    mode: SyncMode
    actor: Principal | None
    items: tuple[str, ...] = ()  # external ids, with mode `items`
    cancels: bool = False
    tests: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemRefused:
    """An item that could not be brought in, and why.

    It is tried again without being asked for: by each sync that meets it, as one that compares a listing does; else by
    looks at it alone, the first after five minutes, later ones ever more rarely (ADR 0156).
    """

    external_id: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncProgressed(Event):
    """How a source's newest sync stands, or how it ended. Key: tenant/source.

    Written by the one worker that holds the source, in a transaction that fences its predecessors.
    """

    topic: ClassVar[Topic] = Topic.SYNCS_PROGRESSED
    source: SourceId
    sync_id: UUID
    mode: SyncMode
    requested: Position | None  # the newest request that this sync settles; None: it follows a live source
    started_at: datetime
    ending: SyncEnding | None  # None: it runs
    message: str  # the sentence an operator reads
    upserted: int
    patched: int
    deleted: int
    failures: int
    failed: tuple[ItemRefused, ...]  # the first of them
    content_bytes: int
    remaining: int | None  # items still to be looked at, of those known before; None where nobody can tell
    estimated_end_at: datetime | None
    # Its source allows no request before: it waits, or goes on then where it is suspended. None: nothing is waited for.
    waits_until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceTested(Event):
    """Whether a source's settings, credentials and rights suffice, as a connector worker found. Key: tenant/source."""

    topic: ClassVar[Topic] = Topic.SOURCES_TESTED
    source: SourceId
    test_id: UUID  # the newest request that it answers, by the request's `event_id`
    started_at: datetime
    ending: SyncEnding  # how a sync would end at once; `completed`: it can be read
    message: str  # the sentence an operator reads


@dataclass(frozen=True, slots=True, kw_only=True)
class CursorSaved(Event):
    """Where a source resumes; saved after the broker has confirmed what came before it. Key: tenant/source[/part].

    `part` splits a large cursor (one listing entry each) so that compaction keeps the newest of each; an empty `state`
    of a part means that it is gone.
    """

    topic: ClassVar[Topic] = Topic.CONNECTORS_CURSORS
    source: SourceId
    part: str
    state: bytes  # the connector's own format, opaque to the runner

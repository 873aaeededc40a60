"""Connectors: a sync is an event, and so is where a source resumes."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from schemas.events.base import Event
from schemas.ids import Principal, SourceId
from schemas.topics import Topic


class SyncMode(StrEnum):
    """How much of a source is looked at."""

    FULL = "full"
    INCREMENTAL = "incremental"


@dataclass(frozen=True, slots=True, kw_only=True)
class SyncRequested(Event):
    """Ask the connector workers to bring one source up to date. Key: tenant/source."""

    topic: ClassVar[Topic] = Topic.SYNCS_REQUESTED
    source: SourceId
    mode: SyncMode
    actor: Principal | None


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

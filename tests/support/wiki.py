"""A source in the directory that connector workers sync, and what they have brought into the log."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from connectors.cursors import CursorStore
from schemas.codec import decode
from schemas.events.directory import DirectoryKind, Source
from schemas.events.documents import DocumentSubmitted
from schemas.events.syncs import SyncEnding, SyncMode, SyncProgressed, SyncRequested
from schemas.ids import SourceId, directory_key, scoped_key
from schemas.topics import Topic
from tests.support.admission import Child, Installation
from tests.support.heads import ACME, HANDBOOK, directory_record

WIKI: Final = SourceId("wiki")
NOW: Final = datetime.now(UTC)
SUBMISSIONS: Final = (Topic.DOCUMENTS_BACKFILL, Topic.DOCUMENTS_SUBMITTED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wiki:
    """Source WIKI of an installation."""

    own: Installation
    source: Source
    environment: Mapping[str, str]  # with which a worker may read it

    async def admit(self) -> None:
        """Append the source's record as admission does."""
        change = directory_record(DirectoryKind.SOURCE, WIKI, self.source)
        key = directory_key(ACME, DirectoryKind.SOURCE, WIKI)
        await self.own.producer.send(Topic.DIRECTORY_CHANGED, change, key=key)

    async def ask(self, mode: SyncMode) -> None:
        """Append a request for a sync."""
        request = SyncRequested(
            event_id=uuid4(), tenant_id=ACME, occurred_at=NOW, observed_at=NOW, source=WIKI, mode=mode, actor=None
        )
        await self.own.producer.send(Topic.SYNCS_REQUESTED, request, key=scoped_key(ACME, WIKI))

    def worker(self) -> Child:
        """Start a connector worker that may read the source."""
        return self.own.start(
            ("-m", "connectors", "worker"), HEADWATER_KAFKA__SESSION_TIMEOUT_S="6", **self.environment
        )

    async def endings(self) -> list[SyncEnding]:
        """Return how syncs have ended so far."""
        records = await self.own.records(Topic.SYNCS_PROGRESSED)
        told = [decode(record.value or b"", SyncProgressed) for record in records]
        return [event.ending for event in told if event.ending is not None]

    async def submitted(self) -> list[DocumentSubmitted]:
        """Return what was submitted: of one document in order, once its first sync has ended."""
        records = [record for topic in SUBMISSIONS for record in await self.own.records(topic)]
        return [decode(record.value or b"", DocumentSubmitted) for record in records]

    def cursors(self) -> CursorStore:
        """Return the source's cursor."""
        return CursorStore(self.own.settings, self.own.producer, tenant=ACME, source=WIKI)


def folder_source(root: Path) -> Source:
    """Return a folder as a source."""
    return Source(name="Wiki", kind="filesystem", knowledge_base=HANDBOOK, settings={"root": str(root)})


def reading_below(folder: Path) -> Mapping[str, str]:
    """Return what lets a worker read folders that lie in this one."""
    return {"HEADWATER_CONNECTORS__FILESYSTEM_ROOTS": f'["{folder}"]'}

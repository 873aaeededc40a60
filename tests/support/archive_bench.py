"""A log in memory with contents on disk, an archive, and a place to restore to."""

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from headwater.archive.manifests import Manifest
from headwater.archive.restoring import Restore, Restored, fingerprint_of
from headwater.archive.runs import choose_run
from headwater.archive.taking import BackupPlan, BackupRun
from headwater.clients.archive import ObjectArchive
from headwater.clients.blobs import ObjectBlobStore
from headwater.settings import BackupSettings, BlobSettings
from schemas.events.documents import BlobRef, DocumentChanged
from schemas.ids import DocumentId
from tests.support.archive import MemoryLog
from tests.support.blobs import pieces_of
from tests.support.heads import ACME, changed

TODAY = datetime(2026, 3, 1, tzinfo=UTC)
SMALL = BackupSettings(segment_bytes=600)  # two records or so a segment


@dataclass
class ArchiveBench:
    """What a test of backups changes, copies, loses and restores."""

    folder: Path
    log: MemoryLog
    blobs: ObjectBlobStore
    archive: ObjectArchive
    now: datetime = TODAY

    @classmethod
    def below(cls, folder: Path, archive: ObjectArchive) -> "ArchiveBench":
        """Begin with an empty log."""
        blobs = ObjectBlobStore(BlobSettings(url=f"file:{folder / 'blobs'}"))
        return cls(folder=folder, log=MemoryLog(), blobs=blobs, archive=archive)

    async def content(self, text: str) -> BlobRef:
        """Store a content."""
        return await self.blobs.write(ACME, pieces_of(text.encode()))

    async def change(self, document: DocumentId, text: str, **fields: Any) -> DocumentChanged:
        """Append a document's state to the log, its content being stored before."""
        record = changed(document, content=await self.content(text), **fields)
        self.log.change(record)
        return record

    async def backup(self, *, full: bool = False, settings: BackupSettings = SMALL) -> Manifest:
        """Take a run, an hour after the last."""
        self.now += timedelta(hours=1)
        plan = BackupPlan(settings=settings, topic_prefix="", now=self.now, full=full)
        return await BackupRun(plan, source=self.log, blobs=self.blobs, archive=self.archive).take()

    async def restore(self, log: MemoryLog, *, run: str | None = None, prefix: str = "new.") -> Restored:
        """Restore a run, the newest by default."""
        manifest = await choose_run(self.archive, run)
        restoring = Restore(manifest, archive=self.archive, target=log, blobs=self.restored_blobs, topic_prefix=prefix)
        return await restoring.run(read_back=log, folder=self.folder)

    def age(self) -> None:
        """Make the files of an archive on disk as old as the bench's clock says they are."""
        for path in (self.folder / "archive").rglob("*"):
            os.utime(path, (TODAY.timestamp(), TODAY.timestamp()))

    @property
    def restored_blobs(self) -> ObjectBlobStore:
        """Where contents are restored to."""
        return ObjectBlobStore(BlobSettings(url=f"file:{self.folder / 'restored'}"))

    async def fingerprint(self, log: MemoryLog) -> str:
        """Return the fingerprint of a log's heads."""
        return (await fingerprint_of(log, self.folder)).text()

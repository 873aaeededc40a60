"""Removes old runs from an archive, and what no other run needs. Manifests go first: half an expiry harms no run."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

from headwater.archive.references import references_of
from headwater.archive.runs import manifest_object, read_run, run_names, segment_object
from headwater.archive.segments import ArchivedRecord, decode_segment
from headwater.blobs.marking import Marks
from headwater.blobs.sweeping import Sweeper
from headwater.clients.kafka.records import Record
from headwater.ports.archive import ArchiveStore
from schemas.events.base import Position
from schemas.topics import Topic

# A backup that is under way has written segments and contents that no manifest names yet.
_YOUNG: Final = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Expired:
    """How much was removed."""

    runs: int
    segments: int
    blobs: int


async def expire_runs(archive: ArchiveStore, *, now: datetime, retention_days: int, folder: Path) -> Expired:
    """Remove the runs that are older than the retention; the newest one always stays.

    A content is removed when no remaining run has a record that refers to it, replaced ones included.
    """
    names = await run_names(archive)
    runs = {name: await read_run(archive, name) for name in names}
    old = [name for name in names[:-1] if now - runs[name].created_at > timedelta(days=retention_days)]
    kept = [runs[name] for name in names if name not in old]
    needed = {ref.sha256 for run in kept for topic in run.topics.values() for ref in topic.segments}
    gone = {ref.sha256 for name in old for topic in runs[name].topics.values() for ref in topic.segments} - needed
    await archive.remove([manifest_object(name) for name in old])
    await archive.remove([segment_object(sha256) for sha256 in sorted(gone)])
    if not gone:
        return Expired(runs=len(old), segments=0, blobs=0)
    documents = {ref.sha256 for run in kept for ref in run.topics[Topic.DOCUMENTS_CHANGED].segments}
    with Marks.open(folder) as marks:
        for sha256 in sorted(documents):
            for archived in decode_segment(await archive.get(segment_object(sha256)), sha256=sha256):
                for tenant, ref in references_of(_record(archived)):
                    marks.mark(tenant, ref.sha256)
        sweeper = Sweeper(blobs=archive.inventory, marks=marks, young_after=now - _YOUNG, dry_run=False)
        swept = await sweeper.sweep(await archive.inventory.tenants())
    return Expired(runs=len(old), segments=len(gone), blobs=swept.removed)


def _record(archived: ArchivedRecord) -> Record:
    position = Position(topic=Topic.DOCUMENTS_CHANGED, partition=archived.partition, offset=archived.offset)
    return Record(
        position=position,
        key=archived.key,
        value=archived.value,
        headers=archived.headers,
        timestamp_ms=archived.timestamp_ms,
    )

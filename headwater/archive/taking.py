"""Takes a backup: what came after the last run, or everything.

The order of reading keeps four promises. **Cursors come first**, and count only if admission has settled whatever was
submitted before: a cursor that is ahead of the documents would make a source skip what was lost. **Deletions that wait
come next**, before the documents: one that is approved meanwhile is then deleted or still waits, never neither.
**Documents follow**, their contents before the manifest. **The directory comes last**: a document is never restored
under rights that are older than those it was admitted with.
"""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Final

from headwater.archive.contents import ContentCopier
from headwater.archive.manifests import ARCHIVED, Manifest, ManifestError, SegmentRef, TopicArchive
from headwater.archive.references import references_of
from headwater.archive.runs import read_run, run_names, segment_object, write_run
from headwater.archive.segments import ArchivedRecord, encode_segment, newest_by_key, segment_name
from headwater.clients.kafka.records import Record
from headwater.ports.archive import ArchiveStore, SourceLog, TopicFacts
from headwater.ports.blobs import BlobStore
from headwater.settings import BackupSettings
from schemas.events.documents import BlobRef
from schemas.ids import TenantId
from schemas.topics import Topic

_REFERENCES_AT_ONCE: Final = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupPlan:
    """How a run is taken. `now` is the run's time."""

    settings: BackupSettings
    topic_prefix: str
    now: datetime
    full: bool = False  # begin anew whatever the last run was


class BackupRun:
    """One run, from a log and a blob store into an archive."""

    def __init__(self, plan: BackupPlan, *, source: SourceLog, blobs: BlobStore, archive: ArchiveStore) -> None:
        self._plan = plan
        self._log = source
        self._archive = archive
        self._contents = ContentCopier(blobs, archive.blobs)
        self._topics: dict[Topic, TopicArchive] = {}
        self._cursors_current = True

    async def take(self) -> Manifest:
        """Copy, then write the manifest. Raises RetryableError or FatalError: then there is no such run."""
        parent, why_full = await self._parent()
        base = {} if parent is None or why_full else parent.topics
        await self._copy_cursors(base)
        await self._copy(Topic.DELETIONS_QUARANTINED, base)
        await self._copy(Topic.DOCUMENTS_CHANGED, base, with_contents=True)
        await self._copy(Topic.DIRECTORY_CHANGED, base)
        await self._copy_unsettled_contents()
        manifest = self._manifest(parent, why_full)
        await write_run(self._archive, manifest)
        return manifest

    async def _parent(self) -> tuple[Manifest | None, str | None]:
        names = await run_names(self._archive)
        if not names:
            return None, "it is the first run"
        try:
            parent = await read_run(self._archive, names[-1])
        except ManifestError:
            return None, "the last run is damaged"
        if self._plan.full:
            return parent, "it was asked for"
        if self._plan.now - parent.began_full_at >= timedelta(days=self._plan.settings.full_every_days):
            return parent, "the last full run is old"
        for topic, known in parent.topics.items():  # one that was not copied then is begun at its start
            why = why_not_from(known, await self._log.facts(topic), parent.created_at, self._plan.now)
            if why is not None:
                return parent, f"{topic}: {why}"
        return parent, None

    async def _copy_cursors(self, base: Mapping[Topic, TopicArchive]) -> None:
        topic = Topic.CONNECTORS_CURSORS
        facts = await self._log.facts(topic)
        before = _begin(facts, base.get(topic))
        await self._copy(topic, base)
        if not await self._log.submissions_settled():
            self._cursors_current = False
            self._topics[topic] = before  # an older cursor makes a source look again, nothing else

    async def _copy(self, topic: Topic, base: Mapping[Topic, TopicArchive], *, with_contents: bool = False) -> None:
        facts = await self._log.facts(topic)
        archive = _begin(facts, base.get(topic))
        segments = list(archive.segments)
        async for part in parts(
            self._log.records(topic, archive.positions, facts.ends), size_bytes=self._plan.settings.segment_bytes
        ):
            newest = newest_by_key(map(ArchivedRecord.of, part))
            if with_contents:
                await self._copy_contents(part)
            data = encode_segment(newest)
            ref = SegmentRef(sha256=segment_name(data), size_bytes=len(data), records=len(newest))
            await self._archive.put(segment_object(ref.sha256), data)
            segments.append(ref)
        self._topics[topic] = replace(archive, positions=dict(facts.ends), segments=tuple(segments))

    async def _copy_contents(self, part: list[Record]) -> None:
        newest = {record.key: record for record in part}
        await self._contents.copy(each for record in newest.values() for each in references_of(record))

    async def _copy_unsettled_contents(self) -> None:
        """The next run will find them as heads, or a person will look at a dead letter."""
        references: list[tuple[TenantId, BlobRef]] = []
        async for record in self._log.unsettled():
            references += references_of(record)
            if len(references) >= _REFERENCES_AT_ONCE:
                await self._contents.copy(references)
                references = []
        await self._contents.copy(references)

    def _manifest(self, parent: Manifest | None, why_full: str | None) -> Manifest:
        began = self._plan.now if parent is None or why_full else parent.began_full_at
        return Manifest(
            created_at=self._plan.now,
            began_full_at=began,
            parent=None if parent is None else parent.name,
            full_because=why_full,
            topic_prefix=self._plan.topic_prefix,
            topics={topic: self._topics[topic] for topic in ARCHIVED},
            cursors_current=self._cursors_current,
            blobs_copied=self._contents.copied,
            bytes_copied=self._contents.copied_bytes,
            blobs_missing=tuple(sorted(self._contents.missing)),
        )


def why_not_from(known: TopicArchive, facts: TopicFacts, taken_at: datetime, now: datetime) -> str | None:
    """Say why a run cannot go on from where the last one ended; None where it can."""
    if known.topic_id != facts.topic_id:
        return "it was created anew"
    if known.positions.keys() != facts.ends.keys():
        return "its partitions have changed"
    if any(known.positions[each] > end for each, end in facts.ends.items()):
        return "it is shorter than at the last run"
    if any(known.positions[each] < start for each, start in facts.starts.items()):
        return "it was cut since the last run"
    if (now - taken_at).total_seconds() > facts.tombstones_kept_s / 2:
        return "the last run is so old that erasures since may have been compacted away"
    return None


async def parts(records: AsyncIterator[Record], *, size_bytes: int) -> AsyncIterator[list[Record]]:
    """Yield the records in parts of about this size, in order."""
    part: list[Record] = []
    size = 0
    async for record in records:
        part.append(record)
        size += len(record.key or b"") + len(record.value or b"")
        if size >= size_bytes:
            yield part
            part, size = [], 0
    if part:
        yield part


def _begin(facts: TopicFacts, base: TopicArchive | None) -> TopicArchive:
    return base or TopicArchive(topic_id=facts.topic_id, positions=dict(facts.starts), segments=())

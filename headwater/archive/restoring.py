"""Restores a run into an empty installation: contents, the directory, documents, deletions that wait, cursors.

The one place besides admission that writes `rag.documents.changed`, `rag.deletions.quarantined` and
`rag.directory.changed`: into logs in which nothing was ever written, while no admission worker runs, with the
revisions that admission gave.
"""

import hashlib
from collections.abc import AsyncIterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeVar

from headwater.archive.contents import ContentCopier
from headwater.archive.fingerprints import HeadsFingerprint, head_hash
from headwater.archive.manifests import Manifest
from headwater.archive.newest import NewestRecords
from headwater.archive.segments import ArchivedRecord
from headwater.archive.translation import (
    DirectoryOffsets,
    TopicNames,
    translate_directory,
    translate_document,
    translate_waiting,
)
from headwater.blobs.scratch import scratch
from headwater.clients.kafka.records import Headers
from headwater.errors import FatalError
from headwater.ports.archive import ArchiveStore, RestoredRecord, SourceLog, TargetLog
from headwater.ports.blobs import BlobStore
from schemas.codec import decode, encode
from schemas.errors import ContractError
from schemas.events.directory import DirectoryChanged
from schemas.events.documents import DeletionQuarantined, DocumentChanged, DocumentOp
from schemas.ids import GenerationName
from schemas.topics import Topic, topic_name

E = TypeVar("E")

# Records of one transaction. The broker takes thousands a second; what counts is that a failure is noticed soon.
BATCH: Final = 500
# Where a record lay in the log it was copied from: for people who follow its lineage.
ORIGIN_HEADER: Final = "headwater-archived-from"


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """What a restore has brought back."""

    run: str
    documents: int
    directory_records: int
    deletions_waiting: int
    cursors: int
    blobs: int
    blobs_missing: tuple[str, ...]
    fingerprint: str  # of the heads, as read back from the log that was written


def topic_names(prefix: str) -> TopicNames:
    """Name the topics that records refer to, in the installation with this prefix."""

    def name(topic: Topic) -> str:
        return topic_name(topic, generation=GenerationName(""), prefix=prefix)

    return TopicNames(
        submitted=name(Topic.DOCUMENTS_SUBMITTED),
        directory=name(Topic.DIRECTORY_CHANGED),
        directory_submitted=name(Topic.DIRECTORY_SUBMITTED),
    )


class Restore:
    """One restore of one run. A failure leaves a part behind: empty the installation, then begin again."""

    def __init__(
        self, manifest: Manifest, *, archive: ArchiveStore, target: TargetLog, blobs: BlobStore, topic_prefix: str
    ) -> None:
        self._manifest = manifest
        self._archive = archive
        self._target = target
        self._contents = ContentCopier(archive.blobs, blobs)
        self._old = topic_names(manifest.topic_prefix)
        self._new = topic_names(topic_prefix)
        self._fingerprint = HeadsFingerprint()

    async def run(self, *, read_back: SourceLog, folder: Path) -> Restored:
        """Restore. `folder` takes an index while it runs. Raises FatalError unless the installation is empty.

        Ends by reading the documents back: FatalError where the fingerprint of what is there is not that of the run.
        """
        await self._target.require_empty()
        with (
            self._newest(Topic.DOCUMENTS_CHANGED, folder) as documents,
            self._newest(Topic.DELETIONS_QUARANTINED, folder) as waiting,
        ):
            await documents.learn()
            await waiting.learn()
            async for part in _batches(documents.records()):
                await self._contents.copy(
                    (each.tenant_id, each.content) for each in map(_document, part) if each.content is not None
                )
            offsets = await self._write_directory(folder)
            async for part in _batches(documents.records()):
                gone = await self._write_documents(part, offsets)
                waiting.leave_out(gone)
            deletions_waiting = await self._write_waiting(waiting)
        cursors = await self._write_cursors(folder)
        return Restored(
            run=self._manifest.name,
            documents=self._fingerprint.heads,
            directory_records=len(offsets.new),
            deletions_waiting=deletions_waiting,
            cursors=cursors,
            blobs=self._contents.copied,
            blobs_missing=tuple(sorted(self._contents.missing)),
            fingerprint=await self._proved(read_back, folder),
        )

    async def _write_directory(self, folder: Path) -> DirectoryOffsets:
        old: list[int] = []
        new: list[int] = []
        with self._newest(Topic.DIRECTORY_CHANGED, folder) as directory:
            await directory.learn()
            async for part in _batches(directory.records()):
                records = [
                    _restored(each, encode(translate_directory(_decoded(each, DirectoryChanged), new=self._new)))
                    for each in part
                ]
                new += await self._target.append(Topic.DIRECTORY_CHANGED, records)
                old += [each.offset for each in part]
        return DirectoryOffsets(old=old, new=new)

    async def _write_documents(self, part: list[ArchivedRecord], offsets: DirectoryOffsets) -> list[bytes]:
        """Return the keys of those that are deleted."""
        records = []
        gone = []
        for each in part:
            document = translate_document(
                _document(each),
                partition=await self._target.partition_of(Topic.DOCUMENTS_CHANGED, each.key),
                directory=offsets,
                old=self._old,
                new=self._new,
            )
            self._fingerprint.add(head_hash(document))
            records.append(_restored(each, encode(document)))
            if document.op is DocumentOp.DELETED:
                gone.append(each.key)
        await self._target.append(Topic.DOCUMENTS_CHANGED, records)
        return gone

    async def _write_waiting(self, waiting: NewestRecords) -> int:
        count = 0
        async for part in _batches(waiting.records()):
            records = []
            for each in part:
                partition = await self._target.partition_of(Topic.DELETIONS_QUARANTINED, each.key)
                deletion = translate_waiting(_decoded(each, DeletionQuarantined), partition=partition, new=self._new)
                records.append(_restored(each, encode(deletion)))
            await self._target.append(Topic.DELETIONS_QUARANTINED, records)
            count += len(part)
        return count

    async def _write_cursors(self, folder: Path) -> int:
        count = 0
        with self._newest(Topic.CONNECTORS_CURSORS, folder) as cursors:
            await cursors.learn()
            async for part in _batches(cursors.records()):
                # Parts of one source's cursor lie in one partition: tenant/source names it.
                records = [_restored(each, each.value or b"", b"/".join(each.key.split(b"/", 2)[:2])) for each in part]
                await self._target.append(Topic.CONNECTORS_CURSORS, records)
                count += len(part)
        return count

    async def _proved(self, read_back: SourceLog, folder: Path) -> str:
        found = await fingerprint_of(read_back, folder)
        if (found.text(), found.heads) != (self._fingerprint.text(), self._fingerprint.heads):
            raise FatalError(
                f"the log holds {found.heads} documents with another fingerprint than the {self._fingerprint.heads} of "
                "the run: something else writes to it; stop everything, empty the installation, begin again"
            )
        return found.text()

    def _newest(self, topic: Topic, folder: Path) -> AbstractContextManager[NewestRecords]:
        archived = self._manifest.topics.get(topic)  # None: the run is older than the copying of the topic
        return NewestRecords.open(self._archive, () if archived is None else archived.segments, folder)


async def fingerprint_of(source: SourceLog, folder: Path) -> HeadsFingerprint:
    """Return the fingerprint of the heads in a log as it is now; an index of 80 bytes a head lies in `folder`."""
    facts = await source.facts(Topic.DOCUMENTS_CHANGED)
    fingerprint = HeadsFingerprint()
    with scratch(folder) as newest:
        async for record in source.records(Topic.DOCUMENTS_CHANGED, facts.starts, facts.ends):
            key = hashlib.sha256(record.key or b"").digest()
            with newest.begin(write=True) as txn:
                if record.value is None:
                    txn.delete(key)
                else:
                    txn.put(key, head_hash(decode(record.value, DocumentChanged)))
        with newest.begin() as txn:
            for _, digest in txn.cursor():
                fingerprint.add(digest)
    return fingerprint


async def _batches(records: AsyncIterator[ArchivedRecord]) -> AsyncIterator[list[ArchivedRecord]]:
    batch: list[ArchivedRecord] = []
    async for record in records:
        batch.append(record)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _restored(record: ArchivedRecord, value: bytes, partition_key: bytes | None = None) -> RestoredRecord:
    origin: Headers = ((ORIGIN_HEADER, f"{record.partition}/{record.offset}".encode()),)
    return RestoredRecord(
        key=record.key,
        value=value,
        headers=(*(each for each in record.headers if each[0] != ORIGIN_HEADER), *origin),
        timestamp_ms=record.timestamp_ms,
        partition_key=partition_key,
    )


def _document(record: ArchivedRecord) -> DocumentChanged:
    return _decoded(record, DocumentChanged)


def _decoded(record: ArchivedRecord, event_type: type[E]) -> E:
    try:
        return decode(record.value or b"", event_type)
    except ContractError as error:
        raise FatalError(
            f"the archived record {record.partition}/{record.offset} is no {event_type.__name__} that this build can "
            "read: restore with the version that took the backup, or a newer one"
        ) from error

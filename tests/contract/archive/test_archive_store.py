"""One suite for the archive, on a folder, S3, Google and Azure: the promises of ArchiveStore and BlobInventory."""

import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from headwater.archive.expiring import Expired, expire_runs
from headwater.archive.runs import run_names
from headwater.clients.archive import ObjectArchive
from headwater.clients.objects import ObjectMissingError
from headwater.errors import FatalError
from headwater.ports.blobs import StoredKind
from headwater.settings import BackupSettings
from schemas.events.documents import BlobRef
from schemas.ids import Revision, TenantId, document_id
from tests.support.archive import MemoryLog
from tests.support.archive_bench import ArchiveBench
from tests.support.blobs import pieces_of
from tests.support.cloud_server import AzureServer, cloud_server, google_options
from tests.support.heads import ACME, FILES
from tests.support.moto_server import MotoBucket, MotoServer
from tests.support.s3_server import WRITTEN_AT, S3Server, s3_server

OTHER = TenantId("other")
ONE, TWO = (document_id(ACME, FILES, name) for name in ("one", "two"))


class ArchiveContract(ABC):
    @pytest.fixture
    @abstractmethod
    def archive(self) -> ObjectArchive: ...

    async def test_an_object_is_what_was_put_last(self, archive: ObjectArchive) -> None:
        await archive.put("runs/a.json", b"old")
        await archive.put("runs/a.json", b"new")
        assert await archive.get("runs/a.json") == b"new"

    async def test_a_missing_object_is_named(self, archive: ObjectArchive) -> None:
        with pytest.raises(ObjectMissingError, match=r"runs/a\.json"):
            await archive.get("runs/a.json")

    async def test_names_of_one_folder_ascend_however_many_there_are(self, archive: ObjectArchive) -> None:
        names = [f"{number:02}.json" for number in range(7)]
        for name in reversed(names):
            await archive.put(f"runs/{name}", b"")
        await archive.put("segments/x.avro", b"")
        await archive.blobs.write(ACME, pieces_of(b"content"))
        assert await archive.names("runs") == names
        assert await archive.names("nothing") == []

    async def test_removing_what_is_gone_is_no_error(self, archive: ObjectArchive) -> None:
        await archive.put("runs/a", b"")
        await archive.remove(["runs/a", "runs/b"])
        assert await archive.names("runs") == []

    async def test_contents_are_listed_by_tenant_and_kind(self, archive: ObjectArchive) -> None:
        source = await archive.blobs.write(ACME, pieces_of(b"content"))
        made = await archive.blobs.write(ACME, pieces_of(b"text"))
        await archive.blobs.record_derived(ACME, made, source=source)
        await archive.blobs.write(OTHER, pieces_of(b"theirs"))
        assert await archive.inventory.tenants() == [ACME, OTHER]
        stored = [each async for each in archive.inventory.stored(ACME)]
        assert {(each.kind, each.sha256, each.derived) for each in stored} == {
            (StoredKind.BLOB, source.sha256, None),
            (StoredKind.BLOB, made.sha256, None),
            (StoredKind.LINK, source.sha256, made.sha256),
        }
        links = [each async for each in archive.inventory.stored(ACME, StoredKind.LINK)]
        assert [each.derived for each in links] == [made.sha256]

    async def test_a_content_that_was_removed_is_gone(self, archive: ObjectArchive) -> None:
        ref = await archive.blobs.write(ACME, pieces_of(b"content"))
        assert await archive.inventory.modified_at(ACME, ref.sha256) is not None
        for stored in [each async for each in archive.inventory.stored(ACME)]:
            await archive.inventory.remove(stored)
            await archive.inventory.remove(stored)
        assert await archive.inventory.modified_at(ACME, ref.sha256) is None
        assert not await archive.blobs.exists(ACME, ref)

    async def test_runs_are_taken_restored_and_expired(self, archive: ObjectArchive, tmp_path: Path) -> None:
        bench = ArchiveBench.below(tmp_path, archive)
        replaced = await bench.change(ONE, "old", revision=Revision(1))
        first = await bench.backup()
        bench.now += timedelta(days=20)
        kept = await bench.change(ONE, "new", revision=Revision(2))
        for number in range(4):
            await bench.change(document_id(ACME, FILES, str(number)), f"text {number}")
        second = await bench.backup(full=True, settings=BackupSettings())  # in one segment each: what was replaced goes
        assert await run_names(archive) == [first.name, second.name]
        restored = await bench.restore(MemoryLog(partitions=3))
        assert (restored.documents, restored.blobs) == (5, 5)
        assert restored.fingerprint == await bench.fingerprint(bench.log)

        self.age(tmp_path)
        later = bench.now + timedelta(days=15)
        expired = await expire_runs(archive, now=later, retention_days=30, folder=tmp_path)
        assert expired == Expired(runs=1, segments=1, blobs=1)
        assert await run_names(archive) == [second.name]
        assert [await archive.blobs.exists(ACME, _content(each)) for each in (replaced.content, kept.content)] == [
            False,
            True,
        ]
        assert (await bench.restore(MemoryLog())).documents == 5

    @abstractmethod
    def age(self, folder: Path) -> None:
        """Make what was written look weeks old."""


class TestLocalFolder(ArchiveContract):
    """`headwater backup /a/folder`."""

    @pytest.fixture
    def archive(self, tmp_path: Path) -> ObjectArchive:
        return ObjectArchive(str(tmp_path / "archive"), BackupSettings())

    def age(self, folder: Path) -> None:
        then = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
        for path in folder.joinpath("archive").rglob("*"):
            os.utime(path, (then, then))


class TestBucket(ArchiveContract):
    """`headwater backup s3://bucket/path`, against a server that speaks S3's protocol."""

    @pytest.fixture
    def s3(self) -> Iterator[S3Server]:
        with s3_server() as server:
            yield server

    @pytest.fixture
    def archive(self, s3: S3Server) -> ObjectArchive:
        return ObjectArchive("s3://blobs/backups/main/", BackupSettings(options=s3.options))

    def age(self, folder: Path) -> None:
        """See the contract: the server says so of everything."""

    async def test_everything_lies_below_the_path(self, s3: S3Server, archive: ObjectArchive) -> None:
        await archive.put("runs/a", b"")
        ref = await archive.blobs.write(ACME, pieces_of(b"content"))
        assert s3.objects.keys() == {"backups/main/runs/a", f"backups/main/blobs/acme/{ref.sha256[:2]}/{ref.sha256}"}
        assert await archive.inventory.modified_at(ACME, ref.sha256) == WRITTEN_AT

    async def test_a_bucket_that_refuses_names_the_setting(self, s3: S3Server, archive: ObjectArchive) -> None:
        s3.failing = 403
        with pytest.raises(FatalError, match="HEADWATER_BACKUP__OPTIONS"):
            await archive.put("runs/a", b"")
        with pytest.raises(FatalError, match="HEADWATER_BACKUP__OPTIONS"):
            await archive.names("runs")


class TestMoto(ArchiveContract):
    """The same against moto's server, below a path whose characters must be encoded to be signed."""

    @pytest.fixture
    def bucket(self, moto: MotoServer) -> Iterator[MotoBucket]:
        with moto.bucket() as bucket:
            yield bucket

    holds_archive: MotoBucket

    @pytest.fixture
    def archive(self, bucket: MotoBucket) -> ObjectArchive:
        self.holds_archive = bucket
        return ObjectArchive(f"s3://{bucket.name}/backups/main+1/", BackupSettings(options=bucket.options))

    def age(self, folder: Path) -> None:
        self.holds_archive.age(datetime(2026, 3, 1, tzinfo=UTC))

    async def test_everything_lies_below_the_path(self, bucket: MotoBucket, archive: ObjectArchive) -> None:
        await archive.put("runs/a", b"")
        ref = await archive.blobs.write(ACME, pieces_of(b"content"))
        below = "backups/main+1"
        assert bucket.current().keys() == {f"{below}/runs/a", f"{below}/blobs/{ACME}/{ref.sha256[:2]}/{ref.sha256}"}


class TestGoogle(ArchiveContract):
    """`headwater backup gs://bucket/path`, against moto's server."""

    @pytest.fixture
    def archive(self, moto: MotoServer) -> Iterator[ObjectArchive]:
        with moto.public_bucket() as self.holds_archive:
            options = google_options(moto.url)
            yield ObjectArchive(f"gs://{self.holds_archive.name}/backups/", BackupSettings(options=options))

    def age(self, folder: Path) -> None:
        self.holds_archive.age(datetime(2026, 3, 1, tzinfo=UTC))


class TestAzure(ArchiveContract):
    """`headwater backup az://container/path`, against a server of ours."""

    @pytest.fixture
    async def archive(self) -> AsyncIterator[ObjectArchive]:
        async with cloud_server(AzureServer) as server:
            yield ObjectArchive(f"az://{server.name}/backups/", BackupSettings(options=server.options))

    def age(self, folder: Path) -> None:
        """See the contract: the server's clock began long ago."""


def _content(ref: BlobRef | None) -> BlobRef:
    if ref is None:
        raise AssertionError("the document has no content")
    return ref

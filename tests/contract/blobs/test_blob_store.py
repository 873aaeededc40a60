"""One suite for the BlobStore port, on the fake, on a local folder, on S3, Google Cloud Storage and Azure Blob."""

import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from headwater.clients.blobs import BlobCorruptError, BlobMissingError, BlobTooLargeError, ObjectBlobStore
from headwater.errors import FatalError, RetryableError
from headwater.ports.blobs import BlobStore
from headwater.settings import BlobSettings
from schemas.events.documents import BlobRef
from schemas.ids import TenantId
from tests.support.blobs import FakeBlobStore, pieces_of
from tests.support.cloud_server import AzureServer, GoogleServer, cloud_server, google_options
from tests.support.moto_server import MotoBucket, MotoServer
from tests.support.s3_server import S3Server, s3_server

ACME, OTHER = TenantId("acme"), TenantId("other")
LIMIT = 12 * 1024 * 1024


async def read(blobs: BlobStore, tenant: TenantId, ref: BlobRef) -> bytes:
    return b"".join([piece async for piece in blobs.read(tenant, ref)])


class BlobStoreContract:
    """Subclasses provide the `blobs` fixture, limited to LIMIT bytes."""

    @pytest.mark.parametrize("size", [0, 1, 1024 * 1024, 5 * 1024 * 1024 + 1, LIMIT])
    async def test_what_was_written_is_read_back(self, blobs: BlobStore, size: int) -> None:
        content = os.urandom(size)
        ref = await blobs.write(ACME, pieces_of(content))
        assert ref == BlobRef(sha256=hashlib.sha256(content).hexdigest(), size_bytes=size)
        assert await read(blobs, ACME, ref) == content
        assert await blobs.exists(ACME, ref)

    async def test_writing_twice_is_harmless(self, blobs: BlobStore) -> None:
        first = await blobs.write(ACME, pieces_of(b"same"))
        assert await blobs.write(ACME, pieces_of(b"same")) == first
        assert await read(blobs, ACME, first) == b"same"

    async def test_a_blob_belongs_to_its_tenant(self, blobs: BlobStore) -> None:
        ref = await blobs.write(ACME, pieces_of(b"secret"))
        assert not await blobs.exists(OTHER, ref)
        with pytest.raises(BlobMissingError):
            await read(blobs, OTHER, ref)

    async def test_what_a_blob_was_made_from_is_recorded(self, blobs: BlobStore) -> None:
        source, made = await blobs.write(ACME, pieces_of(b"source")), await blobs.write(ACME, pieces_of(b"made"))
        assert not await blobs.is_derived(ACME, made, source=source)
        await blobs.record_derived(ACME, made, source=source)
        await blobs.record_derived(ACME, made, source=source)
        assert await blobs.is_derived(ACME, made, source=source)
        assert not await blobs.is_derived(ACME, source, source=made)
        assert not await blobs.is_derived(OTHER, made, source=source)

    async def test_content_above_the_limit_is_refused(self, blobs: BlobStore) -> None:
        with pytest.raises(BlobTooLargeError):
            await blobs.write(ACME, pieces_of(bytes(LIMIT + 1)))

    async def test_what_the_stream_raises_comes_through(self, blobs: BlobStore) -> None:
        async def broken() -> AsyncIterator[bytes]:
            yield bytes(6 * 1024 * 1024)
            raise ConnectionResetError

        with pytest.raises(ConnectionResetError):
            await blobs.write(ACME, broken())


class TestFake(BlobStoreContract):
    @pytest.fixture
    def blobs(self) -> BlobStore:
        return FakeBlobStore(max_content_bytes=LIMIT)


class TestLocalFolder(BlobStoreContract):
    @pytest.fixture
    def blobs(self, tmp_path: Path) -> BlobStore:
        return ObjectBlobStore(BlobSettings(url=f"file:{tmp_path}", max_content_bytes=LIMIT))

    async def test_changed_bytes_are_noticed(self, blobs: BlobStore, tmp_path: Path) -> None:
        ref = await blobs.write(ACME, pieces_of(b"genuine"))
        (tmp_path / "acme" / ref.sha256[:2] / ref.sha256).write_bytes(b"forgery")
        with pytest.raises(BlobCorruptError):
            await read(blobs, ACME, ref)

    async def test_a_refused_stream_leaves_nothing_behind(self, blobs: BlobStore, tmp_path: Path) -> None:
        with pytest.raises(BlobTooLargeError):
            await blobs.write(ACME, pieces_of(bytes(LIMIT + 1)))
        assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


class OnMoto(BlobStoreContract):
    """Subclasses provide the `bucket` fixture, of moto's server, and the `blobs` fixture on it."""

    async def test_large_content_is_sent_in_parts_and_appears_whole_under_its_hash(
        self, bucket: MotoBucket, blobs: BlobStore
    ) -> None:
        ref = await blobs.write(ACME, pieces_of(bytes(LIMIT)))
        sent = [each for each in bucket.requests if each.startswith(f"PUT {ACME}/incoming/")]
        assert len(sent) == 3
        assert all(each.endswith("?uploadId") for each in sent)
        assert list(bucket.current()) == [f"{ACME}/{ref.sha256[:2]}/{ref.sha256}"]
        assert bucket.uploads() == []

    async def test_a_refused_stream_leaves_nothing_behind(self, bucket: MotoBucket, blobs: BlobStore) -> None:
        with pytest.raises(BlobTooLargeError):
            await blobs.write(ACME, pieces_of(bytes(LIMIT + 1)))
        assert bucket.current() == {}
        assert bucket.uploads() == [], "parts of an upload that is not aborted are paid for, and seen by nobody"


class TestMoto(OnMoto):
    """`HEADWATER_BLOBS__URL=s3://...` against moto's server, which checks obstore's signatures too."""

    @pytest.fixture
    def bucket(self, moto: MotoServer) -> Iterator[MotoBucket]:
        with moto.bucket() as bucket:
            yield bucket

    @pytest.fixture
    def blobs(self, bucket: MotoBucket) -> BlobStore:
        settings = BlobSettings(url=f"s3://{bucket.name}", options=bucket.options, max_content_bytes=LIMIT)
        return ObjectBlobStore(settings)

    async def test_changed_bytes_are_noticed(self, bucket: MotoBucket, blobs: BlobStore) -> None:
        ref = await blobs.write(ACME, pieces_of(b"genuine"))
        bucket.put(f"{ACME}/{ref.sha256[:2]}/{ref.sha256}", b"forgery")
        with pytest.raises(BlobCorruptError):
            await read(blobs, ACME, ref)

    async def test_a_right_that_is_missing_is_fatal(self, moto: MotoServer, bucket: MotoBucket) -> None:
        options = bucket.options_for(moto.user("s3:GetObject", "s3:ListBucket"))
        blobs = ObjectBlobStore(BlobSettings(url=f"s3://{bucket.name}", options=options))
        with pytest.raises(FatalError, match="HEADWATER_BLOBS__OPTIONS"):
            await blobs.write(ACME, pieces_of(b"content"))


class TestGoogle(OnMoto):
    """`gs://...`: obstore's client of Google against moto's server, whose headers of Google are renamed to Amazon's."""

    @pytest.fixture
    def bucket(self, moto: MotoServer) -> Iterator[MotoBucket]:
        with moto.public_bucket() as bucket:
            yield bucket

    @pytest.fixture
    def blobs(self, moto: MotoServer, bucket: MotoBucket) -> BlobStore:
        settings = BlobSettings(url=f"gs://{bucket.name}", options=google_options(moto.url), max_content_bytes=LIMIT)
        return ObjectBlobStore(settings)


class TestAzure(BlobStoreContract):
    """`az://...`: obstore's client of Azure against a server of ours: what else speaks it needs Node (ADR 0183)."""

    @pytest.fixture
    async def azure(self) -> AsyncIterator[GoogleServer]:
        async with cloud_server(AzureServer) as server:
            yield server

    @pytest.fixture
    def blobs(self, azure: GoogleServer) -> BlobStore:
        settings = BlobSettings(url=f"az://{azure.name}", options=azure.options, max_content_bytes=LIMIT)
        return ObjectBlobStore(settings)

    async def test_large_content_is_sent_in_blocks_and_appears_whole_under_its_hash(
        self, azure: GoogleServer, blobs: BlobStore
    ) -> None:
        ref = await blobs.write(ACME, pieces_of(bytes(LIMIT)))
        assert sum(each.endswith("?block") for each in azure.requests) == 3
        assert list(azure.current()) == [f"{ACME}/{ref.sha256[:2]}/{ref.sha256}"]

    async def test_a_refused_stream_leaves_nothing_behind(self, azure: GoogleServer, blobs: BlobStore) -> None:
        """Blocks that no list has named are no blob, and Azure removes them after a week."""
        with pytest.raises(BlobTooLargeError):
            await blobs.write(ACME, pieces_of(bytes(LIMIT + 1)))
        assert azure.current() == {}


class TestS3(BlobStoreContract):
    """`HEADWATER_BLOBS__URL=s3://...` against a server that speaks S3's protocol."""

    @pytest.fixture
    def s3(self) -> Iterator[S3Server]:
        with s3_server() as server:
            yield server

    @pytest.fixture
    def blobs(self, s3: S3Server) -> BlobStore:
        return ObjectBlobStore(BlobSettings(url="s3://blobs", options=s3.options, max_content_bytes=LIMIT))

    async def test_small_content_is_one_request(self, s3: S3Server, blobs: BlobStore) -> None:
        ref = await blobs.write(ACME, pieces_of(b"small"))
        assert s3.requests == [f"PUT acme/{ref.sha256[:2]}/{ref.sha256}?"]

    async def test_large_content_is_sent_in_parts_and_appears_whole_under_its_hash(
        self, s3: S3Server, blobs: BlobStore
    ) -> None:
        ref = await blobs.write(ACME, pieces_of(bytes(LIMIT)))
        assert sum(request.startswith("PUT acme/incoming/") for request in s3.requests) == 3
        assert list(s3.objects) == [f"acme/{ref.sha256[:2]}/{ref.sha256}"]
        assert s3.uploads == {}

    async def test_a_refused_stream_leaves_nothing_behind(self, s3: S3Server, blobs: BlobStore) -> None:
        with pytest.raises(BlobTooLargeError):
            await blobs.write(ACME, pieces_of(bytes(LIMIT + 1)))
        assert s3.objects == {}
        assert s3.uploads == {}, "parts of an upload that is not aborted are paid for, and seen by nobody"

    async def test_changed_bytes_are_noticed(self, s3: S3Server, blobs: BlobStore) -> None:
        ref = await blobs.write(ACME, pieces_of(b"genuine"))
        s3.objects[f"acme/{ref.sha256[:2]}/{ref.sha256}"] = b"forgery"
        with pytest.raises(BlobCorruptError):
            await read(blobs, ACME, ref)

    @pytest.mark.parametrize(
        ("status", "error", "says"), [(503, RetryableError, "reachable"), (403, FatalError, "HEADWATER_BLOBS__OPTIONS")]
    )
    async def test_what_s3_answers_says_what_to_do_next(
        self, s3: S3Server, blobs: BlobStore, status: int, error: type[Exception], says: str
    ) -> None:
        ref = await blobs.write(ACME, pieces_of(b"content"))
        s3.failing = status
        with pytest.raises(error, match=says):
            await blobs.write(ACME, pieces_of(b"more"))
        with pytest.raises(error, match=says):
            await read(blobs, ACME, ref)
        with pytest.raises(error, match=says):
            await blobs.exists(ACME, ref)

    async def test_a_bucket_without_room_refuses_for_now_and_can_still_be_read(
        self, s3: S3Server, blobs: BlobStore
    ) -> None:
        ref = await blobs.write(ACME, pieces_of(b"content"))
        s3.full = True
        with pytest.raises(RetryableError, match="is there space left"):
            await blobs.write(ACME, pieces_of(b"more"))
        assert await read(blobs, ACME, ref) == b"content"

    @pytest.mark.parametrize("wrong", [{"no_such_option": "x"}, {"timeout": "soon"}])
    def test_an_option_that_does_not_exist_or_cannot_be_read_is_fatal(self, wrong: dict[str, str]) -> None:
        options = {name: SecretStr(value) for name, value in wrong.items()}
        with pytest.raises(FatalError, match="HEADWATER_BLOBS__OPTIONS"):
            ObjectBlobStore(BlobSettings(url="s3://blobs", options=options))

    async def test_an_absent_server_may_come_back(self) -> None:
        options = {"endpoint": SecretStr("http://127.0.0.1:9"), "allow_http": SecretStr("true")}
        keys = {"access_key_id": SecretStr("x"), "secret_access_key": SecretStr("x")}
        blobs = ObjectBlobStore(BlobSettings(url="s3://blobs", options=options | keys))
        with pytest.raises(RetryableError, match="blob store"):
            await blobs.write(ACME, pieces_of(b"content"))

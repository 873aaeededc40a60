"""The suite on buckets: a server that speaks S3, with access said in three ways, and obstore on a folder."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from headwater.errors import FatalError, RetryableError, SourceGoneError
from tests.contract.connectors.contract import AccessContract, ConnectorContract
from tests.contract.connectors.items import fill
from tests.support.buckets import (
    BucketSource,
    CloudSource,
    SidecarSource,
    TaggedSource,
    bucket_source,
    cloud_source,
)
from tests.support.cloud_server import AzureServer, GoogleServer
from tests.support.folder_bucket import FolderBucketSource
from tests.support.sources import Follower, SourceHarness


class TestS3(ConnectorContract):
    @pytest.fixture
    def source(self, bucket: BucketSource) -> SourceHarness:
        return bucket

    @pytest.fixture
    async def bucket(self) -> AsyncIterator[BucketSource]:
        async with bucket_source() as bucket:
            yield bucket

    async def test_a_clock_that_is_too_far_off_is_named(self, bucket: BucketSource) -> None:
        bucket.server.skew = timedelta(hours=1)
        with pytest.raises(FatalError, match="clock"):
            await Follower(bucket).follow()


class TestS3Sidecars(AccessContract):
    @pytest.fixture
    async def source(self) -> AsyncIterator[SourceHarness]:
        async with bucket_source(SidecarSource) as source:
            yield source


class TestS3Tags(AccessContract):
    @pytest.fixture
    async def source(self) -> AsyncIterator[SourceHarness]:
        async with bucket_source(TaggedSource) as source:
            yield source


class TestObstore(ConnectorContract):
    @pytest.fixture
    def source(self, tmp_path: Path) -> SourceHarness:
        return FolderBucketSource(tmp_path)


class CloudContract(ConnectorContract):
    """What holds of a cloud's own interface. Subclasses name its server."""

    server: type[GoogleServer] = GoogleServer

    @pytest.fixture
    def source(self, cloud: CloudSource) -> SourceHarness:
        return cloud

    @pytest.fixture
    async def cloud(self) -> AsyncIterator[CloudSource]:
        async with cloud_source(self.server) as cloud:
            yield cloud

    async def test_what_is_missing_is_named(self, cloud: CloudSource) -> None:
        fill(cloud)
        await cloud.connector().check()
        for method, status in (("LIST", 403), ("HEAD", 401)):
            cloud.server.answers[method] = [(status, "")]
            with pytest.raises(FatalError, match="access refused; check options"):
                await cloud.connector().check()
        cloud.server.answers["LIST"] = [(404, "")]
        with pytest.raises(SourceGoneError, match="no such bucket or container; correct the URL"):
            await cloud.connector().check()

    async def test_a_store_that_is_busy_is_away_and_nothing_is_deleted(self, cloud: CloudSource) -> None:
        fill(cloud)
        follower = Follower(cloud)
        await follower.follow()
        cloud.delete("a/x.md")
        cloud.server.answers["LIST"] = [(429, "")]
        with pytest.raises(RetryableError):
            await follower.follow()
        assert follower.deleted == []
        await follower.follow()
        assert follower.view() == cloud.truth()


class TestGoogle(CloudContract):
    server = GoogleServer


class TestAzure(CloudContract):
    server = AzureServer

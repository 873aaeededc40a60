"""A bucket behind a server that speaks S3."""

from collections.abc import AsyncIterator

import pytest

from tests.support.bucket_server import BucketServer
from tests.support.buckets import BucketSource, bucket_source


@pytest.fixture
async def source() -> AsyncIterator[BucketSource]:
    async with bucket_source() as source:
        yield source


@pytest.fixture
def server(source: BucketSource) -> BucketServer:
    return source.server

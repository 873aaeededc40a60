"""A bucket behind a server that speaks S3, and a connector of it."""

import ssl
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.bucket_server import BucketServer, bucket_server
from tests.support.buckets import BucketSource

TLS = ssl.create_default_context()


@pytest.fixture
async def server() -> AsyncIterator[BucketServer]:
    async with bucket_server() as server:
        yield server


@pytest.fixture
async def source(server: BucketServer) -> AsyncIterator[BucketSource]:
    async with httpx.AsyncClient(verify=TLS) as http:
        yield BucketSource(server, http)

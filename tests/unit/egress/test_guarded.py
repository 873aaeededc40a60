"""A client that speaks a protocol of its own is held to the same times as all other calls."""

import asyncio
from typing import Any

import pytest

from headwater.clients.egress.client import Egress
from headwater.clients.egress.errors import SourceAwayError
from headwater.clients.s3.client import Bucket, S3Objects
from headwater.errors import RetryableError
from headwater.ports.objects import ListedObject
from headwater.retry import RetryPolicy
from tests.support.egress import START, FakeClock, dripping, egress, reply

ONCE = RetryPolicy(attempts=1, first_delay_s=0.0)
TIMES: dict[str, Any] = {"read_timeout_s": 30.0, "header_timeout_s": 60.0, "total_timeout_s": 600.0}


async def test_headers_that_drip_end_after_their_time() -> None:
    async with dripping(reply(200, b"text"), every_s=10.0) as server, egress(FakeClock(), **TIMES) as client:
        begun_s = asyncio.get_running_loop().time()
        with pytest.raises(SourceAwayError, match=r"wiki\.test is too slow; .*egress\.header_timeout_s"):
            await client.httpx_client().get(f"http://wiki.test:{server.port}/")
        took_s = asyncio.get_running_loop().time() - begun_s
    assert 60.0 <= took_s <= 80.0


async def test_a_body_that_drips_ends_after_its_time_and_gives_its_place_back() -> None:
    answer = reply(200, b"x" * 6_400)
    async with (
        dripping(answer, every_s=10.0, at_once=64) as server,
        egress(FakeClock(), bucket_concurrency=1, **TIMES) as client,
    ):
        bucket = bucket_at(server.port, client.of_bucket())
        for _ in range(2):
            begun_s = asyncio.get_running_loop().time()
            with pytest.raises(RetryableError, match=r"wiki\.test is too slow"):
                await content_of(bucket, size_bytes=6_400)
            assert 600.0 <= asyncio.get_running_loop().time() - begun_s <= 620.0


async def test_what_takes_long_and_less_than_its_time_is_read_whole() -> None:
    answer = reply(200, b"x" * 3_200)
    async with dripping(answer, every_s=10.0, at_once=64) as server, egress(FakeClock(), **TIMES) as client:
        bucket = bucket_at(server.port, client)
        assert await content_of(bucket, size_bytes=3_200) == b"x" * 3_200


def bucket_at(port: int, way_out: Egress) -> S3Objects:
    bucket = Bucket(endpoint=f"http://wiki.test:{port}", region="x", name="b")
    return S3Objects(way_out.httpx_client(), bucket, None, policy=ONCE)


async def content_of(bucket: S3Objects, *, size_bytes: int) -> bytes:
    listed = ListedObject(key="k", size_bytes=size_bytes, modified_at=START, etag=None, seen_ns=0)
    return b"".join([piece async for piece in bucket.read(listed)])

"""One suite for the Cache port, on the fake and on Redis."""

from collections.abc import AsyncIterator
from uuid import uuid4

import pytest

from headwater.clients.redis_cache import RedisCache
from headwater.ports.cache import Cache
from headwater.settings import RedisSettings
from tests.support.cache import FakeCache
from tests.support.stack import RunningStack


class CacheContract:
    """Subclasses provide the `cache` fixture."""

    async def test_found_and_missing_keys_keep_their_order(self, cache: Cache) -> None:
        await cache.put_many({"a": b"1", "c": b"\x00\xff"}, ttl_s=60)
        assert await cache.get_many(["c", "b", "a"]) == [b"\x00\xff", None, b"1"]

    async def test_nothing_asked_nothing_found(self, cache: Cache) -> None:
        assert list(await cache.get_many([])) == []


class TestFake(CacheContract):
    @pytest.fixture
    def cache(self) -> Cache:
        return FakeCache()


@pytest.mark.real
class TestRedis(CacheContract):
    @pytest.fixture
    async def cache(self, stack: RunningStack) -> AsyncIterator[Cache]:
        settings = stack.settings.redis.model_copy(update={"key_prefix": f"test-{uuid4().hex}:"})
        async with RedisCache.open(settings) as cache:
            yield cache


async def test_a_redis_that_is_away_is_an_empty_cache() -> None:
    async with RedisCache.open(RedisSettings(url="redis://127.0.0.1:1/0")) as cache:
        await cache.put_many({"a": b"1"}, ttl_s=60)
        assert await cache.get_many(["a"]) == [None]

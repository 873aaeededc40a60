"""The cache port on Redis."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from headwater.settings import RedisSettings
from headwater.telemetry.metrics import CACHE_ERRORS


class RedisCache:
    """Implements the Cache port: losing Redis makes things slower, never wrong."""

    def __init__(self, client: Redis, *, key_prefix: str) -> None:
        self._client, self._prefix = client, key_prefix

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: RedisSettings) -> AsyncIterator["RedisCache"]:
        """Open without a first call: an absent Redis must not keep a process from starting."""
        client = Redis.from_url(
            settings.url.get_secret_value(),
            socket_timeout=settings.request_timeout_s,
            socket_connect_timeout=settings.request_timeout_s,
            retry=Retry(NoBackoff(), 0),
        )
        try:
            yield cls(client, key_prefix=settings.key_prefix)
        finally:
            await client.aclose()

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """See the port."""
        if not keys:
            return []
        try:
            found = await self._client.mget([self._prefix + key for key in keys])
        except (RedisError, OSError):
            CACHE_ERRORS.labels(operation="get").inc()
            return [None] * len(keys)
        return [value.encode() if isinstance(value, str) else value for value in found]

    async def put_many(self, entries: Mapping[str, bytes], *, ttl_s: int) -> None:
        """See the port."""
        try:
            async with self._client.pipeline(transaction=False) as pipe:
                for key, value in entries.items():
                    pipe.set(self._prefix + key, value, ex=ttl_s)
                await pipe.execute()
        except (RedisError, OSError):
            CACHE_ERRORS.labels(operation="put").inc()

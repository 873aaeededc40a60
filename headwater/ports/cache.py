"""Content-addressed caches: whatever is found under a key is right for ever, and may be gone at any time."""

from collections.abc import Mapping, Sequence
from typing import Protocol


class Cache(Protocol):
    """Bytes by key. Never raises: a cache that is away is an empty one (a metric counts it)."""

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        """Return a value or None per key, in the same order."""
        ...

    async def put_many(self, entries: Mapping[str, bytes], *, ttl_s: int) -> None:
        """Store the entries for at most `ttl_s` seconds."""
        ...

"""A cache in memory."""

from collections.abc import Mapping, Sequence


class FakeCache:
    """Implements the Cache port; `clear()` is what Redis does when it loses everything."""

    def __init__(self) -> None:
        self.entries: dict[str, bytes] = {}

    async def get_many(self, keys: Sequence[str]) -> Sequence[bytes | None]:
        return [self.entries.get(key) for key in keys]

    async def put_many(self, entries: Mapping[str, bytes], *, ttl_s: int) -> None:
        assert ttl_s > 0
        self.entries.update(entries)

    def clear(self) -> None:
        self.entries.clear()

"""A connector of which everything is told otherwise: a test sees what somebody wrote, not what is made of it."""

from collections.abc import AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Protocol

from connectors.protocol import (
    Cursor,
    FullConnector,
    ItemConnector,
    Observed,
    PermissionsConnector,
    ReadyConnector,
    Unnoted,
)


class AbleConnector(ReadyConnector, FullConnector, ItemConnector, PermissionsConnector, Protocol):
    """A connector that can do all that one can be asked for."""


@dataclass(frozen=True, slots=True)
class Retold:
    """Implements AbleConnector."""

    inner: AbleConnector
    told: Callable[[Observed], Observed]

    async def check(self) -> None:
        await self.inner.check()

    async def ready(self) -> None:
        await self.inner.ready()

    def unknown(self, unnoted: Unnoted, since: Cursor) -> Mapping[str, bytes | None]:
        return self.inner.unknown(unnoted, since)

    def changes(self, since: Cursor) -> AsyncIterator[Observed]:
        return self._retold(self.inner.changes(since))

    def everything(self, since: Cursor) -> AsyncIterator[Observed]:
        return self._retold(self.inner.everything(since))

    def items(self, external_ids: Collection[str], since: Cursor) -> AsyncIterator[Observed]:
        return self._retold(self.inner.items(external_ids, since))

    def permissions(self, since: Cursor) -> AsyncIterator[Observed]:
        return self._retold(self.inner.permissions(since))

    async def _retold(self, changes: AsyncIterator[Observed]) -> AsyncIterator[Observed]:
        async for change in changes:
            yield self.told(change)

"""One collection, loaded when it is first used, and the calls that every reader of it makes."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pymilvus import AsyncMilvusClient

from headwater.clients.milvus.connection import CollectionNotLoadedError, translated
from headwater.settings import MilvusSettings

MAX_HITS: Final = 16_384  # Milvus' own limit of a search or a query
# A reader sees every write that was acknowledged before, whichever client wrote it: visible on return.
CONSISTENCY: Final = "Strong"


class LoadedCollection:
    """Calls Milvus about one collection; errors are ours, every call is bounded by the request timeout."""

    def __init__(self, client: AsyncMilvusClient, name: str, *, settings: MilvusSettings) -> None:
        self._client, self._name, self._settings = client, name, settings
        self._loaded = False

    async def count(self, expression: str) -> int:
        """Count the rows that an expression admits."""
        found = await self.query(expression, fields=("count(*)",), limit=None)
        return int(found[0]["count(*)"])

    async def query(self, expression: str, *, fields: Sequence[str], limit: int | None) -> Sequence[Mapping[str, Any]]:
        """Return these fields of rows that an expression admits, at most `limit` of them, in no order."""
        arguments: dict[str, Any] = {} if limit is None else {"limit": limit}
        found: Sequence[Mapping[str, Any]] = await self.call(
            "query", filter=expression, output_fields=list(fields), consistency_level=CONSISTENCY, **arguments
        )
        return found

    async def remove(self, expression: str) -> int:
        """Remove the rows that an expression admits; return how many there were."""
        count = await self.count(expression)
        if count:
            await self.call("delete", filter=expression)
        return count

    async def call(self, operation: str, **arguments: Any) -> Any:
        """Call the client on a loaded collection; a restarted server forgets what was loaded."""
        if not self._loaded:
            await self._send("load_collection")
            self._loaded = True
        try:
            return await self._send(operation, **arguments)
        except CollectionNotLoadedError:
            self._loaded = False
            raise

    async def _send(self, operation: str, **arguments: Any) -> Any:
        async with translated(self._settings):
            return await getattr(self._client, operation)(
                self._name, timeout=self._settings.request_timeout_s, **arguments
            )

"""The stores of each generation, opened when first asked for and closed with the process."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from headwater.clients.elasticsearch.chunks import ElasticsearchKeywordIndex
from headwater.clients.milvus.index import MilvusVectorIndex
from headwater.settings import Settings
from query_api.runtime import Stores
from schemas.ids import GenerationName


class OpenedGenerations:
    """Implements Generations: a switch to another generation needs no restart."""

    def __init__(self, settings: Settings, stack: AsyncExitStack) -> None:
        self._settings, self._stack = settings, stack
        self._opened: dict[GenerationName, Stores] = {}
        self._opening = asyncio.Lock()

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: Settings) -> AsyncIterator["OpenedGenerations"]:
        """Open none yet."""
        async with AsyncExitStack() as stack:
            yield cls(settings, stack)

    async def stores(self, generation: GenerationName) -> Stores:
        """See the port."""
        async with self._opening:
            if generation not in self._opened:
                self._opened[generation] = await self._open(generation)
            return self._opened[generation]

    async def _open(self, generation: GenerationName) -> Stores:
        vectors = MilvusVectorIndex.open(self._settings.milvus, generation)
        keywords = ElasticsearchKeywordIndex.open(self._settings.elasticsearch, generation)
        return Stores(
            vectors=await self._stack.enter_async_context(vectors),
            keywords=await self._stack.enter_async_context(keywords),
        )

"""What every adapter to Elasticsearch is: a port on an open client."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from elasticsearch import AsyncElasticsearch

from headwater.clients.elasticsearch.connection import open_client
from headwater.clients.elasticsearch.names import chunks_name
from headwater.settings import ElasticsearchSettings
from schemas.ids import GenerationName


class SharedAdapter:
    """An adapter to indices that all generations share."""

    def __init__(self, client: AsyncElasticsearch, *, settings: ElasticsearchSettings) -> None:
        self._client, self._settings = client, settings

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ElasticsearchSettings) -> AsyncIterator[Self]:
        """Open without a first call. The indices must exist by the first use: see `headwater migrate`."""
        async with open_client(settings) as client:
            yield cls(client, settings=settings)


class ChunksAdapter:
    """An adapter to the index with the chunks of one generation."""

    def __init__(
        self, client: AsyncElasticsearch, *, settings: ElasticsearchSettings, generation: GenerationName
    ) -> None:
        self._client, self._settings = client, settings
        self._index = chunks_name(settings, generation)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: ElasticsearchSettings, generation: GenerationName) -> AsyncIterator[Self]:
        """Open without a first call. The index must exist by the first use: see `headwater migrate`."""
        async with open_client(settings) as client:
            yield cls(client, settings=settings, generation=generation)

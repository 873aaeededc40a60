"""What every adapter to Milvus is: a port on the collection of one generation."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from pymilvus import AsyncMilvusClient

from headwater.clients.milvus.collection import collection_name
from headwater.clients.milvus.connection import open_client
from headwater.clients.milvus.loaded import LoadedCollection
from headwater.settings import MilvusSettings
from schemas.ids import GenerationName


class VectorsAdapter:
    """An adapter to the vectors of one generation."""

    def __init__(self, client: AsyncMilvusClient, *, settings: MilvusSettings, generation: GenerationName) -> None:
        self._collection = LoadedCollection(client, collection_name(settings, generation), settings=settings)

    @classmethod
    @asynccontextmanager
    async def open(cls, settings: MilvusSettings, generation: GenerationName) -> AsyncIterator[Self]:
        """Open without a first call. The collection must exist by the first use: see `headwater migrate`."""
        async with open_client(settings) as client:
            yield cls(client, settings=settings, generation=generation)

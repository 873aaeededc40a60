"""Everything that a store holds of one source, to be compared before and after."""

from collections.abc import Mapping

from headwater.clients.elasticsearch.connection import open_client as open_elasticsearch
from headwater.clients.elasticsearch.names import chunks_name
from headwater.clients.milvus.collection import collection_name
from headwater.clients.milvus.connection import open_client as open_milvus
from headwater.settings import Settings
from schemas.events.base import Store
from schemas.ids import GenerationName

_ALL = 10_000


async def stored_rows(
    settings: Settings, store: Store, source: str, *, generation: GenerationName | None = None
) -> Mapping[str, object]:
    """Return the rows of a source by their ids, vectors included."""
    name = generation or settings.generation
    return await (_keywords if store is Store.KEYWORDS else _vectors)(settings, name, source)


async def _keywords(settings: Settings, generation: GenerationName, source: str) -> Mapping[str, object]:
    async with open_elasticsearch(settings.elasticsearch) as client:
        found = await client.search(
            index=chunks_name(settings.elasticsearch, generation), query={"term": {"source": source}}, size=_ALL
        )
    return {hit["_id"]: hit["_source"] for hit in found["hits"]["hits"]}


async def _vectors(settings: Settings, generation: GenerationName, source: str) -> Mapping[str, object]:
    async with open_milvus(settings.milvus) as client:
        found = await client.query(
            collection_name(settings.milvus, generation),
            filter=f'source == "{source}"',
            output_fields=["row_id", "record", "text", "vector"],
            limit=_ALL,
            consistency_level="Strong",
        )
    return {row["row_id"]: (row["record"], row["text"], [float(value) for value in row["vector"]]) for row in found}
